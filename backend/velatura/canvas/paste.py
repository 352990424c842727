"""Turns an edited picture into a layer: the source's channels, dtype and profile, the selection as alpha."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .colour import fractions, quantise
from .detail import restored, unchanged
from .geometry import Region
from .region import Seen, at_layers_size, flattened, without_margins
from .selection import Layer, Selection

_BAND = 1 << 18
_LEAST = 1e-6  # alpha that no dtype shows


class Pasted(NamedTuple):
    """A result layer. pixels: native [h, w, channels]. rect: (x, y, width, height) in the document."""

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
    """The result layer of an edit. It has the selection's bounds, and colour 0 where alpha is 0.

    An unchanged pixel keeps its own bytes, so values that a model cannot express (beyond white, or a float's
    last bits) are lost only where the picture changes.

    Args:
        layer: the source.
        selection: the part to edit.
        region: the part that the model saw.
        seen: the picture that the model saw.
        edited: [h, w, 3] float in [0, 1] at the size of `seen.image`, the edit.
        reconstructed: [h, w, 3], the same autoencoder's reconstruction of the unedited picture.
        reach: see `detail.unchanged`.
    """
    edited, reconstructed = without_margins(edited, region), without_margins(reconstructed, region)
    kept = unchanged(edited, reconstructed, reach)[..., None]
    pictures = np.concatenate([edited, reconstructed, kept], axis=2)
    bounds, encoding = selection.bounds, layer.encoding.with_alpha
    out = encoding.empty(bounds.height, bounds.width)
    for band in bounds.bands(_BAND):
        at_own_size = at_layers_size(pictures, region, band)
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
    return _pasted(out, encoding.channels, layer, selection)


def paste_painted(layer: Layer, selection: Selection, region: Region, painted: np.ndarray) -> Pasted:
    """The result layer of paint that has its own alpha: the product of that and the selection is its alpha.

    Over the source it gives the picture that the paint gives there, as far as the selection reaches. Colours
    are resized premultiplied, so that the colour of invisible paint does not bleed into visible paint.

    Args:
        layer: the source.
        selection: the part to edit.
        region: the part that the model saw.
        painted: [h, w, 4] float in [0, 1] at the size of the model's picture, colours not premultiplied.
    """
    premultiplied = np.concatenate([painted[..., :3] * painted[..., 3:], painted[..., 3:]], axis=2)
    premultiplied = without_margins(premultiplied, region)
    bounds, encoding = selection.bounds, layer.encoding.with_alpha
    out = encoding.empty(bounds.height, bounds.width)
    for band in bounds.bands(_BAND):
        paint = at_layers_size(premultiplied, region, band)
        own = paint[..., 3]
        rgb = paint[..., :3] / np.maximum(own, _LEAST)[..., None]
        alpha = quantise(fractions(selection.alpha(band, layer)) * own, encoding.dtype)
        pixels = encoding.encode(rgb.clip(0.0, 1.0), alpha)
        pixels[alpha == 0] = 0
        out[band.y0 - bounds.y0 : band.y1 - bounds.y0] = pixels
    return _pasted(out, encoding.channels, layer, selection)


def _pasted(pixels: np.ndarray, channels: str, layer: Layer, selection: Selection) -> Pasted:
    bounds, (x, y) = selection.bounds, layer.origin
    return Pasted(pixels, channels, (bounds.x0 + x, bounds.y0 + y, bounds.width, bounds.height))
