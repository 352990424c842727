"""ControlNets of U-Nets against diffusers' own pipelines: the same weights, prompts, map, noise and steps."""

from __future__ import annotations

import json

import diffusers
import pytest
import torch
from diffusers import ControlNetModel, ControlNetUnionModel, EulerDiscreteScheduler

from tests.control.nets import bare, guide, map_picture, randomised
from tests.models.test_unets import CLOSE, STEPS, loaded, ours
from tests.tiny import tiny_model
from tests.tiny_sdxl import tiny_sdxl
from velatura.models.control.using import Use, led
from velatura.weights.digests import Digests

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of their scheduler
]
MAP = map_picture(64, 64)


def theirs(folder, name, network, n, scale=2.0, **more):
    """The latents of one of diffusers' pipelines."""
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    checker = {} if "XL" in name else {"safety_checker": None}
    pipeline = getattr(diffusers, name).from_pretrained(
        folder,
        controlnet=network,
        scheduler=EulerDiscreteScheduler.from_config(config | {"steps_offset": 1}),
        local_files_only=True,
        low_cpu_mem_usage=False,
        **checker,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        "a hat",
        num_inference_steps=STEPS,
        guidance_scale=scale,
        latents=n,
        output_type="latent",
        **more,
    ).images


def led_by(model, use):
    return led(model, [use], {}, Digests())[0]


@pytest.mark.parametrize(
    ("make", "name"),
    [(tiny_model, "StableDiffusionControlNetPipeline"), (tiny_sdxl, "StableDiffusionXLControlNetPipeline")],
    ids=["sd", "sdxl"],
)
def test_a_controlnet_is_that_of_the_pipeline(tmp_path, make, name):
    model = loaded(make(tmp_path / "model"))
    network = randomised(ControlNetModel.from_unet(model.unet))
    network.save_pretrained(tmp_path / "canny")
    (path,) = (tmp_path / "canny").glob("*.safetensors")
    family = "sdxl" if "XL" in name else "sd"
    plain, n = ours(model)
    part = {"control_guidance_start": 0.25, "control_guidance_end": 0.75}
    for file, whole in ((path, True), (bare(tmp_path / "canny"), False)):
        use = Use(guide(file, family), MAP, strength=0.7)
        more = {"image": MAP, "controlnet_conditioning_scale": 0.7}
        if not whole:
            use, more = use._replace(begin=0.25, end=0.75), more | part
        z = ours(led_by(model, use))[0]
        torch.testing.assert_close(z, theirs(tmp_path / "model", name, network, n, **more), **CLOSE)
        assert (z - plain).abs().max() > 0.01
    assert ours(model)[0].equal(plain)  # nothing is left behind


@pytest.mark.parametrize("kind", [0, 3])
def test_a_union_is_that_of_the_pipeline(tmp_path, kind):
    model = loaded(tiny_sdxl(tmp_path / "model"))
    config = ControlNetUnionModel.from_unet(model.unet).config
    config = {name: value for name, value in config.items() if not name.startswith("_")}
    sizes = {"num_trans_channel": 32, "num_trans_head": 8, "num_proj_channel": 32}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = randomised(ControlNetUnionModel.from_config(config | sizes))
    network.save_pretrained(tmp_path / "union")
    _, n = ours(model)
    name = "StableDiffusionXLControlNetUnionPipeline"
    expected = theirs(tmp_path / "model", name, network, n, control_image=[MAP], control_mode=[kind])
    (path,) = (tmp_path / "union").glob("*.safetensors")
    single = bare(tmp_path / "union")
    other = json.loads((tmp_path / "union" / "config.json").read_text()) | {"num_control_type": 8}
    (single.parent / "config.json").write_text(json.dumps(other))  # of another file in this folder
    for file in (path, single):
        z = ours(led_by(model, Use(guide(file, "sdxl", kinds=6), MAP, number=kind)))[0]
        torch.testing.assert_close(z, expected, **CLOSE)


def test_two_controlnets_add_up_as_in_the_pipeline(tmp_path):
    model = loaded(tiny_model(tmp_path / "model"))
    networks, uses = [], []
    for seed in (3, 4):
        networks.append(randomised(ControlNetModel.from_unet(model.unet), seed=seed))
        networks[-1].save_pretrained(tmp_path / f"net{seed}")
        (path,) = (tmp_path / f"net{seed}").glob("*.safetensors")
        uses.append(Use(guide(path, "sd")._replace(id=str(seed) * 32), map_picture(64, 64, seed)))
    _, n = ours(model)
    z = ours(led(model, uses, {}, Digests())[0])[0]
    maps = [use.picture for use in uses]
    expected = theirs(tmp_path / "model", "StableDiffusionControlNetPipeline", networks, n, image=maps)
    torch.testing.assert_close(z, expected, **CLOSE)
