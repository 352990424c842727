"""Which part of a layer a model sees, and at what size."""

from __future__ import annotations

import math
from typing import NamedTuple


class Box(NamedTuple):
    """Pixels x0 ≤ x < x1, y0 ≤ y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of an array whose first pixel is (0, 0)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def moved(self, x: int, y: int) -> Box:
        return Box(self.x0 + x, self.y0 + y, self.x1 + x, self.y1 + y)

    def intersection(self, other: Box) -> Box:
        """Of no size if they do not touch."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        return Box(x0, y0, max(x0, min(self.x1, other.x1)), max(y0, min(self.y1, other.y1)))

    def bands(self, pixels: int) -> list[Box]:
        """The box in bands of whole rows, each of about so many pixels at most."""
        rows = max(1, pixels // max(self.width, 1))
        return [self._replace(y0=y, y1=min(y + rows, self.y1)) for y in range(self.y0, self.y1, rows)]


class Region(NamedTuple):
    """crop: the part of the layer. inner: (height, width) of it at the model's scale. outer: (height,
    width) of the model's picture, in which the crop lies at `offset` (y, x) and the rest is mirrored from
    it."""

    crop: Box
    inner: tuple[int, int]
    outer: tuple[int, int]
    offset: tuple[int, int]


def plan(
    bounds: Box, layer: tuple[int, int], side: int, multiple: int, context: float, aspect: float = 2.0
) -> Region:
    """The region to show a model for an edit within `bounds`.

    layer: (height, width). side: of the square pictures the model was trained on. multiple: of which a
    picture's sides must be. context: how much to show on each side, in sizes of the selection. aspect: the
    most elongated picture the model is given.

    The crop is a square round the selection, moved into the layer; it is never smaller than `side`, so
    nothing is enlarged unless the layer itself is smaller. Where no square within the layer holds the
    selection, the crop is a rectangle, and the model's picture takes the nearest shape of the same area.
    """
    height, width = layer
    longest = max(bounds.width, bounds.height)
    wanted = max(side, math.ceil(longest * (1.0 + 2.0 * context)))
    wanted = max(longest, min(wanted, max(min(height, width), 1)))
    x0, x1 = _span(bounds.x0, bounds.x1, wanted, width)
    y0, y1 = _span(bounds.y0, bounds.y1, wanted, height)
    crop = Box(x0, y0, x1, y1)

    root = math.sqrt(min(max(crop.width / crop.height, 1.0 / aspect), aspect))
    outer = tuple(max(1, round(side * r / multiple)) * multiple for r in (1.0 / root, root))
    scale = max(crop.height / outer[0], crop.width / outer[1])
    inner = tuple(
        min(o, max(1, round(c / scale))) for c, o in zip((crop.height, crop.width), outer, strict=True)
    )
    offset = tuple((o - i) // 2 for o, i in zip(outer, inner, strict=True))
    return Region(crop, inner, outer, offset)


def _span(low: int, high: int, wanted: int, limit: int) -> tuple[int, int]:
    """A span of the wanted length, or of all there is, round [low, high) and within [0, limit)."""
    length = min(wanted, limit)
    start = min(max(0, (low + high - length) // 2), limit - length)
    return start, start + length
