"""Applies a network to a picture or latent of any size, in overlapping tiles whose results are blended.

With a denoiser this is MultiDiffusion (Bar-Tal et al. 2023, equation 5 with windows as weights): at each
step, all tiles are denoised, and each place takes the weighted mean of the tiles that hold it. Encoders,
decoders and enlargers are applied in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product

import torch
from torch import Tensor

from .denoiser import Denoiser, StepIndex

Between = Callable[[int, int], None]
"""Called before each tile with the number of tiles done and of all; it raises to cancel."""


def starts(length: int, side: int, overlap: int) -> list[int]:
    """The first places of evenly spread tiles of `side` places that cover `length` and share at least
    `overlap` places with their neighbours. One tile if the length is no more than a side."""
    if length <= side:
        return [0]
    n = math.ceil((length - overlap) / (side - overlap))
    return [round(i * (length - side) / (n - 1)) for i in range(n)]


def over_tiles(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    side: int,
    overlap: int,
    scale: Fraction | int = 1,
    between: Between | None = None,
) -> Tensor:
    """f applied tile by tile, [N, C', scale h, scale w]. A picture of a single tile gives f(x), bitwise.

    Args:
        f: a function of a tile [N, C, a, b] that returns [N, C', scale a, scale b].
        x: [N, C, h, w].
        side: largest side of a tile, in places of x.
        overlap: the least number of places that neighbours share, less than `side`.
        scale: of the result. The starts of tiles are moved to multiples of its denominator.
        between: see `Between`.
    """
    height, width = x.shape[-2:]
    unit = Fraction(scale).denominator
    rows, columns = (
        [start // unit * unit for start in starts(length, side, overlap)] for length in (height, width)
    )
    if len(rows) == len(columns) == 1:
        if between is not None:
            between(0, 1)
        return f(x)
    total = weights = None
    places = list(product(rows, columns))
    tall, wide = min(side, height), min(side, width)
    for i, (top, left) in enumerate(places):
        if between is not None:
            between(i, len(places))
        # the last tile reaches the end, even if its start was moved to a multiple
        bottom = height if top == rows[-1] else top + tall
        right = width if left == columns[-1] else left + wide
        y = f(x[..., top:bottom, left:right])
        window = _window(y, [int(scale * overlap)] * 2, (top > 0, bottom < height, left > 0, right < width))
        if total is None or weights is None:
            size = int(scale * height), int(scale * width)
            total = y.new_zeros(*y.shape[:2], *size)
            weights = y.new_zeros(1, 1, *size)
        at = (..., slice(int(scale * top), int(scale * bottom)), slice(int(scale * left), int(scale * right)))
        total[at] += window * y
        weights[at] += window
    assert total is not None and weights is not None
    return total / weights


def _window(y: Tensor, ramps: Sequence[int], inner: tuple[bool, bool, bool, bool]) -> Tensor:
    """Weights [1, 1, h, w] that fall linearly towards the sides that other tiles share, never to 0.

    inner: whether the tile has a neighbour above, below, on the left, on the right.
    """
    lines: list[Tensor] = []
    for length, ramp, (before, after) in zip(y.shape[-2:], ramps, (inner[:2], inner[2:]), strict=True):
        line = torch.ones(length, device=y.device, dtype=y.dtype)
        ramp = max(1, min(ramp, length))
        rise = (torch.arange(ramp, device=y.device, dtype=y.dtype) + 0.5) / ramp
        if before:
            line[:ramp] *= rise
        if after:
            line[-ramp:] *= rise.flip(0)
        lines.append(line)
    return (lines[0][:, None] * lines[1])[None, None]


def tiled(D: Denoiser, side: int, overlap: int, between: Between | None = None) -> Denoiser:
    """The denoiser that applies D in tiles; see `over_tiles`. side, overlap: in places of the latent."""

    def whole(x: Tensor, sigma: float, at: StepIndex | None = None) -> Tensor:
        return over_tiles(lambda tile: D(tile, sigma, at), x, side, overlap, between=between)

    return whole
