"""Krea 2 beside diffusers' own pipeline, on the same random weights, prompt and noise."""

from __future__ import annotations

import shutil

import pytest
import torch
from diffusers import Krea2Pipeline

from tests.models import flows
from tests.tiny_krea2 import authors_names, tiny_krea2
from tests.tiny_qwen_image import wan_names
from velatura.diffusion import noise
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import denoise
from velatura.models.families import krea2
from velatura.models.families.joint import pack, unpack
from velatura.models.families.krea2 import load

H, W, STEPS = 64, 96, 4
LONG = "a red hat with a long blue feather"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_krea2(tmp_path_factory.mktemp("krea"))


@pytest.fixture(scope="module")
def model(folder):
    return flows.loaded(load, folder)


def start(n=1):
    return noise.standard_normal(range(n), (16, H // 8, W // 8))


def theirs(folder, scale):
    """Its pipeline counts guidance from 0."""
    pipeline = Krea2Pipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    tokens = pipeline(
        LONG,
        "ugly",
        height=H,
        width=W,
        num_inference_steps=STEPS,
        guidance_scale=scale - 1.0,
        latents=pack(start()),
        output_type="latent",
    ).images
    return unpack(tokens, H // 8, W // 8)


def close(found, expected):
    return (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_run_is_that_of_diffusers(model, folder, scale):
    expected = theirs(folder, scale)
    assert expected.std() > 0.1
    assert close(flows.sampled(model, start(), STEPS, LONG, "ugly", scale), expected)


def test_a_run_of_turbo_is_that_of_diffusers(tmp_path):
    folder = tiny_krea2(tmp_path, distilled=True)
    model = flows.loaded(load, folder)
    assert not model.takes_guidance and model.distilled
    assert close(flows.sampled(model, start(), STEPS, LONG), theirs(folder, 1.0))


def test_a_prompts_words_are_found_inside_of_its_template(model):
    read = model.tokenized("a hat")
    assert len(read.ids) == model.encode_prompt("a hat").states.shape[1] == 4 + 5
    assert [read.offsets[j] for j in read.content] == [(0, 1), (1, 2), (2, 3), (3, 5)]


def test_attention_by_explicit_maps_agrees_for_prompts_of_other_lengths(model):
    c, places = cat([model.encode_prompt("a hat"), model.encode_prompt(LONG)]), []
    plain = denoise(model, start(2), 1.0, c)
    assert (denoise(model, start(2), 1.0, c, flows.by_maps(places)) - plain).abs().max() < 1e-5
    length = c.states.shape[1]
    assert {(p.kind, p.text, p.image) for p in places} == {("joint", (0, length), (length, length + 24))}
    assert len(places) == 2  # the blocks, and not those that fuse the text
    alone = denoise(model, start(2)[:1], 1.0, model.encode_prompt("a hat"))
    assert (plain[:1] - alone).abs().max() < 1e-5


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder whose text encoder is read before the same layers as the published one."""
    return tiny_krea2(tmp_path_factory.mktemp("published"), read=krea2._READ)


@pytest.fixture(scope="module")
def shelf(published, tmp_path_factory):
    """The same weights as a person's folders of ComfyUI have them."""
    pipe = Krea2Pipeline.from_pretrained(published)
    shelf, names = tmp_path_factory.mktemp("comfy"), authors_names(pipe.transformer)
    flows.write(shelf / "diffusion_models" / "krea2_raw_bf16.safetensors", names)
    flows.write(shelf / "diffusion_models" / "krea2-diffusers.safetensors", pipe.transformer.state_dict())
    flows.write_gguf(shelf / "unet" / "krea2-raw-Q8_0.gguf", names, "krea2", quantised=True)
    flows.write(shelf / "vae" / "qwen_image_vae.safetensors", wan_names(pipe.vae))
    shutil.copytree(published / "tokenizer", shelf / "text_encoders" / "tokenizer")
    encoder = {f"model.{name}": value for name, value in pipe.text_encoder.state_dict().items()}
    flows.write(shelf / "text_encoders" / "qwen3vl_4b.safetensors", encoder)
    return shelf


FILES = {
    "diffusion_models/krea2_raw_bf16.safetensors": 1e-4,
    "diffusion_models/krea2-diffusers.safetensors": 1e-4,
    "unet/krea2-raw-Q8_0.gguf": 0.2,
}


@pytest.mark.parametrize("file", FILES)
def test_files_give_what_the_folder_gives(published, shelf, file):
    model, other = flows.loaded(load, published), flows.loaded(load, shelf / file, [shelf])
    x, image = start(), torch.rand(1, 3, H, W)
    found, expected = (denoise(m, x, 1.0, m.encode_prompt("a red hat")) for m in (other, model))
    assert (found - expected).abs().max() < FILES[file]
    assert (other.encode(image) - model.encode(image)).abs().max() < 1e-5
    assert (other.training_sigmas == model.training_sigmas).all()
    assert other.takes_guidance


@pytest.mark.parametrize("method", ["blended-latent-diffusion", "flow-align"])
def test_methods_run_and_leave_the_rest_alone(model, method):
    source, mask, results = flows.edited(model, method)
    assert all(flows.outside(source, mask, result) == 0 for result in results)
