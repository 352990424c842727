"""Composites a result over its source as a person sees it, at any size, for networks and measures.

A large part is read at every n-th pixel only, so that the view of a whole painting costs little; networks
and measures look at a few hundred pixels a side.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from velatura.pixels.over import lay_over_opaque

from .colour import fractions
from .geometry import Box
from .paste import Pasted
from .region import flattened, reduced
from .resample import resize
from .selection import Layer, Selection

_BAND = 1 << 18
_SAMPLES = 2  # samples a side that are averaged into a pixel, or more, where the layer has that many


def composed(
    layer: Layer, result: Pasted | None, box: Box, size: tuple[int, int], backdrop: np.ndarray
) -> np.ndarray:
    """A part of the layer with a result over it, [height, width, 3] float32 sRGB in [0, 1].

    C = lerp(source, result, alpha), the `over` of Porter and Duff 1984 on an opaque ground.

    Args:
        layer: the source.
        result: the layer to composite over it, or None.
        box: the part, in the layer's coordinates.
        size: (height, width) of the picture.
        backdrop: [3], the colour behind transparent pixels of the layer.
    """
    stride = _stride(box, size)
    source = Layer(layer.at(box)[::stride, ::stride], layer.encoding, (0, 0))
    over = None if result is None else _thinned(result, layer, box, stride)

    def band(rows: Box) -> np.ndarray:
        picture = flattened(source, rows, backdrop)
        if over is not None:
            _lay_over(picture, over, rows, layer)
        return picture

    return _at_size(band, source.box, box, size)


def chosen(selection: Selection, box: Box, size: tuple[int, int]) -> np.ndarray:
    """The selected share of each pixel of `composed`'s picture, [height, width] float32 in [0, 1]."""
    stride = _stride(box, size)
    values = selection.window(box)[::stride, ::stride]
    place = Box(0, 0, values.shape[1], values.shape[0])
    return _at_size(lambda rows: fractions(values[rows.slices])[..., None], place, box, size)[..., 0]


def _stride(box: Box, size: tuple[int, int]) -> int:
    return max(1, min(box.height // size[0], box.width // size[1]) // _SAMPLES)


def _at_size(band: Callable[[Box], np.ndarray], thin: Box, box: Box, size: tuple[int, int]) -> np.ndarray:
    """Averages a picture down band by band and resizes it. thin: the box in samples."""
    stride = _stride(box, size)
    factor = max(1, min(thin.height // size[0], thin.width // size[1]) // 2)
    step = factor * max(1, _BAND // (factor * thin.width))
    parts = [
        reduced(band(thin._replace(y0=y, y1=min(y + step, thin.y1))), factor) for y in range(0, thin.y1, step)
    ]
    extent = (box.height / stride / factor, box.width / stride / factor)
    return resize(np.concatenate(parts), size, extent=extent).clip(0.0, 1.0)


def _thinned(result: Pasted, layer: Layer, box: Box, stride: int) -> Pasted:
    """The pixels of a result that lie on the samples of the box; its rect is in samples."""
    corner: list[tuple[int, int]] = []
    for at, origin, start in zip(result.rect[:2], layer.origin, (box.x0, box.y0), strict=True):
        offset = at - origin - start
        first = max(0, -(-offset // stride))
        corner.append((first, first * stride - offset))
    (x, left), (y, top) = corner
    pixels = result.pixels[top::stride, left::stride]
    return Pasted(pixels, result.channels, (x, y, pixels.shape[1], pixels.shape[0]))


def _lay_over(picture: np.ndarray, result: Pasted, rows: Box, layer: Layer) -> None:
    """Composites, in place, the part of a result that lies in `rows` over their picture."""
    x, y, width, height = result.rect
    common = rows.intersection(Box(x, y, x + width, y + height))
    if common.width and common.height:
        rgb, alpha = layer.encoding.with_alpha.decode(result.pixels[common.moved(-x, -y).slices])
        below = picture[common.moved(-rows.x0, -rows.y0).slices]
        lay_over_opaque(below, rgb.clip(0.0, 1.0), alpha)
