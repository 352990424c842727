"""ControlNets of transformers against diffusers' own pipelines: the same weights, prompts, map and noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import (
    FluxControlNetModel,
    FluxControlNetPipeline,
    QwenImageControlNetModel,
    QwenImageControlNetPipeline,
    SD3ControlNetModel,
    StableDiffusion3ControlNetPipeline,
    ZImageControlNetModel,
    ZImageControlNetPipeline,
)

from tests.control.nets import bare, guide, map_picture, randomised
from tests.models import flows
from tests.tiny_flux1 import tiny_flux1
from tests.tiny_qwen_image import tiny_qwen_image
from tests.tiny_sd3 import tiny_sd3
from tests.tiny_z_image import tiny_z_image
from velatura.diffusion import noise
from velatura.models.control.using import Use, led
from velatura.models.families import flux1, qwen_image, sd3, z_image
from velatura.models.families.joint import pack, unpack
from velatura.weights.digests import Digests

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore:`FluxPosEmbed`:FutureWarning"),  # of their own import
]
H, W, STEPS = 64, 96, 4
MAP = map_picture(H, W)


@pytest.fixture(autouse=True)
def without_noise(monkeypatch):
    """diffusers draws a sample of the map's latents; ours are their mean."""
    name = "diffusers.models.autoencoders.vae.DiagonalGaussianDistribution.sample"
    monkeypatch.setattr(name, lambda self, generator=None: self.mode())


