"""The part of a layer that a model sees, and its size."""

from __future__ import annotations

import math
from typing import NamedTuple

from velatura_protocol import crops
from velatura_protocol.rasters import Rect


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

    @classmethod
    def of(cls, rect: Rect) -> Box:
        """The box of a rectangle: x, y, width and height."""
        x, y, width, height = rect
        return cls(x, y, x + width, y + height)

    @property
    def rect(self) -> Rect:
        """The box as x, y, width and height."""
        return self.x0, self.y0, self.width, self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of an array whose first pixel is (0, 0)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def moved(self, x: int, y: int) -> Box:
        """The box shifted by x pixels to the right and y pixels down."""
        return Box(self.x0 + x, self.y0 + y, self.x1 + x, self.y1 + y)

    def intersection(self, other: Box) -> Box:
        """The common part of both boxes; its width or height is 0 where they do not overlap."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        return Box(x0, y0, max(x0, min(self.x1, other.x1)), max(y0, min(self.y1, other.y1)))

    def bands(self, pixels: int) -> list[Box]:
        """The box split into bands of whole rows, each of at most `pixels` pixels or one row."""
        rows = max(1, pixels // max(self.width, 1))
        return [self._replace(y0=y, y1=min(y + rows, self.y1)) for y in range(self.y0, self.y1, rows)]


class Region(NamedTuple):
    """The part of a layer that a model sees.

    Args:
        crop: the part of the layer.
        inner: (height, width) of the crop at the model's scale.
        outer: (height, width) of the model's picture. Around the crop it is filled with the crop's mirror
            image.
        offset: (y, x) of the crop in the model's picture.
    """

    crop: Box
    inner: tuple[int, int]
    outer: tuple[int, int]
    offset: tuple[int, int]


def plan(
    bounds: Box, layer: tuple[int, int], side: int, multiple: int, context: float, aspect: float = 2.0
) -> Region:
    """The region to show a model for an edit within `bounds`.

    The crop is `velatura_protocol.crops.seen`, by which clients know the part to send. Where it is no square,
    the model's picture takes the nearest shape of the same area.

    Args:
        bounds: the selection, in the layer's coordinates.
        layer: (height, width) of the layer.
        side: of the square pictures that the model was trained on.
        multiple: a divisor of both sides of the model's picture.
        context: margin to show on each side, in sizes of the selection.
        aspect: the largest ratio of the sides of the model's picture.
    """
    height, width = layer
    crop = Box.of(crops.seen(bounds.rect, (width, height), side, context))

    root = math.sqrt(min(max(crop.width / crop.height, 1.0 / aspect), aspect))
    tall, wide = (max(1, round(side * r / multiple)) * multiple for r in (1.0 / root, root))
    scale = max(crop.height / tall, crop.width / wide)
    inner = min(tall, max(1, round(crop.height / scale))), min(wide, max(1, round(crop.width / scale)))
    offset = (tall - inner[0]) // 2, (wide - inner[1]) // 2
    return Region(crop, inner, (tall, wide), offset)
