"""What a person sees once a result lies above its source: the two composed, at any size."""

from __future__ import annotations

import numpy as np

from .geometry import Box
from .paste import Pasted
from .region import flattened, reduced
from .resample import resize
from .selection import Layer

_BAND = 1 << 18


def composed(
    layer: Layer, result: Pasted | None, box: Box, size: tuple[int, int], backdrop: np.ndarray
) -> np.ndarray:
    """A part of the layer with a result over it (or none), [height, width, 3] float32 sRGB in [0, 1].

    box: in the layer's coordinates. size: (height, width) of the picture; a box that is larger is averaged
    down, band by band. backdrop [3]: shows where the layer is transparent. C = lerp(source, result, alpha),
    the `over` of Porter and Duff 1984 on an opaque ground.
    """
    factor = max(1, min(box.height // size[0], box.width // size[1]) // 2)
    step = factor * max(1, _BAND // (factor * box.width))
    parts = []
    for y in range(box.y0, box.y1, step):
        band = box._replace(y0=y, y1=min(y + step, box.y1))
        picture = flattened(layer, band, backdrop)
        if result is not None:
            _lay_over(picture, result, band, layer)
        parts.append(reduced(picture, factor))
    whole = resize(np.concatenate(parts), size, extent=(box.height / factor, box.width / factor))
    return whole.clip(0.0, 1.0)


def _lay_over(picture: np.ndarray, result: Pasted, band: Box, layer: Layer) -> None:
    """Composes the part of a result that lies in the band over the picture of the band, in place."""
    x, y = result.rect[0] - layer.origin[0], result.rect[1] - layer.origin[1]
    place = Box(x, y, x + result.rect[2], y + result.rect[3])
    common = band.intersection(place)
    if common.width and common.height:
        native = result.pixels[common.moved(-x, -y).slices]
        rgb, alpha = layer.encoding.with_alpha.decode(native)
        below = picture[common.moved(-band.x0, -band.y0).slices]
        below += alpha[..., None] * (rgb.clip(0.0, 1.0) - below)
