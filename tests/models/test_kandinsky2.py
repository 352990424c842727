"""Kandinsky 2.2 beside diffusers' own pipelines, on the same random weights, prompt and noise."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    KandinskyV22InpaintPipeline,
    KandinskyV22Pipeline,
    KandinskyV22PriorPipeline,
)

from tests.models import flows
from tests.tiny_kandinsky2 import tiny_kandinsky2
from velatura.diffusion import noise
from velatura.diffusion.denoiser import denoise, guided
from velatura.methods.checks import lacking, suits
from velatura.methods.registry import registry
from velatura.models import traits
from velatura.models.catalogue import ModelEntry
from velatura.models.families.kandinsky2 import load
from velatura.models.recognition import named, recognise
from velatura_protocol.errors import VelaturaError

SIDE, STEPS, SCALE = 64, 4, 3.0
PROMPT = "a red hat"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return tiny_kandinsky2(tmp_path_factory.mktemp("kandinsky"))


@pytest.fixture(scope="module")
def inpainting(tmp_path_factory):
    return tiny_kandinsky2(tmp_path_factory.mktemp("inpainting"), inpainting=True)


def loaded(folders):
    decoder, _ = folders
    return flows.loaded(load, decoder, [decoder.parent], SIDE)


@pytest.fixture(scope="module")
def model(folders):
    return loaded(folders)


def quiet(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def features(folders, prompt=PROMPT):
    """Those of diffusers' prior, with the noise of ours, and those without a prompt."""
    pipeline = quiet(KandinskyV22PriorPipeline.from_pretrained(folders[1]))
    return pipeline(prompt, generator=torch.Generator().manual_seed(0)).to_tuple()


def decoder(cls, folders):
    pipeline = quiet(cls.from_pretrained(folders[0], low_cpu_mem_usage=False))
    config = dict(pipeline.scheduler.config) | {"steps_offset": 0, "set_alpha_to_one": True}
    pipeline.scheduler = DDIMScheduler.from_config(config)
    return pipeline


@torch.inference_mode()
def sampled(model, x, pipeline, after=lambda x, before: x):
    """The latents after DDIM's steps over the pipeline's times. after: see the pipeline for inpainting."""
    D, scheduler = guided(model, PROMPT, "", SCALE), pipeline.scheduler
    scheduler.set_timesteps(STEPS)
    times, abar = scheduler.timesteps.tolist(), scheduler.alphas_cumprod.double()
    for t, before in zip(times, [*times[1:], None], strict=True):
        a, b = float(abar[t]), 1.0 if before is None else float(abar[before])
        z = D(x / a**0.5, ((1.0 - a) / a) ** 0.5)
        n = (x - a**0.5 * z) / (1.0 - a) ** 0.5
        x = after(b**0.5 * z + (1.0 - b) ** 0.5 * n, before)
    return x


def test_the_features_are_those_of_diffusers_prior(model, folders):
    of_prompt, of_nothing = features(folders)
    assert (model.encode_prompt(PROMPT).states[:, 0] - of_prompt).abs().max() < 1e-4
    assert (model.encode_prompt("").states[:, 0] - of_nothing).abs().max() < 1e-5
    other = model.encode_prompt("a blue dog").states[:, 0]
    assert (other - of_prompt).abs().max() > 1e-2


def test_a_run_is_that_of_diffusers(model, folders):
    n, pipeline = noise.standard_normal([3], (4, 16, 16)), decoder(KandinskyV22Pipeline, folders)
    of_prompt, of_nothing = features(folders)
    expected = pipeline(
        of_prompt,
        of_nothing,
        height=32,
        width=32,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        latents=n,
        output_type="latent",
    ).images
    assert (sampled(model, n, pipeline) - expected).abs().max() < 1e-4 * max(1.0, expected.std())


