"""Noise and profiles: continuous functions of the plane, the same at every resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..raster import Canvas, Field

CELLS = 64
SPAN = 2.5  # profiles are tabulated over -SPAN..SPAN
SAMPLES = 2048
WARP = 0.04  # most that a style moves outlines


class Noise:
    """Value noise on a random lattice of period 64 cells, with Perlin's smooth interpolation."""

    def __init__(self, seed: int) -> None:
        table = np.random.default_rng(seed).uniform(-1.0, 1.0, (CELLS, CELLS)).astype(np.float32)
        self.table = table.ravel()

    def __call__(self, x: Field, y: Field) -> Field:
        """Smooth noise in -1..1 with features one unit wide."""
        fx, fy = np.floor(x), np.floor(y)
        tx, ty = x - fx, y - fy
        tx *= tx * (3.0 - 2.0 * tx)
        ty *= ty * (3.0 - 2.0 * ty)
        ix, iy = fx.astype(np.int32) & (CELLS - 1), fy.astype(np.int32) & (CELLS - 1)
        jx, iy, jy = (ix + 1) & (CELLS - 1), iy * CELLS, ((iy + 1) & (CELLS - 1)) * CELLS
        take = self.table.take
        a, b, c, d = take(iy + ix), take(iy + jx), take(jy + ix), take(jy + jx)
        top = a + tx * (b - a)
        return top + ty * (c + tx * (d - c) - top)

    def fractal(self, x: Field, y: Field, octaves: int) -> Field:
        """A sum of layers, each half as large and half as strong as the one before; about -1..1.

        Each layer is rotated against the one before, which hides the lattice.
        """
        x, y = 0.83 * x - 0.56 * y, 0.56 * x + 0.83 * y
        total = self(x, y)
        for octave in range(1, octaves):
            x, y = 1.46 * x - 1.42 * y + 7.3, 1.42 * x + 1.46 * y + 3.1
            total += self(x, y) * 0.5**octave
        return total * np.float32(0.75)


LINE: NDArray[np.float64] = np.linspace(-SPAN, SPAN, SAMPLES)


class Profile:
    """A tabulated function of x: a ridge against the sky, the rise of the ground."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.values = values

    def __call__(self, x: Field) -> Field:
        at = np.clip((x + SPAN) * ((SAMPLES - 1) / (2.0 * SPAN)), 0.0, SAMPLES - 1.001)
        low = at.astype(np.int32)
        values = self.values.astype(np.float32)
        first = values.take(low)
        return first + (at - low) * (values.take(low + 1) - first)

    def slope(self, smooth: float) -> Profile:
        """The derivative after a moving average over `smooth` units."""
        n = max(1, round(smooth / (LINE[1] - LINE[0])))
        mean = np.convolve(np.pad(self.values, n, mode="edge"), np.ones(n) / n, "same")[n:-n]
        return Profile(np.gradient(mean, LINE))


def line_noise(rng: np.random.Generator, frequency: float, ridged: bool, octaves: int) -> NDArray[np.float64]:
    """Noise along a line in 0..1, tabulated over LINE; `ridged` folds it into sharp crests."""
    total, weight = np.zeros(SAMPLES), 0.0
    for octave in range(octaves):
        nodes = rng.uniform(0.0, 1.0, 512)
        at = (LINE + SPAN) * frequency * 2.1**octave + rng.uniform(0.0, 50.0)
        cell = np.floor(at).astype(int)
        t = at - cell
        if not ridged:
            t = t * t * (3.0 - 2.0 * t)  # rounds the tops; without it flanks are straight and crests sharp
        value = nodes[cell % 512] * (1.0 - t) + nodes[(cell + 1) % 512] * t
        total += value * 0.45**octave
        weight += 0.45**octave
    return total / weight


def cover_with_snow(canvas: Canvas, element: str, share: Field) -> None:
    """Give snow the share `share` of the element that was just painted, in snow's colours already.

    Element and snow are painted as one surface, so that its outline blends with the background once only.
    """
    canvas.share(element)[:] -= share
    canvas.share("snow")[:] += share


def part(canvas: Canvas, left: float, top: float, right: float, bottom: float) -> Canvas | None:
    """The window of the canvas that holds a box; None where the box is out of view.

    The canvas may be warped a little, so the box is widened; its rows and columns stay in order.
    """
    xs, ys = canvas.x[canvas.x.shape[0] // 2], canvas.y[:, canvas.y.shape[1] // 2]
    slack = 2.0 * canvas.pixel + WARP
    columns = np.searchsorted(xs, (left - slack, right + slack))
    rows = np.searchsorted(ys, (top - slack, bottom + slack))
    if columns[1] - columns[0] < 2 or rows[1] - rows[0] < 2:
        return None
    return canvas.window(slice(*rows), slice(*columns))
