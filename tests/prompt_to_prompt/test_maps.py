"""Maps of words against maps that are built, and what is made of them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from velatura.diffusion import schedule
from velatura.diffusion.condition import Condition
from velatura.diffusion.difference import difference
from velatura.prompt_to_prompt.maps import as_mask, word_maps

SIGMA = 1.5


def built(model, z0, c, groups, noises, refine):
    """The maps with every softmax written out, by hooks on the attentions' own projections."""
    at = z0.shape[-2] * z0.shape[-1]  # the tiny network's maps are gathered at its latents' own size
    total = 0.0
    for n in noises:
        seen = {}
        hooks = [
            layer.register_forward_hook(lambda _, __, out, name=name, seen=seen: seen.__setitem__(name, out))
            for name, layer in model.unet.named_modules()
            if name.endswith((".to_q", ".to_k"))
        ]
        x = (z0 + SIGMA * n) / math.sqrt(SIGMA**2 + 1)
        model.unet(x, schedule.time(model.training_sigmas, SIGMA), c)
        for hook in hooks:
            hook.remove()
        crossed, selves = [], []
        for name in (name.removesuffix(".to_q") for name in seen if name.endswith(".to_q")):
            heads = model.unet.get_submodule(name).heads
            q, k = (seen[f"{name}.to_{part}"][0].unflatten(-1, (heads, -1)).transpose(0, 1) for part in "qk")
            if q.shape[1] != at:
                continue
            M = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[-1]), -1).mean(0)
            (crossed if name.endswith("attn2") else selves).append(M)
        maps = sum(crossed) / len(crossed) @ groups
        for _ in range(refine):
            maps = sum(selves) / len(selves) @ maps
        total = total + maps.T.unflatten(-1, z0.shape[-2:])
    return total / len(noises)


@pytest.mark.parametrize("size", [(8, 8), (12, 6)], ids=str)
@pytest.mark.parametrize("refine", [0, 1, 2])
@torch.inference_mode()
def test_equal_maps_that_are_built(sharp, size, refine):
    drawn = torch.Generator().manual_seed(3)
    z0, c = torch.randn(1, 4, *size, generator=drawn), torch.randn(1, 12, 64, generator=drawn)
    noises = [torch.randn(1, 4, *size, generator=drawn) for _ in range(2)]
    groups = torch.zeros(12, 3)
    groups[2, 0] = groups[3:6, 1] = groups[:, 2] = 1.0
    looked = []
    maps = word_maps(sharp, z0, Condition(c), groups, SIGMA, noises, looked.append, refine)
    torch.testing.assert_close(maps, built(sharp, z0, c, groups, noises, refine), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(maps[2], torch.ones(size), rtol=1e-5, atol=1e-5)  # all tokens: everything
    assert looked == [1, 2]


@given(st.floats(0.05, 0.95), st.floats(0.0, 1.0), st.integers(0, 2**31))
def test_a_mask_is_half_at_the_threshold_and_rises_with_the_map(threshold, softness, seed):
    map = torch.rand(6, 5, generator=torch.Generator().manual_seed(seed)) + 0.01
    mask = as_mask(map, (6, 5), threshold, softness)  # at its own size nothing is resampled
    assert mask.min() >= 0.0 and mask.max() <= 1.0
    relative = (map / map.max()).flatten()
    order = relative.argsort()
    assert (mask.flatten()[order].diff() >= -1e-6).all()
    assert (mask.flatten()[relative > threshold + 1e-3] >= 0.5 - 1e-3).all()
    assert (mask.flatten()[relative < threshold - 1e-3] <= 0.5 + 1e-3).all()


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("softness", [0.0, 1.0])
def test_a_map_of_nothing_selects_nothing(threshold, softness):
    assert not as_mask(torch.zeros(4, 4), (8, 8), threshold, softness).any()


@torch.inference_mode()
def test_where_captions_agree_nothing_differs(sharp):
    drawn = torch.Generator().manual_seed(3)
    z0, c = torch.randn(1, 4, 8, 8, generator=drawn), torch.randn(2, 1, 12, 64, generator=drawn)
    c, noises = [Condition(row) for row in c], [torch.randn(1, 4, 8, 8, generator=drawn)]
    assert not difference(sharp, z0, c[0], c[0], SIGMA, noises, lambda i: None).any()
    differs = difference(sharp, z0, c[0], c[1], SIGMA, noises, lambda i: None)
    assert differs.max() == 1.0 and differs.min() >= 0.0
    torch.testing.assert_close(differs, difference(sharp, z0, c[1], c[0], SIGMA, noises, lambda i: None))
