"""Z-Image beside diffusers' own pipeline, on the same random weights, prompt and noise."""

from __future__ import annotations

import shutil

import pytest
import torch
from diffusers import ZImagePipeline

from tests.models import flows, ldm
from tests.tiny_z_image import authors_names, tiny_z_image
from velatura.diffusion import noise
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import denoise
from velatura.models.families.z_image import load

H, W, STEPS = 64, 96, 4
LONG = "a red hat with a long blue feather and a golden ring"  # more than 32 tokens with the template


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_z_image(tmp_path_factory.mktemp("z-image-turbo"))


@pytest.fixture(scope="module")
def pipeline(folder):
    pipe = ZImagePipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def model(folder):
    return flows.loaded(load, folder)


def start(n=1):
    return noise.standard_normal(range(n), (16, H // 8, W // 8))


@pytest.mark.parametrize("guidance", [0.0, 3.0])
def test_a_run_is_that_of_diffusers(model, pipeline, guidance):
    """Its pipeline counts guidance from 0."""
    expected = pipeline(
        LONG,
        negative_prompt="ugly",
        height=H,
        width=W,
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        latents=start(),
        output_type="latent",
    ).images
    found = flows.sampled(model, start(), STEPS, LONG, "ugly", 1.0 + guidance)
    assert expected.std() > 0.1
    assert (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())


def test_latents_are_scaled_as_by_diffusers(model, pipeline):
    image = torch.rand(1, 3, H, W) * 2.0 - 1.0
    with torch.no_grad():
        z = (pipeline.vae.encode(image).latent_dist.mode() - 0.1159) * 0.3611
    assert (model.encode(image) - z).abs().max() < 1e-5
    assert (model.latent_channels, model.factor, model.multiple, model.attention_levels) == (16, 8, 16, (1,))


def test_a_prompts_words_are_found_inside_of_its_template(model):
    read = model.tokenized("a hat")
    states = model.encode_prompt("a hat").states
    assert len(read.ids) == states.shape[1] == 3 + 4 + 5
    assert [read.offsets[j] for j in read.content] == [(0, 1), (1, 2), (2, 3), (3, 5)]


def test_attention_by_explicit_maps_agrees_for_prompts_of_other_lengths(model):
    c, places = cat([model.encode_prompt("a hat"), model.encode_prompt(LONG)]), []
    plain = denoise(model, start(2), 1.0, c)
    assert (denoise(model, start(2), 1.0, c, flows.by_maps(places)) - plain).abs().max() < 1e-5
    assert [place.kind for place in places] == ["self", "joint", "joint"]
    length = c.states.shape[1]
    assert {(p.text, p.image) for p in places[1:]} == {((32, 32 + length), (0, 24))}
    alone = denoise(model, start(2)[:1], 1.0, model.encode_prompt("a hat"))
    assert (plain[:1] - alone).abs().max() < 1e-5


@pytest.fixture(scope="module")
def shelf(folder, model, tmp_path_factory):
    """The same weights as a person's folders of ComfyUI have them."""
    shelf = tmp_path_factory.mktemp("comfy")
    names = authors_names(model.transformer)
    flows.write(shelf / "diffusion_models" / "z_image_turbo_bf16.safetensors", names)
    flows.write_gguf(shelf / "unet" / "z_image_turbo-F32.gguf", names, "lumina2")
    flows.write_gguf(shelf / "unet" / "z_image_turbo-Q8_0.gguf", names, "lumina2", quantised=True)
    flows.write(shelf / "vae" / "ae.safetensors", ldm.autoencoder(model.autoencoder))
    shutil.copytree(folder / "tokenizer", shelf / "text_encoders" / "tokenizer")
    encoder = {f"model.{name}": value for name, value in model.text_encoder.state_dict().items()}
    flows.write(shelf / "text_encoders" / "qwen_3_4b.safetensors", encoder)
    return shelf


FILES = {
    "diffusion_models/z_image_turbo_bf16.safetensors": 1e-4,
    "unet/z_image_turbo-F32.gguf": 1e-4,
    "unet/z_image_turbo-Q8_0.gguf": 0.2,
}


@pytest.mark.parametrize("file", FILES)
def test_files_give_what_the_folder_gives(model, shelf, file):
    other = flows.loaded(load, shelf / file, [shelf])
    x, image = start(), torch.rand(1, 3, H, W)
    found, expected = (denoise(m, x, 1.0, m.encode_prompt("a red hat")) for m in (other, model))
    assert (found - expected).abs().max() < FILES[file]
    assert (other.encode(image) - model.encode(image)).abs().max() < 1e-5
    assert (other.training_sigmas == model.training_sigmas).all()
    assert not other.takes_guidance  # its name says that it is Turbo


@pytest.mark.parametrize("method", flows.METHODS)
def test_methods_run_and_leave_the_rest_alone(model, method):
    source, mask, results = flows.edited(model, method)
    assert all(flows.outside(source, mask, result) == 0 for result in results)
