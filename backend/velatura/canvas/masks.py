"""Turns a mask at a model's size into a mask of the layer."""

from __future__ import annotations

import numpy as np

from .colour import fractions, quantise
from .geometry import Region
from .region import AtLayersSize, without_margins
from .selection import Layer, Selection

_BAND = 1 << 20


def mask_of_layer(layer: Layer, selection: Selection, region: Region, mask: np.ndarray) -> np.ndarray:
    """A mask of the whole layer, uint8 [height, width].

    It is multiplied by the selection, and 0 where the layer is transparent and outside the region.

    Args:
        layer: the layer.
        selection: the selection on it.
        region: the part that the model saw.
        mask: [h, w] float in [0, 1] at the size of the model's picture.
    """
    inner = without_margins(mask[..., None], region)
    out = np.zeros((layer.box.height, layer.box.width), np.uint8)
    upsampled = AtLayersSize(inner, region, selection.bounds)
    for band in selection.bounds.bands(_BAND):
        values = upsampled.band(band)[..., 0]
        if selection.values is not None:
            values *= fractions(selection.window(band))
        if layer.encoding.has_alpha:
            alpha = layer.at(band)[..., layer.encoding.channels.index("A")]
            values[fractions(alpha) == 0.0] = 0.0
        out[band.slices] = quantise(values, "u8")
    return out