def start():
    return noise.standard_normal([0], (16, H // 8, W // 8))


def changed(network):
    """A random network of the configuration of another, without notes of diffusers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return randomised(network)


def files(network, folder):
    """The network as a folder of diffusers has it, and as a file without its configuration."""
    network.save_pretrained(folder)
    (path,) = folder.glob("*.safetensors")
    return path, bare(folder)


def theirs(pipeline, **more):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(control_image=MAP * 2.0 - 1.0, height=H, width=W, output_type="latent", **more).images


def close(found, expected):
    return (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())


def led_by(model, use):
    return led(model, [use], {}, Digests())[0]


@pytest.mark.parametrize("reads_text", [True, False], ids=["with text", "of one stream"])
def test_sd3(tmp_path, reads_text):
    model = flows.loaded(sd3.load, tiny_sd3(tmp_path / "model"))
    config = {name: v for name, v in model.transformer.config.items() if not name.startswith("_")}
    config |= {"num_layers": 1, "force_zeros_for_pooled_projection": reads_text}
    if not reads_text:
        config |= {"use_pos_embed": False, "joint_attention_dim": None, "dual_attention_layers": ()}
    network = changed(SD3ControlNetModel.from_config(config))
    expected = theirs(
        StableDiffusion3ControlNetPipeline.from_pretrained(tmp_path / "model", controlnet=network),
        prompt="a red hat",
        negative_prompt="a dog",
        guidance_scale=3.0,
        controlnet_conditioning_scale=0.7,
        sigmas=np.linspace(1.0, 1.0 / STEPS, STEPS).tolist(),
        latents=start(),
    )
    network.pos_embed = network.pos_embed if reads_text else None  # which their pipeline took of the model
    plain = flows.sampled(model, start(), STEPS, "a red hat", "a dog", 3.0)
    for path in files(network, tmp_path / "canny"):
        control = led_by(model, Use(guide(path, "sd3"), MAP, strength=0.7))
        assert close(flows.sampled(control, start(), STEPS, "a red hat", "a dog", 3.0), expected)
    assert not close(plain, expected)
    assert flows.sampled(model, start(), STEPS, "a red hat", "a dog", 3.0).equal(plain)


@pytest.mark.parametrize(("kinds", "hint"), [(0, None), (7, None), (0, 16)], ids=["one", "union", "pixels"])
def test_flux1(tmp_path, kinds, hint):
    model = flows.loaded(flux1.load, tiny_flux1(tmp_path / "model"))
    config = {name: v for name, v in model.transformer.config.items() if not name.startswith("_")}
    config |= {"num_single_layers": 1, "guidance_embeds": not kinds, "num_mode": kinds or None}
    if hint:  # those that read pixels, as XLabs'
        config |= {"conditioning_embedding_channels": hint, "patch_size": 2}
    network = changed(FluxControlNetModel.from_config(config))
    tokens = theirs(
        FluxControlNetPipeline.from_pretrained(tmp_path / "model", controlnet=network),
        prompt="a red hat",
        guidance_scale=3.5,
        controlnet_conditioning_scale=0.6,
        control_guidance_end=0.5,
        control_mode=2 if kinds else None,
        num_inference_steps=STEPS,
        latents=pack(start()),
    )
    expected = unpack(tokens, H // 8, W // 8)
    for path in files(network, tmp_path / "union"):
        use = Use(guide(path, "flux1", kinds=kinds), MAP, 2 if kinds else -1, strength=0.6, end=0.5)
        assert close(flows.sampled(led_by(model, use), start(), STEPS, "a red hat"), expected)
    assert not close(flows.sampled(model, start(), STEPS, "a red hat"), expected)


def test_a_guide_s_steps_are_computed_in_full(tmp_path):
    """The cache of the first block would add what the guide adds twice."""
    model = flows.loaded(flux1.load, tiny_flux1(tmp_path / "model"))
    config = {name: v for name, v in model.transformer.config.items() if not name.startswith("_")}
    path, _ = files(changed(FluxControlNetModel.from_config(config)), tmp_path / "canny")
    control = led_by(model, Use(guide(path, "flux1"), MAP))
    assert model.can_skip and not control.can_skip
    whole = flows.sampled(control, start(), STEPS, "a red hat")
    with control.skipping(1e9):
        assert flows.sampled(control, start(), STEPS, "a red hat").equal(whole)
        assert not model.transformer.is_cache_enabled


def test_qwen_image(tmp_path):
    model = flows.loaded(qwen_image.load, tiny_qwen_image(tmp_path / "Qwen-Image")).changed("", steps=STEPS)
    config = {name: v for name, v in model.transformer.config.items() if not name.startswith("_")}
    network = changed(QwenImageControlNetModel.from_config(config | {"num_layers": 1}))
    tokens = theirs(
        QwenImageControlNetPipeline.from_pretrained(tmp_path / "Qwen-Image", controlnet=network),
        prompt="a red hat",
        negative_prompt=" ",
        true_cfg_scale=1.0,
        controlnet_conditioning_scale=0.8,
        num_inference_steps=STEPS,
        latents=pack(start()),
    )
    expected = unpack(tokens, H // 8, W // 8)
    for path in files(network, tmp_path / "union"):
        control = led_by(model, Use(guide(path, "qwen-image"), MAP, strength=0.8))
        assert close(flows.sampled(control, start(), STEPS, "a red hat"), expected)
    assert not close(flows.sampled(model, start(), STEPS, "a red hat"), expected)


@pytest.mark.parametrize("version", [None, "control_layers", "control_noise_refiner"])
def test_z_image(tmp_path, version):
    model = flows.loaded(z_image.load, tiny_z_image(tmp_path / "model"))
    told = model.transformer.config
    names = ("dim", "n_refiner_layers", "n_heads", "n_kv_heads", "norm_eps", "qk_norm")
    network = changed(
        ZImageControlNetModel(
            control_layers_places=[0],
            control_refiner_layers_places=[0] if version else None,
            control_in_dim=33 if version else 16,
            add_control_noise_refiner=version,
            **{name: told[name] for name in names},
        )
    )
    found = files(network, tmp_path / "union")
    pipeline = ZImageControlNetPipeline.from_pretrained(tmp_path / "model", controlnet=network)
    arguments = {"prompt": "a red hat", "negative_prompt": "ugly", "num_inference_steps": STEPS}
    arguments |= {"guidance_scale": 2.0, "controlnet_conditioning_scale": 0.75, "latents": start()}
    expected = theirs(pipeline, **arguments)
    for path in found:
        control = led_by(model, Use(guide(path, "z-image"), MAP, strength=0.75))
        assert close(flows.sampled(control, start(), STEPS, "a red hat", "ugly", 3.0), expected)
    assert not close(flows.sampled(model, start(), STEPS, "a red hat", "ugly", 3.0), expected)