def test_latents_are_neither_scaled_nor_quantised(model, folders):
    movq = decoder(KandinskyV22Pipeline, folders).movq
    image = torch.rand(1, 3, SIDE, SIDE) * 2.0 - 1.0
    with torch.no_grad():
        z = movq.encode(image).latents
        picture = movq.decode(z, force_not_quantize=True).sample.clamp(-1.0, 1.0)
    assert (model.encode(image) - z).abs().max() < 1e-5
    assert (model.decode(z) - picture).abs().max() < 1e-5
    with pytest.raises(VelaturaError, match="cannot be tuned"):
        model.tunable_decoder()


def test_inpainting_is_that_of_diffusers(inpainting):
    model, pipeline = loaded(inpainting), decoder(KandinskyV22InpaintPipeline, inpainting)
    image = torch.rand(1, 3, 32, 32) * 2.0 - 1.0
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:20, :] = 1.0  # whole cells, and no corners, which their pipeline widens in one direction only
    n, (of_prompt, of_nothing) = noise.standard_normal([3], (4, 16, 16)), features(inpainting)
    expected = pipeline(
        of_prompt,
        image,
        mask.clone(),
        of_nothing,
        height=32,
        width=32,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        latents=n,
        output_type="latent",
    ).images
    prepared = model.prepared(image, mask)
    kept = prepared._masked(torch.zeros(1, 4, 16, 16))[:, 4:]
    assert 0.0 < kept.mean() < 1.0
    z, abar = model.encode(image), pipeline.scheduler.alphas_cumprod

    def blended(x, before):
        a = 1.0 if before is None else abar[before]
        return kept * (a**0.5 * z + (1.0 - a) ** 0.5 * n) + (1.0 - kept) * x

    found = sampled(prepared, n, pipeline, blended)
    assert (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())
    without = sampled(model, n, pipeline, blended)
    assert (found - without).abs().max() > 1e-3


def test_the_parts_are_taken_from_the_priors_folder(folders, inpainting, tmp_path):
    found = recognise(folders[0], [folders[0].parent])
    assert found and found.family == "kandinsky2" and not found.missing
    assert {name: path.parent for name, path in found.parts.items()} == {
        **dict.fromkeys(("unet", "movq", "scheduler"), folders[0]),
        **dict.fromkeys(("prior", "text_encoder", "image_encoder"), folders[1]),
    }
    alone = recognise(folders[0])
    assert alone and "the prior" in named(alone)
    other = recognise(inpainting[0], [inpainting[0].parent])
    assert other and other.has(traits.INPAINTING) and not other.has(traits.JOINT)


def test_methods_that_look_for_words_are_refused_before_a_job(model, folders):
    found = recognise(folders[0], [folders[0].parent])
    assert found
    entry = ModelEntry("k", "Kandinsky", "diffusers", "", 64, found=dataclasses.replace(found, size=64))
    methods = registry()
    for id in ("prompt-to-prompt", "word-map", "ledits", "kv-edit"):
        assert not suits(methods[id], entry)
        refused = lacking(methods[id], entry)
        assert refused and "reads a text as a whole" in str(refused)
    assert suits(methods["sdedit"], entry) and lacking(methods["sdedit"], entry) is None
    with pytest.raises(VelaturaError, match="not word by word"):
        model.tokenized("a hat")


def test_attention_by_explicit_maps_agrees(model):
    c, places, x = model.encode_prompt(PROMPT), [], noise.standard_normal([1], (4, 8, 8))
    found = denoise(model, x, 1.0, c, flows.by_maps(places))
    assert (found - denoise(model, x, 1.0, c)).abs().max() < 1e-5
    assert {(place.kind, place.level) for place in places} == {("self", 1)}
    assert len(places) == 4  # one on the way down, one in the middle, two on the way up


@pytest.mark.parametrize("method", ["sdedit", "blended-latent-diffusion", "flow-align"])
def test_other_methods_run_and_leave_the_rest_alone(model, method):
    source, mask, results = flows.edited(model, method)
    assert all(flows.outside(source, mask, result) == 0 for result in results)


def test_the_inpainting_network_paints_by_methods(inpainting):
    source, mask, results = flows.edited(loaded(inpainting), "blended-latent-diffusion")
    assert all(flows.outside(source, mask, result) == 0 for result in results)
