"""Families with a UNet against diffusers' own pipelines: the same weights, prompts, noise and steps."""

from __future__ import annotations

import json

import diffusers
import pytest
import torch
import torch.nn.functional as F
from diffusers import EulerDiscreteScheduler
from transformers import CLIPTextModel, CLIPTokenizer

from tests.tiny import tiny_model
from tests.tiny_sdxl import NOISY_LEVELS, tiny_sdxl, with_unet
from velatura.diffusion import noise, samplers, schedule
from velatura.diffusion.denoiser import guided
from velatura.models.catalogue import ModelEntry
from velatura.models.families import sd, sdxl
from velatura.models.families.sdxl import StableDiffusionXL
from velatura.models.recognition import Found
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of their scheduler
]
STEPS, SCALE = 4, 2.0
CLOSE = {"rtol": 1e-5, "atol": 1e-4}


def loaded(folder):
    return ModelStore([ModelEntry("m", "M", "diffusers", str(folder), 64)]).get("m")


def edited(image):
    """A mask of whole cells within the picture, [1, 1, h, w]."""
    mask = torch.zeros(1, 1, *image.shape[-2:])
    mask[..., 16:48, 8:40] = 1.0
    return mask


def picture(side=64):
    generator = torch.Generator().manual_seed(4)
    return F.interpolate(torch.rand(1, 3, 8, 8, generator=generator), (side, side), mode="bicubic").clamp(
        0, 1
    )


@torch.inference_mode()
def ours(model, scale=SCALE, negative="", start=None):
    """The latents after all steps, and the noise of their start."""
    sigmas = schedule.sigmas(model.training_sigmas, STEPS)
    n = noise.standard_normal([3], (model.latent_channels, 8, 8))
    x = n * (start or sigmas[0])
    return samplers.euler(guided(model, "a hat", negative, scale), x, sigmas, lambda x, step: x), n


def theirs(folder, name, n, scale=SCALE, **more):
    """The same of one of diffusers' pipelines."""
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    checker = {} if "XL" in name else {"safety_checker": None}
    pipeline = getattr(diffusers, name).from_pretrained(
        folder,
        scheduler=EulerDiscreteScheduler.from_config(config | {"steps_offset": 1}),
        local_files_only=True,
        low_cpu_mem_usage=False,
        **checker,
    )
    pipeline.set_progress_bar_config(disable=True)
    if "Instruct" not in name:
        more |= {"height": 64, "width": 64}
    return pipeline(
        "a hat", num_inference_steps=STEPS, guidance_scale=scale, latents=n, output_type="latent", **more
    ).images


def test_sd_is_the_pipelines(tmp_path):
    model = loaded(tiny_model(tmp_path))
    z, n = ours(model, negative="a beard")
    torch.testing.assert_close(
        z, theirs(tmp_path, "StableDiffusionPipeline", n, negative_prompt="a beard"), **CLOSE
    )


@pytest.mark.parametrize("negative", ["", "a beard"])
@pytest.mark.parametrize("levels", [{}, NOISY_LEVELS], ids=["epsilon", "v and pure noise"])
def test_sdxl_is_the_pipelines(tmp_path, levels, negative):
    model = loaded(tiny_sdxl(tmp_path, **levels))
    assert isinstance(model, StableDiffusionXL)
    z, n = ours(model, negative=negative)
    rescale = {"guidance_rescale": 0.7} if levels else {}
    expected = theirs(tmp_path, "StableDiffusionXLPipeline", n, negative_prompt=negative or None, **rescale)
    torch.testing.assert_close(z, expected, **CLOSE)
    assert (z - ours(model, 1.0)[0]).abs().max() > 0.01


def test_a_few_steps_without_guidance_are_the_pipelines(tmp_path):
    model = loaded(tiny_sdxl(tmp_path))
    z, n = ours(model, 1.0)
    torch.testing.assert_close(z, theirs(tmp_path, "StableDiffusionXLPipeline", n, 0.0), **CLOSE)


def skipping(folder, family, layers):
    """The model without so many of its text encoders' last layers."""
    found = Found(family, "folder", folder, 64, clip_skip=layers)
    module = {"sd": sd, "sdxl": sdxl}[family]
    return module.load(found, "m", "d", torch.device("cpu"), torch.float32)


