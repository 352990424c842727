"""Painting with implicit functions: anti-aliased at any resolution, masks exact by construction.

A shape is a function f over the plane, negative inside.  Its coverage of a pixel comes from f
divided by the length of its gradient (first-order signed distance; Taubin 1994), so edges are one
pixel wide at every resolution.  Paint is composited with the `over` operator (Porter & Duff 1984),
and each element's share of a pixel is composited along with the colour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]  # one number a pixel, (H, W)
RGB = NDArray[np.floating[Any]]  # one colour, (3,), or one a pixel, (H, W, 3)
Number = float | np.floating[Any]
Colour = tuple[float, float, float]  # sRGB, 0..1


class Canvas:
    """A picture in the making: `rgb` (H, W, 3) in 0..1, `shares` (E, H, W) that sum to one.

    `x` and `y` (H, W) are the pixels' places in the scene, which spans -1..1, y downwards.  `elements` names
    the shares; the first one fills the canvas at the start.  `pixel` is a pixel's width in x.
    """

    def __init__(
        self, size: int, centre: tuple[float, float], zoom: float, elements: tuple[str, ...]
    ) -> None:
        span = 1.0 / zoom
        line = (np.arange(size, dtype=np.float32) + 0.5) * (2.0 * span / size) - span
        self.pixel = 2.0 * span / size
        self.x: Field
        self.y: Field
        self.x, self.y = np.meshgrid(line + np.float32(centre[0]), line + np.float32(centre[1]))
        self.rgb = np.zeros((size, size, 3), np.float32)
        self.elements = elements
        self.shares = np.zeros((len(elements), size, size), np.float32)
        self.shares[0] = 1.0

    def window(self, rows: slice, columns: slice) -> Canvas:
        """A part of this canvas that shares its memory: paint on the part is paint on the canvas."""
        part = object.__new__(Canvas)
        part.pixel, part.elements = self.pixel, self.elements
        part.x, part.y = self.x[rows, columns], self.y[rows, columns]
        part.rgb, part.shares = self.rgb[rows, columns], self.shares[:, rows, columns]
        return part

    def share(self, element: str) -> Field:
        """An element's share of each pixel so far, (H, W); a view that changes with the painting."""
        return self.shares[self.elements.index(element)]

    def cover(self, f: Field, soft: float = 0.0) -> Field:
        """Coverage 0..1 of the shape f < 0; `soft` widens the edge, in picture units."""
        dy, dx = np.gradient(f)
        slope = np.sqrt(dx * dx + dy * dy) / self.pixel + 1e-6
        return np.clip(0.5 - f / (slope * max(soft, self.pixel)), 0.0, 1.0)

    def paint(
        self,
        colour: Colour | RGB,
        alpha: Field,
        element: str | None = None,
        claim: Field | None = None,
    ) -> None:
        """Composite a colour over the picture.

        Args:
            colour: One colour, or a colour (H, W, 3) for each pixel.
            alpha: Coverage (H, W) in 0..1.
            element: The painted element; None for a detail (an iris, a shadow) of the elements beneath.
            claim: The element's coverage (H, W) where it differs from `alpha`.
        """
        a = alpha[..., None]
        self.rgb += a * (np.asarray(colour, np.float32) - self.rgb)
        if element is not None:
            taken = alpha if claim is None else claim
            self.shares *= 1.0 - taken
            self.shares[self.elements.index(element)] += taken

    def shade(self, factor: Colour, alpha: Field) -> None:
        """Multiply the picture by `factor` where alpha is one (a shadow, a blush)."""
        for channel, strength in enumerate(factor):  # three times as fast as broadcasting
            self.rgb[..., channel] *= 1.0 + alpha * np.float32(np.float32(strength) - 1.0)

    def glow(self, strength: float, alpha: Field) -> None:
        """Move the picture towards white (a highlight)."""
        light = strength * alpha
        for channel in range(3):
            plane = self.rgb[..., channel]
            plane += light * (1.0 - plane)


def ellipse(x: Field, y: Field, cx: float, cy: float, rx: Number, ry: Number, power: Number = 2.0) -> Field:
    """Superellipse (|x/rx|^p + |y/ry|^p)^(1/p) - 1."""
    if power == 2.0:
        return np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2) - 1.0
    return (np.abs((x - cx) / rx) ** power + np.abs((y - cy) / ry) ** power) ** (1.0 / power) - 1.0


def blob(x: Field, y: Field, cx: float, cy: float, rx: float, ry: float) -> Field:
    """A Gaussian spot: 1 at its centre, for soft light and shadow."""
    return np.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2)


@overload
def smoothstep(low: float, high: float, value: np.float32) -> np.float32: ...
@overload
def smoothstep(low: float, high: float, value: Field) -> Field: ...
def smoothstep(low: float, high: float, value: Field | np.float32) -> Field | np.float32:
    """A smooth cubic step from 0 at `low` to 1 at `high`, which may be the smaller one."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def each(change: Callable[..., float], *colours: Colour) -> Colour:
    """The colour whose channels are `change` of the same channels of `colours`."""
    red, green, blue = (change(*channels) for channels in zip(*colours, strict=True))
    return red, green, blue


def mix(a: Colour | RGB, b: Colour | RGB, t: Field) -> RGB:
    """Colour between a (t = 0) and b (t = 1) at every pixel, (H, W, 3)."""
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    return a + t[..., None] * (b - a)


def waves(x: Field, y: Field, rng: np.random.Generator, fx: float, fy: float, count: int = 4) -> Field:
    """Smooth noise in about -1..1: a sum of plane waves (continuous, hence free of any resolution)."""
    total = np.zeros_like(x)
    for _ in range(count):
        kx, ky = rng.uniform(0.5, 1.0) * fx, rng.uniform(-1.0, 1.0) * fy
        wave = kx * x
        wave += ky * y
        wave += rng.uniform(0.0, 6.2832)
        total += np.sin(wave, out=wave)
    return total * np.float32(1.0 / np.sqrt(2.0 * count))
