"""Stable Diffusion 3.5 beside diffusers' own pipeline, on the same random weights, prompt and noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from diffusers import StableDiffusion3Pipeline
from safetensors.torch import load_file

from tests.models import flows
from tests.tiny_sd3 import tiny_sd3, tiny_sd3_file
from velatura.diffusion import noise
from velatura.diffusion.denoiser import denoise
from velatura.models.families.clip_and_t5 import clip_tokenizer
from velatura.models.families.sd3 import load
from velatura.models.recognition import recognise

H, W, STEPS = 48, 64, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_sd3(tmp_path_factory.mktemp("sd3"))


@pytest.fixture(scope="module")
def model(folder):
    return flows.loaded(load, folder)


def start(seed=0):
    return noise.standard_normal([seed], (16, H // 8, W // 8))


def theirs(folder, prompt, **more):
    """The latents of diffusers' pipeline, whose own times are not even."""
    absent = [name for name in ("text_encoder_3", "tokenizer_3") if not (folder / name).exists()]
    pipeline = StableDiffusion3Pipeline.from_pretrained(folder, **dict.fromkeys(absent))
    pipeline.set_progress_bar_config(disable=True)
    even = np.linspace(1.0, 1.0 / STEPS, STEPS).tolist()
    arguments = {"height": H, "width": W, "sigmas": even, "latents": start(), "output_type": "latent"}
    return pipeline(prompt=prompt, **arguments | more).images


def close(found, expected):
    return (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())


@pytest.mark.parametrize("scale", [1.0, 4.5])
def test_a_run_is_that_of_diffusers(model, folder, scale):
    expected = theirs(folder, "a red hat", negative_prompt="a dog", guidance_scale=scale)
    found = flows.sampled(model, start(), STEPS, "a red hat", "a dog", scale)
    assert close(found, expected)
    assert not close(flows.sampled(model, start(), STEPS, "a blue dog", "a dog", scale), expected)
    assert not model.embeds_guidance and model.most_references == 0


def test_a_run_without_t5_is_that_of_diffusers(tmp_path):
    folder = tiny_sd3(tmp_path, t5=False)
    found = recognise(folder)
    assert found is not None and not found.missing
    model = flows.loaded(load, folder)
    assert close(
        flows.sampled(model, start(), STEPS, "a red hat"), theirs(folder, "a red hat", guidance_scale=1.0)
    )
    assert model.excess("a" * 100) > 0  # CLIP alone reads 77 tokens
    assert set(model.networks) == {"transformer", "vae", "text_encoder", "text_encoder_2"}


def test_a_prompt_is_read_by_clip_and_by_t5(model):
    read = model.tokenized("a red hat")
    (t5,) = read.further
    assert len(read.ids) + len(t5.ids) == model.encode_prompt("a red hat").states.shape[1] == 77 + 256
    assert [read.ids[i] for i in read.content] == model.tokenizer("a red hat").input_ids[1:-1]
    assert [t5.ids[i] for i in t5.content] == model.tokenizer_3("a red hat").input_ids[:-1]
    assert model.excess("a cat " * 200) > 0 == model.excess("a cat " * 100)
    long = model.tokenized("a cat " * 100)  # CLIP reads its start
    assert len(long.ids) == len(long.offsets) == 77 and long.content == range(1, 76)


def test_attention_by_explicit_maps_agrees(model):
    c, x, places = model.encode_prompt("a red hat").expand(2), torch.randn(2, 16, 4, 6), []
    with torch.inference_mode():
        plain = denoise(model, x, 0.7, c)
        held = denoise(model, x, 0.7, c, flows.by_maps(places))
    assert (plain - held).abs().max() < 1e-5
    assert [p.kind for p in places] == ["joint", "self", "joint"]  # the first block has a second attention
    assert {(p.text, p.image) for p in places} == {((6, 339), (0, 6)), (None, (0, 6))}


def test_files_give_the_same_as_their_folder(model, folder, tmp_path):
    x, time = torch.randn(1, 16, 4, 6), 0.6

    def prediction(of):
        with torch.inference_mode():
            return of.network(x, time, of.encode_prompt("a red hat"))

    def loaded_from(path):
        """The tokenizers are those of the tiny encoders; real files go without CLIP's."""
        found = recognise(path, [path.parent])
        assert found is not None and not set(found.missing) - {"tokenizer_3"}
        names = ("tokenizer", "tokenizer_2", "tokenizer_3")
        parts = {**found.parts, **{name: folder / name for name in names}}
        found = dataclasses.replace(found, parts=parts, size=64)
        return load(found, "tiny", "digest", torch.device("cpu"), torch.float32)

    expected = prediction(model)
    path = tiny_sd3_file(folder, tmp_path / "sd3.5_medium.safetensors")
    loaded = loaded_from(path)
    assert (prediction(loaded) - expected).abs().max() < 1e-5
    image = torch.rand(1, 3, 32, 32)
    assert (loaded.encode(image) - model.encode(image)).abs().max() < 1e-5
    assert (loaded.training_sigmas == model.training_sigmas).all()

    tensors = load_file(path)
    prefix = "model.diffusion_model."
    network = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    for name, own in {
        "vae": "first_stage_model.",
        "clip_l": "text_encoders.clip_l.transformer.",
        "clip_g": "text_encoders.clip_g.transformer.",
        "t5xxl": "text_encoders.t5xxl.transformer.",
    }.items():
        part = {k.removeprefix(own): v for k, v in tensors.items() if k.startswith(own)}
        flows.write(tmp_path / "parts" / f"{name}.safetensors", part)

    def with_parts(path):
        found = recognise(path)
        assert found is not None and found.family == "sd3"
        near = {"vae": "vae", "text_encoder": "clip_l", "text_encoder_2": "clip_g", "text_encoder_3": "t5xxl"}
        parts = {name: tmp_path / "parts" / f"{file}.safetensors" for name, file in near.items()}
        parts |= {name: folder / name for name in ("tokenizer", "tokenizer_2", "tokenizer_3")}
        found = dataclasses.replace(found, parts={**found.parts, **parts}, size=64)
        return load(found, "tiny", "digest", torch.device("cpu"), torch.float32)

    exact = flows.write_gguf(tmp_path / "sd3.5_medium.gguf", network, "sd3")
    assert (prediction(with_parts(exact)) - expected).abs().max() < 1e-5
    quantised = flows.write_gguf(tmp_path / "sd3.5_medium-Q8_0.gguf", network, "sd3", quantised=True)
    rounded = prediction(with_parts(quantised)) - expected
    assert rounded.abs().max() > 1e-5 and rounded.std() < 0.05 * expected.std()


def test_clips_own_vocabulary_ships():
    for is_open, pad in ((False, "<|endoftext|>"), (True, "!")):
        tokenizer = clip_tokenizer(None, is_open=is_open)
        assert len(tokenizer) == 49408 and tokenizer.pad_token == pad
        assert tokenizer("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]


@pytest.mark.parametrize("method", flows.METHODS)
def test_edits_end_at_the_selection(model, method):
    source, mask, results = flows.edited(model, method)
    for result in results:
        assert flows.outside(source, mask, result) == 0
