"""FLUX.2 beside diffusers' own pipelines, on the same random weights, prompt and noise."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Pipeline
from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu
from PIL import Image
from transformers import Mistral3ForConditionalGeneration

from tests.models import flows, ldm
from tests.tiny_flux2 import authors_names, tiny_flux2, tiny_flux2_dev
from velatura.diffusion import noise, schedule
from velatura.diffusion.denoiser import denoise
from velatura.methods import guiding, registry
from velatura.models.families.flux2 import load
from velatura.models.families.joint import unpack
from velatura.models.recognition import Found

H, W, STEPS = 64, 96, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_flux2(tmp_path_factory.mktemp("flux2"), distilled=True)


@pytest.fixture(scope="module")
def pipeline(folder):
    pipe = Flux2KleinPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    pipe.register_to_config(is_distilled=False)
    return pipe


@pytest.fixture(scope="module")
def model(folder):
    return flows.loaded(load, folder, size=96)


def start(n=1, seed=0):
    return noise.standard_normal(range(seed, seed + n), (16, H // 16, W // 16))


def theirs(pipeline, **more):
    """The pipeline's latents, normalised by our own statistics again."""
    arguments = {
        "height": H,
        "width": W,
        "num_inference_steps": STEPS,
        "latents": start(),
        "output_type": "latent",
    }
    return pipeline(**arguments | more).images


def raw(model, z):
    return model._unscaled(z)


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_a_run_is_that_of_diffusers(model, pipeline, scale):
    expected = theirs(pipeline, prompt="a red hat", guidance_scale=scale)
    found = raw(model, flows.sampled(model, start(), STEPS, "a red hat", "", scale))
    assert (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())


@pytest.mark.parametrize("steps", [4, 28])
def test_the_shift_is_that_of_the_runs_steps(model, steps):
    """As diffusers computes it, for the picture's own number of tokens."""
    image = torch.zeros(1, 3, 512, 768)
    sigmas = model.for_steps(steps).prepared(image, image[:, :1]).training_sigmas
    shift = math.exp(compute_empirical_mu(32 * 48, steps))
    t = np.linspace(1.0, 1.0 / steps, steps)
    expected = shift / (shift + 1.0 / t - 1.0)
    found = np.array(schedule.sigmas(sigmas, steps)[:steps])
    np.testing.assert_allclose(found[1:] / (1.0 + found[1:]), expected[1:], atol=1e-6)
    assert (model.for_steps(steps) is model) == (steps == model.steps)


def test_the_parameter_sets_the_steps(model):
    params = registry.registry()["sdedit"].Parameters(steps=28)
    settled, _ = guiding.settled(model, params)
    assert settled.steps == 28 and settled.digest != model.digest
    assert settled.transformer is model.transformer


def test_pictures_are_encoded_and_decoded_as_by_diffusers(model, pipeline):
    image = torch.rand(1, 3, H, W) * 2.0 - 1.0
    with torch.no_grad():
        z = pipeline._encode_vae_image(image, None)
        decoded = pipeline.vae.decode(raw(model, z)).sample.clamp(-1.0, 1.0)
    assert (model.encode(image) - z).abs().max() < 1e-5
    assert (model.decode(z) - decoded).abs().max() < 1e-4
    assert (model.latent_channels, model.factor, model.multiple, model.attention_levels) == (16, 16, 16, (0,))


def test_reference_pictures_are_seen_as_by_diffusers(model, pipeline):
    shown = [torch.randint(0, 256, (3, 64, 96)), torch.randint(0, 256, (3, 64, 64))]
    images = [Image.fromarray(x.permute(1, 2, 0).numpy().astype("uint8")) for x in shown]
    expected = theirs(pipeline, image=images, prompt="make it red", guidance_scale=1.0)
    referring = model.referring([x[None] / 127.5 - 1.0 for x in shown])
    found = raw(model, flows.sampled(referring, start(), STEPS, "make it red"))
    assert (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())
    without = raw(model, flows.sampled(model, start(), STEPS, "make it red"))
    assert (found - without).abs().max() > 0.1 and referring.digest != model.digest


def test_a_prompts_words_are_found_inside_of_its_template(model):
    read = model.tokenized("a häτ")
    assert len(read.ids) == model.encode_prompt("a häτ").states.shape[1] == 512
    assert [read.offsets[j] for j in read.content] == [(0, 1), (1, 2), (2, 3), (3, 4), (3, 4), (4, 5), (4, 5)]
    marks = model.template.tokenizer.convert_ids_to_tokens(read.ids)
    assert marks[: read.content.start] == ["<|im_start|>", "user", "Ċ"]
    assert marks[read.content.stop] == "<|im_end|>" and len(model.tokenized("").content) == 0
    assert model.tokenized("").content.start == 3
    assert model.excess("a" * 600) == 3 + 600 + 11 - 512


