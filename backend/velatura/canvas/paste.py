"""An edited picture as a layer: the source's own channels, dtype and profile, the selection as alpha."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .geometry import Box, Region
from .region import Seen, flattened
from .resample import resize
from .selection import Layer, Selection

_BAND = 1 << 20


class Pasted(NamedTuple):
    """pixels: native [h, w, channels]. rect: (x, y, width, height) in the document."""

    pixels: np.ndarray
    channels: str
    rect: tuple[int, int, int, int]


def paste(layer: Layer, selection: Selection, region: Region, seen: Seen, edited: np.ndarray) -> Pasted:
    """The result layer of an edit: the selection's bounds, colour 0 where alpha is 0.

    edited: [h, w, 3] float in [0, 1] at the size of `seen.image`. A pixel that comes back as it was shown
    keeps its own bytes: what a model cannot express (values beyond white, the last bits of a float) is
    lost only where there is an edit."""
    (top, left), (height, width) = region.offset, region.inner
    edited = np.asarray(edited, np.float32)[top : top + height, left : left + width].clip(0.0, 1.0)
    is_native = region.inner == (region.crop.height, region.crop.width)
    bounds, encoding = selection.bounds, layer.encoding.with_alpha
    out = encoding.empty(bounds.height, bounds.width)
    for band in bounds.bands(_BAND):
        rgb = _at_own_size(edited, region, band)
        alpha = selection.alpha(band, layer)
        pixels = encoding.encode(rgb, alpha)
        if is_native:
            kept = (rgb == flattened(layer, band, seen.backdrop)).all(axis=2)
            colours = [i for i, channel in enumerate(layer.encoding.channels) if channel != "A"]
            for i in colours:
                pixels[..., i] = np.where(kept, layer.pixels[band.slices][..., i], pixels[..., i])
        pixels[alpha == 0] = 0
        out[band.y0 - bounds.y0 : band.y1 - bounds.y0] = pixels
    x, y = layer.origin
    rect = (bounds.x0 + x, bounds.y0 + y, bounds.width, bounds.height)
    return Pasted(out, encoding.channels, rect)


def _at_own_size(edited: np.ndarray, region: Region, box: Box) -> np.ndarray:
    """The part of the edit that lies in a box of the layer, [h, w, 3], at the layer's scale."""
    crop = region.crop
    rows, columns = box.moved(-crop.x0, -crop.y0).slices
    return resize(edited, (crop.height, crop.width), rows=rows, columns=columns).clip(0.0, 1.0)
