"""Composites a layer over a picture at the picture's own depth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from velatura.files.images import Image, Layer
from velatura.files.opacity import multiplied
from velatura.pixels import over as pixels


def over(source: Image, layer: Layer) -> Image:
    """Return `layer` over `source` in the source's channels, depth and profile (see `velatura.pixels.over`).

    Ignores the part of the layer outside the source. Raises ValueError unless the layer has the source's
    colour channels with alpha, and its depth.
    """
    upper, fits = layer.image, (source.channels.removesuffix("A") + "A", source.dtype)
    if (upper.channels, upper.dtype) != fits:
        raise ValueError(f"a {upper.channels} {upper.dtype} layer over {source.channels} {source.dtype}")
    result = pixels.over(source.pixels, upper.pixels, (layer.x, layer.y))
    return replace(source, pixels=result, associated=_associated(source, result))


def _associated(source: Image, result: np.ndarray) -> np.ndarray | None:
    """The result's colours multiplied by its alpha: the source's own where nothing has changed."""
    if source.associated is None:
        return None
    same = (result == source.pixels).all(axis=-1, keepdims=True)
    return np.where(same, source.associated, multiplied(result))
