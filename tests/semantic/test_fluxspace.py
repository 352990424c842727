"""FluxSpace against its formulas, with every row of its passes written out."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from tests.joint import Joint
from velatura.attention.places import Place
from velatura.cache.cache import Cache
from velatura.diffusion import noise, schedule
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import denoise
from velatura.inversion import ddim
from velatura.semantic import fluxspace
from velatura.semantic.fluxspace import Concept, edit, orthogonal, turned_pooled
from velatura.semantic.source import Prompts, Source, imagined, kept
from velatura_protocol.errors import VelaturaError

N, CAPTION = 4, "a red cat"
KINDS = {
    "text first": {},
    "picture first": {"text_first": False, "references": 3},
    "masked": {"padded": False},
}


@pytest.fixture(autouse=True)
def as_in_the_worker():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module", params=KINDS, name="model")
def a_model(request):
    return Joint(**KINDS[request.param])


def concept(model, text="an elephant", **more):
    return Concept(model.encode_prompt(text), model.tokenized(text).words, **more)


def new(model, seeds=(1, 2), guidance=3.0):
    sigmas = schedule.sigmas(model.training_sigmas, N)
    return Source(model, imagined(model, (4, 6, 10), sigmas, seeds), Prompts(CAPTION, "", guidance))


def layer(model, seeds=1):
    sigmas = schedule.sigmas(model.training_sigmas, N)
    z0 = noise.standard_normal([7], (4, 6, 10)).expand(seeds, -1, -1, -1)
    trajectory = ddim.direct(model, z0, model.encode_prompt(CAPTION), list(sigmas))
    return Source(model, trajectory, Prompts(CAPTION, "", 1.0))


def edited(model, source, *concepts, **more):
    return edit(source, concepts, model.encode_prompt(""), lambda _: None, **more)


def softmax(q, k):
    return (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)


def plainly(model, source, concepts, coarse, x, sigma):
    """The caption's prediction of one variation; rows: caption, concepts, the empty text."""
    turned = []
    for one in concepts:
        y, y_e = source.cond.parts["pooled"][0], one.c.parts["pooled"][0]
        y_e = (1 - coarse) * y + coarse * (y_e - (y_e @ y) / (y @ y) * y)
        turned.append(dataclasses.replace(one.c, parts={"pooled": y_e[None]}))
    c = cat([source.cond, *turned, model.encode_prompt("")])

    def attend(place, q, k, v):
        (a, b), (start, _) = place.image, place.text
        q, k, v = q.clone(), k.clone(), v.clone()
        for t in (q, k, v):
            t[1:, :, a:b] = t[:1, :, a:b]
        M = softmax(q, k)
        out = M @ v
        seen = out[:, :, a:b].transpose(1, 2).flatten(2)  # [rows, places, heads d]
        new = seen[0].clone()
        for e, one in enumerate(concepts, 1):
            along = (seen[e] * seen[-1]).sum(-1, keepdim=True) / (seen[-1] ** 2).sum(-1, keepdim=True)
            words = [start + j for j in one.content]
            m = M[e, :, a:b][..., words].mean((0, 2))
            m = torch.sigmoid(10 * ((m - m.min()) / (m.max() - m.min()) - 0.5))
            m = torch.where(m >= one.threshold, m, 0.0)
            new = new + one.scale * m[:, None] * (seen[e] - along * seen[-1])
        out = out.clone()
        out[0, :, a:b] = new.unflatten(-1, (2, -1)).transpose(0, 1)
        return out

    D = denoise(model, x.repeat(len(c), 1, 1, 1), sigma, c, attend)[:1]
    if source.prompts.guidance == 1.0:
        return D
    D_u = denoise(model, x, sigma, source.uncond)
    return D_u + source.prompts.guidance * (D - D_u)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_equals_its_formulas(model, guidance):
    source = new(model, guidance=guidance)
    asked = [concept(model, scale=4.0), concept(model, "snow", scale=-3.0, threshold=0.2, first=1, last=3)]
    z = edited(model, source, *asked, coarse=0.6)
    for seed in (0, 1):
        x = source.x(0)[seed : seed + 1]
        for i in range(N):
            sigma, sigma_next = source.sigmas[i : i + 2]
            D = plainly(model, source, [one for one in asked if one.acts(i)], 0.6, x, sigma)
            x = D + sigma_next / sigma * (x - D)
        torch.testing.assert_close(z[seed : seed + 1], x, rtol=1e-4, atol=1e-4)
    assert (z - source.x(N)).abs().max() > 1e-2, "this edit does nothing"


