"""KV-Edit against its published form, which computes the masked tokens alone, on a small joint network."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.diffusion.conftest import tiny
from velatura.attention.places import Place
from velatura.diffusion import kv_edit, noise, samplers, schedule
from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import FLOW

__all__ = ["tiny"]

H, W, C, WORDS, WIDTH, HEADS = 3, 4, 2, 5, 8, 2
TOKENS = H * W
SIGMAS = [4.0, 1.5, 0.5, 0.0]


class Joint(nn.Module):
    """A flow transformer of two blocks in which words and cells attend to each other in one softmax."""

    prediction = FLOW
    guidance_rescale = 0.0
    training_sigmas = np.linspace(0.01, 20.0, 50)

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.into, self.out = nn.Linear(C, WIDTH), nn.Linear(WIDTH, C)
            self.qkv = nn.ModuleList(nn.Linear(WIDTH, 3 * WIDTH) for _ in range(2))
            self.mlp = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
            self.places = nn.Parameter(torch.randn(TOKENS, WIDTH))
            for layer in self.qkv:
                layer.weight.mul_(3.0) if not layer.weight.requires_grad else layer.weight.data.mul_(3.0)
        self.requires_grad_(False)

    def tokens(self, x, t, states, cells=None):
        image = self.into(x.flatten(2).transpose(1, 2)) + self.places + t
        return torch.cat([states, image if cells is None else image[:, cells]], 1)

    def block(self, i, hidden, attention):
        q, k, v = (
            part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.qkv[i](hidden).chunk(3, -1)
        )
        hidden = hidden + attention(q, k, v).transpose(1, 2).flatten(2)
        return hidden + torch.tanh(self.mlp[i](hidden))

    def network(self, x, t, condition, attend=None):
        hidden = self.tokens(x, t, condition.states)
        for i in range(2):
            place = Place(f"block.{i}", "joint", 0, (0, WORDS), (WORDS, WORDS + TOKENS))

            def attention(q, k, v, place=place):
                return F.scaled_dot_product_attention(q, k, v) if attend is None else attend(place, q, k, v)

            hidden = self.block(i, hidden, attention)
        return self.out(hidden[:, WORDS:]).transpose(1, 2).unflatten(2, x.shape[-2:])


def states(seed):
    return Condition(noise.standard_normal([seed], (WORDS, WIDTH)))


def published(network, x_source, free, conditions, start, bias):
    """The published two passes: the source's keys and values are cached at each step; then the words and the
    masked tokens alone go through the network, and see the cache with their own rows in it. Euler's steps of
    z = x / (1 + sigma), without guidance."""
    cells = free.flatten().nonzero().flatten()
    z = start / (1.0 + SIGMAS[0])
    for i in range(len(SIGMAS) - 1):
        t, t_next = (sigma / (1.0 + sigma) for sigma in SIGMAS[i : i + 2])
        cache = []

        def caching(q, k, v, cache=cache):
            cache.append((k, v))
            return F.scaled_dot_product_attention(q, k, v)

        hidden = network.tokens(x_source[i] / (1.0 + SIGMAS[i]), t, conditions.source.states)
        for j in range(2):
            hidden = network.block(j, hidden, caching)

        rows = torch.cat([torch.arange(WORDS), WORDS + cells])
        logits = torch.full((WORDS + TOKENS,), bias)
        logits[rows] = 0.0

        def replacing(q, k, v, rows=rows, cache=cache, logits=logits):
            K, V = (part.clone() for part in cache.pop(0))
            K[:, :, rows], V[:, :, rows] = k, v
            weights = torch.softmax(q @ K.mT / math.sqrt(q.shape[-1]) + logits, -1)
            return weights @ V

        hidden = network.tokens(z, t, conditions.target.states, cells)
        for j in range(2):
            hidden = network.block(j, hidden, replacing)
        v = torch.zeros_like(z).flatten(2)
        v[..., cells] = network.out(hidden[:, WORDS:]).mT
        z = z + (t_next - t) * v.unflatten(2, (H, W))
    return torch.where(free, z, x_source[-1])


@pytest.fixture
def joint():
    return Joint()


FREE = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.bool)[None, None]


def noised(count=1):
    z0 = noise.standard_normal([7], (C, H, W))
    n = noise.standard_normal(range(count), (C, H, W))
    return [z0 + sigma * n for sigma in SIGMAS]


@pytest.mark.parametrize("bias", [0.0, 1.5])
def test_on_joint_attention_it_is_the_published_form(joint, bias):
    x, conditions = noised(), kv_edit.Conditions(states(1), states(2), states(3))
    ours = kv_edit.edit(
        joint, x, SIGMAS, conditions, 1.0, FREE, x[0], samplers.euler, lambda step: None, bias
    )
    expected = published(joint, x, FREE, conditions, x[0], bias)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)
    plain = kv_edit.edit(
        joint, x, SIGMAS, conditions, 1.0, torch.ones_like(FREE), x[0], samplers.euler, lambda step: None
    )
    assert not torch.isclose(plain, ours)[FREE.expand_as(ours)].all()


def test_the_same_caption_gives_the_source_from_inverted_latents(joint):
    """Where every step from x[i] leads to x[i + 1], the masked part follows the source."""
    c = states(1)
    x = [noise.standard_normal([7], (C, H, W)) * SIGMAS[0]]
    D = samplers.euler(
        lambda x, sigma, at: kv_edit.denoise(joint, x, sigma, c),
        x[0],
        SIGMAS,
        lambda y, step: x.append(y) or y,
    )
    same = kv_edit.Conditions(c, c, c)
    z = kv_edit.edit(joint, x, SIGMAS, same, 3.0, FREE, x[0], samplers.euler, lambda step: None)
    torch.testing.assert_close(z, D, rtol=1e-5, atol=1e-5)


def test_outside_the_latents_are_the_sources_at_every_step(tiny):
    """On a U-Net, where features leak; with guidance and two variations."""
    model = tiny("v_prediction", False)
    sigmas = schedule.sigmas(model.training_sigmas, 4)
    z0, n = noise.standard_normal([1], (4, 8, 12)), noise.standard_normal([2, 3], (4, 8, 12))
    x = [z0 + sigma * n for sigma in sigmas]
    free = torch.zeros(1, 1, 8, 12, dtype=torch.bool)
    free[..., 2:5, 3:9] = True
    c = kv_edit.Conditions(*(model.encode_prompt(text) for text in ("a cat", "a hat", "")))
    seen = []

    def after_step(step):
        seen.append(step.i)
        outside = ~free.expand_as(step.denoised)
        assert torch.equal(step.denoised[outside], z0.expand_as(step.denoised)[outside])

    with torch.inference_mode():
        z = kv_edit.edit(model, x, sigmas, c, 3.0, free, x[0], samplers.dpmpp_2m, after_step)
        one = kv_edit.edit(
            model, [level[1:] for level in x], sigmas, c, 3.0, free, x[0][1:], samplers.dpmpp_2m, after_step
        )
    outside = ~free.expand_as(z)
    assert torch.equal(z[outside], z0.expand_as(z)[outside]) and seen == [0, 1, 2, 3] * 2
    torch.testing.assert_close(z[1:], one, rtol=1e-4, atol=1e-4)


def test_a_cell_of_a_coarser_level_is_free_if_any_of_its_own_is():
    free = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    free[..., 0, 3] = True
    q = k = torch.zeros(2, 1, 4, 1)
    v = torch.arange(8.0).reshape(2, 1, 4, 1)
    out = kv_edit.held(free, 1)(Place("a", "self", 1), q, k, v)
    assert out[0].flatten().tolist() == [1.5] * 4  # the source sees itself
    assert out[1].flatten().tolist() == [(0 + 5 + 2 + 3) / 4] * 4  # one value of its own
