"""Tiles: they cover everything, a local function is the same with and without them, and no seam shows."""

from fractions import Fraction
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from velatura.diffusion.denoiser import StepIndex
from velatura.diffusion.tiles import over_tiles, starts, tiled


@given(st.integers(1, 200), st.integers(2, 40), st.integers(0, 39))
def test_tiles_cover_the_length_and_overlap(length, side, overlap):
    overlap = min(overlap, side - 1)
    found = starts(length, side, overlap)
    assert found[0] == 0 and found == sorted(set(found))
    assert found[-1] + side >= length and (length <= side or found[-1] + side == length)
    assert all(b - a <= side - overlap for a, b in pairwise(found))


@pytest.mark.parametrize("size", [(40, 72), (16, 50), (33, 16)])
@pytest.mark.parametrize(
    ("scale", "f"),
    [
        (1, lambda x: 2.0 * x + 1.0),
        (4, lambda x: F.interpolate(x, scale_factor=4, mode="nearest")),
        (Fraction(1, 4), lambda x: F.avg_pool2d(x, 4)),
    ],
)
def test_a_local_function_is_the_same_in_tiles(size, scale, f):
    height, width = (side // 4 * 4 for side in size)
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(over_tiles(f, x, 16, 8, scale), f(x))


def test_one_tile_is_the_function_itself():
    x = torch.randn(1, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(over_tiles(torch.sin, x, 16, 4), torch.sin(x))


def test_tiles_that_disagree_are_blended_without_a_step():
    """Each tile is its own shade; between neighbours the shade changes by no more than the ramp's slope."""
    count = iter(range(100))
    y = over_tiles(lambda tile: torch.full_like(tile, float(next(count))), torch.zeros(1, 1, 16, 64), 16, 8)
    steps = y[0, 0].diff(dim=1).abs()
    assert y.max() == 6.0
    assert steps.max() < 0.3


def test_it_stops_between_tiles():
    class Stopped(Exception):
        pass

    done = []

    def between(i, n):
        if i == 2:
            raise Stopped
        done.append((i, n))

    with pytest.raises(Stopped):
        over_tiles(torch.sin, torch.zeros(1, 1, 16, 64), 16, 8, between=between)
    assert done == [(0, 7), (1, 7)]


def test_a_denoiser_in_tiles_gets_the_level_and_the_step():
    seen = []

    def D(x, sigma, at=None):
        seen.append((x.shape[-1], sigma, at))
        return x / (1.0 + sigma)

    x = torch.randn(1, 4, 8, 20, generator=torch.Generator().manual_seed(0))
    at = StepIndex(1, 3)
    torch.testing.assert_close(tiled(D, 8, 4)(x, 0.5, at), x / 1.5)
    assert seen == [(8, 0.5, at)] * 4