def test_a_layer_with_nothing_to_change_is_the_layer(model):
    source = layer(model)
    assert torch.equal(edited(model, source), source.x(N))
    assert torch.equal(edited(model, source, concept(model, scale=0.0)), source.x(N))
    nowhere = concept(model, where=torch.zeros(1, 1, 6, 10))
    torch.testing.assert_close(edited(model, source, nowhere), source.x(N), rtol=1e-4, atol=1e-4)


def test_a_selection_keeps_the_rest_and_so_does_a_late_start(model):
    source, m = layer(model), torch.zeros(1, 1, 6, 10)
    m[..., 2:4, 2:6] = 1.0
    z = edited(model, source, concept(model), m_latent=m)
    assert torch.equal(z[(m == 0.0).expand_as(z)], source.x(N)[(m == 0.0).expand_as(z)])
    assert not torch.equal(z, source.x(N))
    late = edited(model, source, concept(model, first=N - 1))
    assert (late - source.x(N)).abs().max() > 1e-4


def test_a_batch_is_its_rows(model):
    both = edited(model, new(model), concept(model))
    alone = edited(model, new(model, seeds=[2]), concept(model))
    torch.testing.assert_close(both[1:], alone, rtol=1e-4, atol=1e-4)
    assert torch.equal(edited(model, new(model), concept(model)), both)


def test_what_is_kept_changes_no_byte(model):
    cache, sigmas = Cache(memory=1 << 24), schedule.sigmas(model.training_sigmas, N)
    found = []
    for _ in range(2):
        trajectory = imagined(model, (4, 6, 10), sigmas, [1])
        with kept(cache, model, trajectory, Prompts(CAPTION, "", 3.0), []) as source:
            found.append(edited(model, source, concept(model, first=2)))
    assert torch.equal(*found)


def test_directions_are_orthogonal_to_the_empty_texts(model):
    x, away = noise.standard_normal([1, 2], (2, 2, 7, 4))
    change = orthogonal(x, away)
    assert (change * away).sum((1, 3)).abs().max() < 1e-5
    torch.testing.assert_close(orthogonal(change, away), change)
    c, y = model.encode_prompt("an elephant"), model.encode_prompt(CAPTION)
    turned = turned_pooled(c, y, 1.0).parts["pooled"]
    assert (turned * y.parts["pooled"]).sum().abs() < 1e-4
    torch.testing.assert_close(turned_pooled(c, y, 0.0).parts["pooled"], y.parts["pooled"])
    torch.testing.assert_close(turned_pooled(dataclasses.replace(c, parts={}), y, 0.5).states, c.states)


def test_a_mask_is_where_the_words_are(model):
    place = Place("there", "joint", 1, (0, 10), (10, 25))
    q, k = noise.standard_normal([1, 2], (2, 2, 25, 4))
    one = concept(model, threshold=0.5)
    M = fluxspace.mask(place, q, k, one, (6, 10))
    assert M.shape == (2, 1, 15, 1) and M.amax(2).min() > 0.99 and M.min() == 0.0
    assert M[M > 0.0].min() >= 0.5
    where = torch.zeros(1, 1, 6, 10)
    where[..., :2, :] = 0.5
    half = fluxspace.mask(place, q, k, dataclasses.replace(one, where=where), (6, 10))
    torch.testing.assert_close(half[:, :, :5], 0.5 * M[:, :, :5])
    assert not half[:, :, 5:].any()


def test_a_model_without_joint_attention_is_refused(sharp, model):
    fluxspace.check(model)
    with pytest.raises(VelaturaError, match="choose a model such as") as refused:
        fluxspace.check(sharp)
    assert refused.value.code == "unknown-model"
