"""A run along a source: exactness, what is computed, what is kept."""

from __future__ import annotations

import pytest
import torch

from velatura.cache.cache import Cache
from velatura.diffusion import noise, schedule
from velatura.diffusion.blending import blend
from velatura.diffusion.denoiser import guided as classifier_free
from velatura.diffusion.samplers import euler
from velatura.inversion import ddim, edit_friendly
from velatura.models.families.sd import StableDiffusion
from velatura.semantic.edit import edit
from velatura.semantic.guidance import Concept, Momentum, Semantic
from velatura.semantic.source import Prompts, imagined, kept

STEPS, SEEDS = 6, [3, 4]
PROMPT, NEGATIVE = "a cat", "dull"


@pytest.fixture(autouse=True)
def as_in_the_worker():
    with torch.inference_mode():
        yield


@pytest.fixture(params=["new", "direct", "edit-friendly"])
def start(request):
    return request.param


def trajectory(model, start, guidance):
    sigmas = schedule.sigmas(model.training_sigmas, STEPS)
    if start == "new":
        return imagined(model, (4, 8, 10), sigmas, SEEDS)
    z0 = noise.standard_normal([9], (4, 8, 10))
    c, uncond = (model.encode_prompt(text) for text in (PROMPT, NEGATIVE))
    if start == "direct":
        return ddim.direct(model, z0, c, sigmas)
    return edit_friendly.edit_friendly(model, z0, c, uncond, sigmas, SEEDS, guidance)


def run(model, along, concepts, cache=None, guidance=3.0, momentum=0.2, **more):
    semantic = Semantic(concepts, Momentum(momentum))
    prompts = Prompts(PROMPT, NEGATIVE, guidance)
    with kept(cache or Cache(), model, along, prompts, semantic.conditions) as source:
        return edit(source, semantic, lambda step: None, **more)


def hat(model, scale=5.0, begin=2, **more):
    return Concept(model.encode_prompt("a hat"), scale=scale, begin=begin, **more)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_scale_0_gives_the_source_exactly(start, guidance, model):
    along = trajectory(model, start, guidance)
    z = run(model, along, [hat(model, 0.0)], guidance=guidance)
    if start == "new":
        D = classifier_free(model, PROMPT, NEGATIVE, guidance)
        wanted = euler(D, along.x[0], along.sigmas, lambda x, step: x)
        torch.testing.assert_close(z, wanted)
    else:
        assert z.equal(along.z0)
    edited = run(model, along, [hat(model)], guidance=guidance)
    assert (edited - z).norm() > 1e-3


def test_a_very_small_scale_is_very_near_the_layer(model):
    """The residuals of direct inversion hold the edit's branch to the layer, too."""
    along = trajectory(model, "direct", 3.0)
    z = run(model, along, [hat(model, 1e-6, begin=0)])
    assert (z - along.z0).abs().max() < 0.01  # rounding, which a random network multiplies


def test_the_steps_of_a_layer_are_those_of_the_formula(model):
    along = trajectory(model, "direct", 3.0)
    term = Semantic([hat(model, threshold=0.5)])
    from velatura.diffusion.denoiser import StepIndex
    from velatura.guidance.term import guided
    from velatura.inversion.trajectory import step

    c, uncond = (model.encode_prompt(text) for text in (PROMPT, NEGATIVE))
    x = along.x[2]
    for i in range(2, STEPS):
        sigmas = along.sigmas[i : i + 2]
        D = guided(model, c, uncond, 3.0, [term])(x, sigmas[0], StepIndex(i, STEPS))
        plain = classifier_free(model, PROMPT, NEGATIVE, 3.0)(along.x[i], sigmas[0])
        x = step(x, D, *sigmas) + along.x[i + 1] - step(along.x[i], plain, *sigmas)
    z = run(model, along, [hat(model, threshold=0.5)], momentum=0.0)
    torch.testing.assert_close(z, x, atol=1e-4, rtol=1e-4)


def test_outside_the_selection_the_layer_stays_bit_for_bit(model):
    along = trajectory(model, "direct", 3.0)
    m = torch.zeros(1, 1, 8, 10)
    m[..., 2:5, 3:8] = 1.0
    z = run(model, along, [hat(model, threshold=0.0)], m_latent=m)
    assert blend(along.z0, z, m).equal(along.z0.expand_as(z))
    assert not z.equal(along.z0)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_the_cache_changes_no_byte_and_a_moved_slider_computes_only_what_follows(
    start, guidance, momentum, model, monkeypatch
):
    along = trajectory(model, start, guidance)
    rows = []
    network = StableDiffusion.network
    monkeypatch.setattr(
        StableDiffusion, "network", lambda self, x, *a, **k: rows.append(len(x)) or network(self, x, *a, **k)
    )
    settings = {"guidance": guidance, "momentum": momentum}
    fresh = run(model, along, [hat(model, 2.0)], **settings)
    first = sum(rows)
    cache = Cache(memory=1 << 26)
    run(model, along, [hat(model, 7.0)], cache, **settings)
    rows.clear()
    moved = run(model, along, [hat(model, 2.0)], cache, **settings)
    assert moved.equal(fresh)
    assert rows == [3 * len(fresh)] * (STEPS - 3)
    assert sum(rows) <= 0.8 * first


def test_two_concepts_share_every_pass(model, monkeypatch):
    along, rows = trajectory(model, "new", 3.0), []
    network = StableDiffusion.network
    monkeypatch.setattr(
        StableDiffusion, "network", lambda self, x, *a, **k: rows.append(len(x)) or network(self, x, *a, **k)
    )
    snow = Concept(model.encode_prompt("snow"), scale=-3.0, begin=0, end=4)
    run(model, along, [hat(model, begin=0), snow], momentum=0.0)
    assert rows == [4, 4, *[8] * 3, 6, 6]  # the source's two rows and the concepts' two, then all at once


def test_a_prompt_beside_the_concepts_leads_from_the_first_step(model):
    along = trajectory(model, "direct", 3.0)
    same = run(model, along, [], wanted=model.encode_prompt(PROMPT))
    assert (same - along.z0).abs().max() < 0.01
    assert (run(model, along, [], wanted=model.encode_prompt("a dog")) - along.z0).norm() > 1e-2