def test_attention_by_explicit_maps_agrees(model):
    x, c, places = start(2), model.encode_prompt("a hat").expand(2), []
    referring = model.referring([torch.zeros(1, 3, 32, 32)])
    plain = denoise(referring, x, 1.0, c)
    assert (denoise(referring, x, 1.0, c, flows.by_maps(places)) - plain).abs().max() < 1e-5
    assert len(places) == 4 and {p.kind for p in places} == {"joint"} and {p.level for p in places} == {0}
    assert {(p.text, p.image) for p in places} == {((0, 512), (512, 512 + 24))}


@pytest.fixture(scope="module")
def shelf(folder, model, tmp_path_factory):
    """The same weights as a person's folders of ComfyUI have them."""
    shelf = tmp_path_factory.mktemp("comfy")
    names = authors_names(model.transformer)
    comfy = {f"model.diffusion_model.{name}": value for name, value in names.items()}
    flows.write(shelf / "diffusion_models" / "flux-2-klein-4b.safetensors", comfy)
    flows.write_gguf(shelf / "unet" / "flux-2-klein-4b-F32.gguf", names, "flux")
    flows.write_gguf(shelf / "unet" / "flux-2-klein-4b-Q8_0.gguf", names, "flux", quantised=True)
    vae = ldm.autoencoder(model.autoencoder)
    flows.write(shelf / "vae" / "flux2-vae.safetensors", vae)
    shutil.copytree(folder / "tokenizer", shelf / "text_encoders" / "tokenizer")
    shutil.copy(
        folder / "text_encoder" / "model.safetensors", shelf / "text_encoders" / "qwen_3_4b.safetensors"
    )
    return shelf


FILES = {
    "diffusion_models/flux-2-klein-4b.safetensors": 1e-4,
    "unet/flux-2-klein-4b-F32.gguf": 1e-4,
    "unet/flux-2-klein-4b-Q8_0.gguf": 0.2,
}


@pytest.mark.parametrize("file", FILES)
def test_files_give_what_the_folder_gives(model, shelf, file):
    other = flows.loaded(load, shelf / file, [shelf])
    assert other.steps == model.steps == 4 and other.side == 64
    assert not other.takes_guidance and not model.takes_guidance
    x, image = start(), torch.rand(1, 3, H, W)
    found, expected = (denoise(m, x, 1.0, m.encode_prompt("a red hat")) for m in (other, model))
    assert (found - expected).abs().max() < FILES[file]
    assert (other.encode(image) - model.encode(image)).abs().max() < 1e-5


@pytest.mark.parametrize("method", flows.METHODS)
def test_methods_run_and_leave_the_rest_alone(model, method):
    source, mask, results = flows.edited(model, method)
    assert all(flows.outside(source, mask, result) == 0 for result in results)


def test_a_run_of_dev_with_its_guidance_as_an_input_is_that_of_diffusers(tmp_path):
    folder = tiny_flux2_dev(tmp_path)
    parts = {name: folder / name for name in ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")}
    found = Found("flux2", "folder", folder, 96, parts=parts)
    model = load(found, "tiny", "digest", torch.device("cpu"), torch.float32)
    pipeline = Flux2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        vae=model.autoencoder,
        text_encoder=Mistral3ForConditionalGeneration.from_pretrained(folder / "text_encoder"),
        tokenizer=model.template.tokenizer,
        transformer=model.transformer,
    )
    pipeline.set_progress_bar_config(disable=True)
    tokens = theirs(pipeline, prompt="a red hat", guidance_scale=2.5)
    expected = raw(model, unpack(tokens, H // 16, W // 16, 1))
    model = model.changed("", steps=STEPS)
    assert model.embeds_guidance and model.most_references == 10
    found = raw(model, flows.sampled(model.at_guidance(2.5), start(), STEPS, "a red hat"))
    assert (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())
    other = raw(model, flows.sampled(model.at_guidance(4.0), start(), STEPS, "a red hat"))
    assert (found - other).abs().max() > 1e-2
    read = model.tokenized("a red hat")  # padded on the left
    assert read.content.stop == 511 and len(read.ids) == 512
    assert "".join("a red hat"[slice(*read.offsets[j])] for j in read.content) == "a red hat"
