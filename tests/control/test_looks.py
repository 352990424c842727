"""IP-Adapters against diffusers' own pipelines: the same weights, prompts, picture, noise and steps."""

from __future__ import annotations

import json

import diffusers
import pytest
import torch
import torch.nn.functional as F
from diffusers import EulerDiscreteScheduler, FluxPipeline
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from tests.control.nets import guide, write
from tests.models import flows
from tests.models.test_unets import CLOSE, STEPS, loaded, ours
from tests.tiny import tiny_model
from tests.tiny_flux1 import tiny_flux1
from tests.tiny_sdxl import tiny_sdxl
from velatura.diffusion import noise
from velatura.diffusion.denoiser import denoise
from velatura.models.control.ip_adapter import _prepared
from velatura.models.control.using import Use, led
from velatura.models.families import flux1
from velatura.models.families.joint import pack, unpack
from velatura.weights.digests import Digests
from velatura_protocol.errors import VelaturaError

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of their scheduler
]
HIDDEN, PROJECTED, SIDE = 32, 24, 32


def random(*shape, seed=0, size=0.3):
    return size * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def encoder(folder, *, single):
    """A random image encoder, as a folder or as a single file."""
    config = CLIPVisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=48,
        projection_dim=PROJECTED,
        num_hidden_layers=2,
        num_attention_heads=1,
        image_size=SIDE,
        patch_size=8,
        hidden_act="quick_gelu",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = CLIPVisionModelWithProjection(config).eval()
    if single:
        return write(folder / "clip_vision" / "vision.safetensors", network.state_dict()), network
    network.save_pretrained(folder / "image_encoder")
    return folder / "image_encoder", network


def ip_adapter(path, unet, *, plus):
    """A random IP-Adapter as its authors write it: of the projected vector, or of the states (plus)."""
    width = unet.config.cross_attention_dim
    if plus:
        d, inner = 64, 64
        names = {
            "latents": (1, 4, d),
            "proj_in.weight": (d, HIDDEN),
            "proj_in.bias": (d,),
            "proj_out.weight": (width, d),
            "proj_out.bias": (width,),
            "norm_out.weight": (width,),
            "norm_out.bias": (width,),
        }
        for i in range(4):
            names |= {f"layers.{i}.0.norm{j}.{end}": (d,) for j in (1, 2) for end in ("weight", "bias")}
            names |= {
                f"layers.{i}.0.to_q.weight": (inner, d),
                f"layers.{i}.0.to_kv.weight": (2 * inner, d),
                f"layers.{i}.0.to_out.weight": (d, inner),
                f"layers.{i}.1.0.weight": (d,),
                f"layers.{i}.1.0.bias": (d,),
                f"layers.{i}.1.1.weight": (4 * d, d),
                f"layers.{i}.1.3.weight": (d, 4 * d),
            }
    else:
        names = {"proj.weight": (4 * width, PROJECTED), "proj.bias": (4 * width,)}
        names |= {"norm.weight": (width,), "norm.bias": (width,)}
    tensors = {f"image_proj.{name}": random(*shape, seed=i) for i, (name, shape) in enumerate(names.items())}
    number = 1
    for name in unet.attn_processors:
        if name.endswith("attn2.processor"):
            out = unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
            for seed, kind in ((number, "k"), (number + 100, "v")):
                tensors[f"ip_adapter.{number}.to_{kind}_ip.weight"] = random(out, width, seed=seed)
            number += 2
    return write(path, tensors)


def picture():
    """A picture [1, 3, 48, 64] in [0, 1] of whole bytes, and as an image of PIL."""
    coarse = random(1, 3, 6, 8, seed=8, size=1.0).sigmoid()
    values = (F.interpolate(coarse, (48, 64), mode="bicubic").clamp(0, 1) * 255).round()
    image = Image.fromarray(values[0].permute(1, 2, 0).byte().numpy())
    return values / 255.0, image


