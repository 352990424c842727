"""Turns an edited picture into a layer: the source's channels, dtype and profile, the selection as alpha."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .colour import fractions, quantise
from .detail import restored, unchanged
from .geometry import Region
from .region import AtLayersSize, Seen, flattened, without_margins
from .selection import Layer, Selection

_BAND = 1 << 18
_LEAST = 1e-6  # alpha that no dtype shows


class Pasted(NamedTuple):
    """A result layer. pixels: native [h, w, channels]. rect: (x, y, width, height) in the document."""

    pixels: np.ndarray
    channels: str
    rect: tuple[int, int, int, int]


class Finer(NamedTuple):
    """An edit that was worked out at a larger size than the model's.

    picture: [h, w, 3] in [0, 1], at a scale between the model's and the layer's. region: its place, which
    holds the selection and has no margins.
    """

    picture: np.ndarray
    region: Region


def paste(
    layer: Layer,
    selection: Selection,
    region: Region,
    seen: Seen,
    edited: np.ndarray,
    reconstructed: np.ndarray | None,
    reach: int,
    *,
    flat: bool = False,
    finer: Finer | None = None,
) -> Pasted:
    """The result layer of an edit. It has the selection's bounds, and colour 0 where alpha is 0.

    Its alpha is the selection, times the edit's own opacity if it has one.

    An unchanged pixel keeps its own bytes. A changed one keeps the part of its colour that sRGB cannot
    express, the less the more it changes (`Encoding.beyond`).

    Args:
        layer: the source.
        selection: the part to edit.
        region: the part that the model saw.
        seen: the picture that the model saw.
        edited: [h, w, 3 or 4] float in [0, 1] at the size of `seen.image`, the edit; the fourth channel is
            its opacity.
        reconstructed: [h, w, 3], the picture for which the source's own detail comes back, mostly the same
            autoencoder's reconstruction of the unedited picture. None: it comes back nowhere.
        reach: see `detail.unchanged`.
        flat: whether the edit is of flat colours, whose edges stay hard.
        finer: the same edit with more detail; it takes the edit's place where the picture changes.
    """
    edited = without_margins(edited, region)
    edited, opacity = edited[..., :3], edited[..., 3:]
    # premultiplied: the colour of an invisible place must not bleed into its neighbours
    parts = [edited * opacity if opacity.size else edited, opacity]
    if reconstructed is not None:
        reconstructed = without_margins(reconstructed, region)
        parts += [reconstructed, unchanged(edited, reconstructed, reach)[..., None]]
    pictures, first = np.concatenate(parts, axis=2), 3 + opacity.shape[2]
    bounds, encoding = selection.bounds, layer.encoding.with_alpha
    out = encoding.empty(bounds.height, bounds.width)
    upsampled = AtLayersSize(pictures, region, bounds, flat=flat)
    detailed = None if finer is None else AtLayersSize(finer.picture, finer.region, bounds)
    for band in bounds.bands(_BAND):
        at_own_size = upsampled.band(band)
        source = flattened(layer, band, seen.backdrop)
        rgb = at_own_size[..., :3]
        if opacity.size:
            rgb = rgb / np.maximum(at_own_size[..., 3:4], _LEAST)
        fine = None if detailed is None else detailed.band(band)
        if reconstructed is not None:
            kept = at_own_size[..., first + 3 :]
            rgb = restored(rgb, at_own_size[..., first : first + 3], kept, source, fine)
        elif fine is not None:
            rgb = fine
        alpha = selection.alpha(band, layer)
        if opacity.size:
            alpha = quantise(fractions(alpha) * at_own_size[..., 3], encoding.dtype)
        rgb = rgb.clip(0.0, 1.0)
        beyond = layer.encoding.beyond(layer.at(band), source, rgb)
        pixels = encoding.encode(rgb, alpha, beyond)
        is_source = (rgb == source).all(axis=2)
        for i, channel in enumerate(layer.encoding.channels):
            if channel != "A":
                pixels[..., i] = np.where(is_source, layer.at(band)[..., i], pixels[..., i])
        pixels[alpha == 0] = 0
        out[band.y0 - bounds.y0 : band.y1 - bounds.y0] = pixels
    x, y = layer.origin
    return Pasted(out, encoding.channels, (bounds.x0 + x, bounds.y0 + y, bounds.width, bounds.height))
