"""Networks of other families need a model of their own; samplers and methods stay as they are.

Stable Diffusion XL takes more beside the text; those for inpainting and for instructions see more channels.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.cache.kept import cache, found, put
from tests.methods.requests import Edit, Recorded, box, picture, pixels
from tests.tiny import tiny_model
from tests.tiny_sdxl import tiny_sdxl, with_unet
from velatura.diffusion import noise, samplers, schedule
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.denoiser import denoise, guided
from velatura.inversion.null_text import null_text
from velatura.methods.execute import execute
from velatura.models.catalogue import ModelEntry
from velatura.models.families.sdxl import StableDiffusionXL
from velatura.models.store import ModelStore

NETWORKS = {
    "sdxl": lambda folder: tiny_sdxl(folder),
    "inpainting": lambda folder: with_unet(tiny_model(folder, vae="tiny"), in_channels=9),
    "instructions": lambda folder: with_unet(tiny_model(folder, vae="tiny"), in_channels=8),
}


@pytest.fixture(scope="module", params=NETWORKS)
def store(request, tmp_path_factory):
    folder = NETWORKS[request.param](tmp_path_factory.mktemp("family"))
    return ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)])


@pytest.fixture(scope="module")
def model(store):
    return store.get()


def theirs(model, condition, x):
    """The UNet's further inputs and further channels for a condition, in diffusers' own words."""
    if isinstance(model, StableDiffusionXL):
        sizes = torch.tensor([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]]).expand(len(x), -1)
        return {"added_cond_kwargs": {"text_embeds": condition.parts["pooled"], "time_ids": sizes}}, x
    if model.most_references:
        return {}, torch.cat([x, torch.zeros_like(x)], 1)
    grey = model.encode(torch.zeros(1, 3, 64, 64)).expand_as(x)
    return {}, torch.cat([x, torch.ones(len(x), 1, 8, 8), grey], 1)


@torch.inference_mode()
def test_guidance_is_what_two_calls_of_the_unet_give(model):
    x, sigma = noise.standard_normal([1, 2], (4, 8, 8)) * 2.0, 1.5
    t, F_ = schedule.time(model.training_sigmas, sigma), []
    for text in ("a beard", "a hat"):
        condition = cat([model.encode_prompt(text)] * 2)
        more, seen = theirs(model, condition, x / (sigma**2 + 1.0) ** 0.5)
        F_.append(model.unet(seen, t, condition.states, **more).sample)
    expected = x - sigma * (F_[0] + 3.0 * (F_[1] - F_[0]))
    found = guided(model, "a hat", "a beard", 3.0)(x, sigma)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
@torch.inference_mode()
def test_samplers_run_and_what_stands_beside_the_text_matters(model, sampler):
    sigmas = schedule.sigmas(model.training_sigmas, 4)
    x = sigmas[0] * noise.standard_normal([3], (model.latent_channels, 8, 8))

    def sampled(change=0.0):
        c = model.encode_prompt("a hat")
        c = Condition(c.states, c.valid, {name: part + change for name, part in c.parts.items()})
        return samplers.SAMPLERS[sampler](
            lambda x, sigma, at=None: denoise(model, x, sigma, c), x, sigmas, lambda x, step: x
        )

    z = sampled()
    assert z.shape == (1, 4, 8, 8) and z.isfinite().all()
    if model.encode_prompt("").parts:
        assert (sampled(1.0) - z).abs().max() > 1e-3


METHODS = {
    "sdedit": {"steps": 4},
    "blended-latent-diffusion": {"steps": 4},
    "prompt-to-prompt": {"steps": 4, "source_prompt": "a cat", "local_blend": False},
    "flow-align": {"steps": 4, "source_prompt": "a cat", "only_changes": False},
    "word-map": {"looks": 1},
    "diffedit-mask": {"looks": 1, "source_prompt": "a cat"},
}


@pytest.mark.parametrize("method", METHODS)
def test_methods_run_as_they_are(store, method):
    asked = Edit(
        picture(), box(64, 64, (16, 48), (16, 48)), method=method, parameters=METHODS[method], prompt="a hat"
    )
    results = execute(asked.request, asked.blobs.__getitem__, store, Recorded())
    assert results and all(np.isfinite(pixels(result)).all() for result in results)


def made(folder, network):
    """A store of one of the models, and what its UNet sees from now on."""
    store = ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(NETWORKS[network](folder)), 64)])
    seen = []
    store.get().unet.register_forward_pre_hook(lambda unet, args: seen.append(args[0]))
    return store, seen


def test_an_inpainting_network_sees_the_picture_and_the_mask(tmp_path):
    store, seen = made(tmp_path, "inpainting")
    mask = box(64, 64, (16, 48), (8, 40))
    asked = Edit(picture(), mask, parameters={"steps": 4}, prompt="a hat")
    execute(asked.request, asked.blobs.__getitem__, store, Recorded())
    cells = torch.zeros(8, 8)
    cells[2:6, 1:5] = 1.0
    assert seen and all(torch.equal(row, cells) for x in seen for row in x[:, 4])
    assert all(x.shape[1] == 9 and x[:, 5:].std() > 0.0 for x in seen)


@torch.inference_mode()
def test_attention_through_q_k_and_v_is_attention(model):
    """With the softmax written out, and with pictures that the network refers to."""
    pictures = [torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(6)) * 2.0 - 1.0]
    model = model.referring(pictures) if model.most_references else model
    x = noise.standard_normal([1, 1], (4, 8, 8))
    condition = cat([model.encode_prompt(text) for text in ("", "a hat")])
    places = set()

    def attend(place, q, k, v):
        places.add(place)
        assert len(q) == 2
        return torch.softmax(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5, -1) @ v

    plain, explicit = model.network(x, 300.0, condition), model.network(x, 300.0, condition, attend)
    torch.testing.assert_close(explicit, plain, rtol=0.0, atol=1e-5)
    assert {place.level for place in places if place.kind == "cross"} == set(model.attention_levels)


@torch.inference_mode()
def test_a_guided_instruction_costs_three_rows(tmp_path):
    store, seen = made(tmp_path, "instructions")
    shown = store.get().referring([torch.rand(1, 3, 50, 40) * 2.0 - 1.0])  # of any size
    x = noise.standard_normal([1], (4, 8, 8))
    D = guided(shown, "a hat", "", 3.0)(x, 1.5)
    assert [len(rows) for rows in seen] == [3]
    two = guided(shown, "a hat", "", 3.0)(torch.cat([x, 2.0 * x]), 1.5)
    assert [len(rows) for rows in seen] == [3, 6]
    torch.testing.assert_close(two[:1], D, rtol=1e-4, atol=1e-4)


def test_null_text_inversion_fits_the_text_and_leaves_the_rest(model):
    z0, sigmas = noise.standard_normal([7], (4, 8, 8)), schedule.sigmas(model.training_sigmas, 2)
    c, uncond = (model.encode_prompt(text) for text in ("a hat", ""))
    with torch.inference_mode():
        trajectory = null_text(model, z0, c, uncond, sigmas, 5.0)
    assert len(trajectory.uncond) == 2
    for fitted in trajectory.uncond:
        assert not fitted.states.equal(uncond.states)
        assert fitted.with_states(uncond.states).equal(uncond)


def test_its_trajectory_is_kept_on_disk_with_all_parts(model, tmp_path):
    z0, sigmas = noise.standard_normal([7], (4, 8, 8)), schedule.sigmas(model.training_sigmas, 2)
    c = model.encode_prompt("a hat")
    with torch.inference_mode():
        trajectory = null_text(model, z0, c, model.encode_prompt(""), sigmas, 5.0)
    put(cache(tmp_path), "key", trajectory)
    read = found(cache(tmp_path), "key")
    assert all(a.equal(b) for a, b in zip(read.uncond, trajectory.uncond, strict=True))