def theirs(folder, name, network, path, n, pixels, strength):
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    checker = {} if "XL" in name else {"safety_checker": None}
    pipeline = getattr(diffusers, name).from_pretrained(
        folder,
        scheduler=EulerDiscreteScheduler.from_config(config | {"steps_offset": 1}),
        image_encoder=network,
        feature_extractor=CLIPImageProcessor(size=SIDE, crop_size=SIDE),
        local_files_only=True,
        low_cpu_mem_usage=False,
        **checker,
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_ip_adapter(
        str(path.parent),
        subfolder="",
        weight_name=path.name,
        image_encoder_folder=None,
        low_cpu_mem_usage=False,
    )
    pipeline.set_ip_adapter_scale(strength)
    arguments = {"num_inference_steps": STEPS, "guidance_scale": 2.0, "latents": n, "output_type": "latent"}
    return pipeline("a hat", height=64, width=64, ip_adapter_image=pixels, **arguments).images


CASES = [
    (tiny_model, "StableDiffusionPipeline", False),
    (tiny_model, "StableDiffusionPipeline", True),
    (tiny_sdxl, "StableDiffusionXLPipeline", True),
]


@pytest.mark.parametrize(("make", "name", "plus"), CASES, ids=["sd", "sd plus", "sdxl plus"])
def test_a_look_is_that_of_the_pipeline(tmp_path, make, name, plus):
    model = loaded(make(tmp_path / "model"))
    path = ip_adapter(tmp_path / "ip-adapter.safetensors", model.unet, plus=plus)
    place, network = encoder(tmp_path, single=plus)
    shown, _ = picture()
    plain, n = ours(model)
    use = Use(guide(path, "sdxl" if "XL" in name else "sd", encoder=place), shown, strength=0.8)
    looking = led(model, [use], {}, Digests())[0]
    z = ours(looking)[0]
    pixels = _prepared(shown, SIDE)
    torch.testing.assert_close(z, theirs(tmp_path / "model", name, network, path, n, pixels, 0.8), **CLOSE)
    assert (z - plain).abs().max() > 0.01 and ours(model)[0].equal(plain)


def test_a_look_goes_together_with_attention_that_a_method_controls(tmp_path):
    model = loaded(tiny_model(tmp_path / "model"))
    path = ip_adapter(tmp_path / "ip-adapter.safetensors", model.unet, plus=False)
    use = Use(guide(path, "sd", encoder=encoder(tmp_path, single=False)[0]), picture()[0])
    looking = led(model, [use], {}, Digests())[0]
    places = []
    x, c = random(1, 4, 8, 8, size=1.0), looking.encode_prompt("a hat")
    with torch.inference_mode():
        by_maps = denoise(looking, x, 2.0, c, flows.by_maps(places))
        own = denoise(looking, x, 2.0, c)
        torch.testing.assert_close(by_maps, own, rtol=1e-5, atol=1e-5)
        assert {place.kind for place in places} == {"cross", "self"}
        assert (own - denoise(model, x, 2.0, c)).abs().max() > 1e-3
    states = c.states.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(denoise(looking, x, 2.0, c.with_states(states)).sum(), states)
    assert gradient.abs().max() > 0.0


def test_pictures_are_prepared_as_by_clip():
    shown, image = picture()
    expected = CLIPImageProcessor(size=SIDE, crop_size=SIDE)(image, return_tensors="pt").pixel_values
    square = CLIPImageProcessor(size=SIDE, crop_size=SIDE)(image.crop((8, 0, 56, 48)), return_tensors="pt")
    assert (_prepared(shown, SIDE) - square.pixel_values).abs().max() < 0.05  # they round to bytes
    assert (_prepared(shown, SIDE) - expected).abs().mean() < 0.05


def test_flux1_is_that_of_the_pipeline(tmp_path):
    model = flows.loaded(flux1.load, tiny_flux1(tmp_path / "model"))
    width, inner = model.transformer.config.joint_attention_dim, model.transformer.inner_dim
    tensors = {
        "ip_adapter_proj_model.proj.weight": random(4 * width, PROJECTED),
        "ip_adapter_proj_model.proj.bias": random(4 * width, seed=1),
        "ip_adapter_proj_model.norm.weight": random(width, seed=2),
        "ip_adapter_proj_model.norm.bias": random(width, seed=3),
    }
    for seed, kind in enumerate("kv", 10):
        start = f"double_blocks.0.processor.ip_adapter_double_stream_{kind}_proj"
        tensors |= {
            f"{start}.weight": random(inner, width, seed=seed),
            f"{start}.bias": random(inner, seed=seed),
        }
    path = write(tmp_path / "flux" / "ip_adapter.safetensors", tensors)
    place, network = encoder(tmp_path, single=False)
    shown, _ = picture()
    pipeline = FluxPipeline.from_pretrained(
        tmp_path / "model",
        image_encoder=network,
        feature_extractor=CLIPImageProcessor(size=SIDE, crop_size=SIDE),
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_ip_adapter(
        str(path.parent),
        weight_name=path.name,
        image_encoder_pretrained_model_name_or_path=None,
        low_cpu_mem_usage=False,
    )
    pipeline.set_ip_adapter_scale(0.7)
    height, wide = 48, 64
    n = noise.standard_normal([0], (16, height // 8, wide // 8))
    tokens = pipeline(
        "a red hat",
        height=height,
        width=wide,
        guidance_scale=3.5,
        num_inference_steps=STEPS,
        ip_adapter_image=_prepared(shown, SIDE),
        latents=pack(n),
        output_type="latent",
    ).images
    expected = unpack(tokens, height // 8, wide // 8)
    use = Use(guide(path, "flux1", encoder=place), shown, strength=0.7)
    looking = led(model, [use], {}, Digests())[0]
    found = flows.sampled(looking, n, STEPS, "a red hat")
    assert (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())
    assert (flows.sampled(model, n, STEPS, "a red hat") - expected).abs().max() > 1e-2


def test_a_missing_image_encoder_is_said(tmp_path):
    model = loaded(tiny_model(tmp_path / "model"))
    path = ip_adapter(tmp_path / "ip-adapter.safetensors", model.unet, plus=True)
    one = guide(path, "sd", encoder=tmp_path)._replace(encoder=None)
    with pytest.raises(VelaturaError, match=r"lacks its image encoder.*width 32.*clip_vision"):
        led(model, [Use(one, picture()[0])], {}, Digests())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ip_adapter.1.to_k_ip.weight", torch.tensor(1.0)),
        ("ip_adapter.1.to_k_ip.weight", torch.full((16, 64), float("nan"))),
        ("ip_adapter.3.to_v_ip.weight", torch.ones(7, 64)),
        ("image_proj.norm.weight", torch.ones(3)),
    ],
)
def test_a_damaged_file_is_refused_and_the_model_stays_as_it_is(tmp_path, name, value):
    model = loaded(tiny_model(tmp_path / "model"))
    path = ip_adapter(tmp_path / "ip-adapter.safetensors", model.unet, plus=False)
    tensors = load_file(path)
    assert name in tensors
    write(path, tensors | {name: value})
    with pytest.raises(VelaturaError, match="or its file is damaged"):
        led(
            model,
            [Use(guide(path, "sd", encoder=encoder(tmp_path, single=False)[0]), picture()[0])],
            {},
            Digests(),
        )
