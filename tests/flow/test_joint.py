"""Flow edits whose joint attention has the source's queries and keys of the picture."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.joint import Joint
from velatura.attention.joint import Blocks
from velatura.cache.cache import Cache
from velatura.diffusion import noise, schedule
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import denoise
from velatura.flow import source as sources
from velatura.flow.edit import Dial, Pulls, edit

CAPTION, WANTED, STEPS = "a red hat", "a large green hat", 3
KINDS = {
    "text first": {},
    "masked": {"padded": False, "text_first": False},
    "chosen": {"references": 3, "blocks": Blocks(frozenset({"blocks.1"}))},
}


@pytest.fixture(scope="module", params=KINDS, name="model")
def a_model(request):
    return Joint(**KINDS[request.param])


def run(model, pulls, seeds, cache=None):
    z0 = noise.standard_normal([3], (4, 6, 10))
    sigmas = schedule.levels(model.training_sigmas, STEPS, 0.8)
    cache = Cache(memory=1 << 26) if cache is None else cache
    with torch.inference_mode(), sources.kept(cache, model, z0, CAPTION, sigmas, seeds) as source:
        return edit(model, source, pulls, lambda _: None), source


def plainly(model, source, pulls):
    """All three texts in one pass, the source's rows copied."""
    delta = torch.zeros_like(source.z0)
    for i, sigma in enumerate(source.sigmas[:-1]):

        def attend(place, q, k, v, i=i):
            a, b = place.image
            if i < round(pulls.self_until * STEPS) and model.joint_blocks.injects(place.name):
                q, k = q.clone(), k.clone()
                q[1:, :, a:b], k[1:, :, a:b] = q[:1, :, a:b], k[:1, :, a:b]
            return F.scaled_dot_product_attention(q, k, v)

        q = source.q(i)
        p = q + (1.0 + sigma) * delta
        c = cat([model.encode_prompt(text) for text in (CAPTION, CAPTION, WANTED)])
        D_src, D_neg, D_pos = denoise(model, torch.cat([q, p, p]), sigma, c, attend).split(1)
        t, t_next = (s / (1.0 + s) for s in source.sigmas[i : i + 2])
        delta = t_next / t * delta + (1.0 - t_next / t) * (D_neg - D_src + 3.0 * (D_pos - D_neg))
    return source.z0 + delta


@pytest.mark.parametrize("until", [0.7, 1.0])
def test_the_pictures_queries_and_keys_are_the_sources(model, until):
    pulls = Pulls([Dial(CAPTION, WANTED, 3.0)], CAPTION, self_until=until)
    cache = Cache(memory=1 << 26)
    z, source = run(model, pulls, [3], cache)
    with torch.inference_mode():
        expected = plainly(model, source, pulls)
    torch.testing.assert_close(z, expected, rtol=1e-4, atol=1e-4)
    free, _ = run(model, pulls._replace(self_until=0.0), [3])
    assert (free - z).abs().max() > 1e-3
    assert run(model, pulls, [3], cache)[0].equal(z)
    assert run(model, pulls, [3], Cache(memory=1 << 10))[0].equal(z)
    torch.testing.assert_close(run(model, pulls, [3, 4])[0][:1], z, rtol=1e-4, atol=1e-4)
