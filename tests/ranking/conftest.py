"""Results that are made of arrays, and tiny models."""

from __future__ import annotations

import numpy as np

from tests.canvas.layers import layer, selection
from tests.diffusion.conftest import tiny  # noqa: F401
from velatura.canvas.paste import Pasted
from velatura.ranking.views import Scene

SIDE = 96


def scene(pixels, mask=None, *, origin=(0, 0)):
    """A scene of RGBA pixels and a mask of the same size, both uint8, which lie at `origin`."""
    on = layer(pixels, origin=origin)
    return Scene(on, selection(mask, on, origin), np.full(3, 0.5, np.float32))


def painted(colour, side=SIDE):
    """An opaque layer of one colour."""
    return np.full((side, side, 4), (*colour, 255), np.uint8)


def box_mask(x, y, width, height, side=SIDE):
    mask = np.zeros((side, side), np.uint8)
    mask[y : y + height, x : x + width] = 255
    return mask


def result(colour, mask, origin=(0, 0)):
    """What an edit to one colour within a mask of a rectangle gives back."""
    ys, xs = np.nonzero(mask)
    x, y, width, height = xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1
    pixels = np.full((height, width, 4), (*colour, 255), np.uint8)
    return Pasted(pixels, "RGBA", (int(x + origin[0]), int(y + origin[1]), int(width), int(height)))