def test_layers_of_both_text_encoders_are_left_out_as_in_the_pipeline(tmp_path):
    folder = tiny_sdxl(tmp_path)
    z, n = ours(
        skipping(folder, "sdxl", 2), 1.0
    )  # the pipeline does not count the one that is always left out
    torch.testing.assert_close(z, theirs(folder, "StableDiffusionXLPipeline", n, 1.0, clip_skip=1), **CLOSE)
    assert (z - ours(loaded(folder), 1.0)[0]).abs().max() > 1e-3


@torch.inference_mode()
def test_layers_of_the_text_encoder_are_left_out(tmp_path):
    """By its configuration: the pipeline's own way fails with this version of transformers."""
    folder = tiny_sdxl(tmp_path)  # its first text encoder has three layers
    with_unet(folder, cross_attention_dim=64, addition_embed_type=None)
    found = skipping(folder, "sd", 1).encode_prompt("a hat").states
    config = json.loads((folder / "text_encoder" / "config.json").read_text())
    (folder / "text_encoder" / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    shorter = CLIPTextModel.from_pretrained(folder / "text_encoder")
    expected = shorter(loaded_tokens(folder)).last_hidden_state
    torch.testing.assert_close(found, expected, **CLOSE)


def loaded_tokens(folder):
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    return tokenizer("a hat", padding="max_length", max_length=77, return_tensors="pt").input_ids


def test_embedded_guidance_is_the_pipelines(tmp_path):
    model = loaded(with_unet(tiny_model(tmp_path), time_cond_proj_dim=16))
    assert model.embeds_guidance
    at = model.at_guidance(SCALE)
    z, n = ours(at, 1.0)
    torch.testing.assert_close(z, theirs(tmp_path, "StableDiffusionPipeline", n), **CLOSE)
    assert (z - ours(model, 1.0)[0]).abs().max() > 1e-3
    assert at.unet is model.unet and at.digest == f"{model.digest} at guidance 2"


def test_other_models_take_no_scale_of_guidance(tmp_path):
    model = loaded(tiny_model(tmp_path))
    assert not model.embeds_guidance and model.picture_guidance is None and not model.most_references
    for refused in (
        lambda: model.at_guidance(2.0),
        lambda: model.at_picture_guidance(2.0),
        lambda: model.referring([picture()]),
    ):
        with pytest.raises(VelaturaError) as error:
            refused()
        assert error.value.code == "unknown-model"


FOLDERS = {"sd": tiny_model, "sdxl": tiny_sdxl}


@pytest.mark.parametrize("family", FOLDERS)
def test_inpainting_is_the_pipelines(tmp_path, family):
    folder = with_unet(FOLDERS[family](tmp_path, vae="tiny"), in_channels=9)
    image, model = picture(), loaded(folder)
    mask = edited(image)
    prepared = model.prepared(image * 2.0 - 1.0, mask)
    z, n = ours(prepared)
    name = f"StableDiffusion{'XL' if family == 'sdxl' else ''}InpaintPipeline"
    expected = theirs(folder, name, n, image=image, mask_image=mask, strength=1.0)
    torch.testing.assert_close(z, expected, **CLOSE)
    assert (z - ours(model)[0]).abs().max() > 1e-3
    assert (z - ours(model.prepared(image, 1.0 - mask))[0]).abs().max() > 1e-3
    assert prepared.digest != model.digest != model.prepared(image, 1.0 - mask).digest


def test_an_instruction_is_the_pipelines(tmp_path):
    model = loaded(with_unet(tiny_model(tmp_path), in_channels=8))
    image = picture()
    assert (model.most_references, model.picture_guidance) == (1, 1.5)
    shown = model.referring([image * 2.0 - 1.0])
    for scale in (1.5, 2.5):
        z, n = ours(shown.at_picture_guidance(scale))
        expected = theirs(
            tmp_path, "StableDiffusionInstructPix2PixPipeline", n, image=image, image_guidance_scale=scale
        )
        torch.testing.assert_close(z, expected, **CLOSE)
    assert (z - ours(model)[0]).abs().max() > 1e-3
    assert shown.digest != model.digest != shown.at_picture_guidance(2.0).digest
    with pytest.raises(VelaturaError, match="one picture, not 2"):
        model.referring([image, image])
