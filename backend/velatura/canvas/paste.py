"""An edited picture as a layer: the source's own channels, dtype and profile, the selection as alpha."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .detail import restored, unchanged
from .geometry import Box, Region
from .region import Seen, flattened
from .resample import resize
from .selection import Layer, Selection

_BAND = 1 << 18


class Pasted(NamedTuple):
    """pixels: native [h, w, channels]. rect: (x, y, width, height) in the document."""

    pixels: np.ndarray
    channels: str
    rect: tuple[int, int, int, int]


def paste(
    layer: Layer,
    selection: Selection,
    region: Region,
    seen: Seen,
    edited: np.ndarray,
    reconstructed: np.ndarray,
    reach: int,
) -> Pasted:
    """The result layer of an edit: the selection's bounds, colour 0 where alpha is 0.

    edited, reconstructed: [h, w, 3] float in [0, 1] at the size of `seen.image`: the edit, and what the
    same autoencoder makes of the unedited picture. reach: see `detail.unchanged`. A pixel that is not
    edited keeps its own bytes: what a model cannot express (values beyond white, the last bits of a float)
    is lost only where there is an edit."""
    edited, reconstructed = _inner(edited, region), _inner(reconstructed, region)
    kept = unchanged(edited, reconstructed, reach)[..., None]
    pictures = np.concatenate([edited, reconstructed, kept], axis=2)
    bounds, encoding = selection.bounds, layer.encoding.with_alpha
    out = encoding.empty(bounds.height, bounds.width)
    for band in bounds.bands(_BAND):
        at_own_size = _window(pictures, region, band)
        source = flattened(layer, band, seen.backdrop)
        rgb = restored(at_own_size[..., :3], at_own_size[..., 3:6], at_own_size[..., 6:], source)
        alpha = selection.alpha(band, layer)
        pixels = encoding.encode(rgb.clip(0.0, 1.0), alpha)
        is_source = (rgb == source).all(axis=2)
        for i, channel in enumerate(layer.encoding.channels):
            if channel != "A":
                pixels[..., i] = np.where(is_source, layer.pixels[band.slices][..., i], pixels[..., i])
        pixels[alpha == 0] = 0
        out[band.y0 - bounds.y0 : band.y1 - bounds.y0] = pixels
    x, y = layer.origin
    rect = (bounds.x0 + x, bounds.y0 + y, bounds.width, bounds.height)
    return Pasted(out, encoding.channels, rect)


def _inner(picture: np.ndarray, region: Region) -> np.ndarray:
    """Without the mirrored margins."""
    (top, left), (height, width) = region.offset, region.inner
    return np.asarray(picture, np.float32)[top : top + height, left : left + width].clip(0.0, 1.0)


def _window(pictures: np.ndarray, region: Region, box: Box) -> np.ndarray:
    """The part that lies in a box of the layer, at the layer's scale."""
    crop = region.crop
    rows, columns = box.moved(-crop.x0, -crop.y0).slices
    return resize(pictures, (crop.height, crop.width), rows=rows, columns=columns).clip(0.0, 1.0)
