"""A layer over a picture, at the picture's own depth."""

from __future__ import annotations

import numpy as np

from velatura.files.images import Image, Layer

ROWS = 256  # of a picture at once: 16,384 wide and RGBA these take 128 MiB as 64-bit integers


def over(source: Image, layer: Layer) -> Image:
    """Return `layer` over `source` in the source's channels, depth and profile.

    The straight-alpha `over` of Porter and Duff (1984), in integers and rounded
    half up: a_o = a + a_s (1 - a), C_o = (a C + a_s (1 - a) C_s) / a_o. Where the
    layer's alpha is 0 the source's values are kept bit by bit, those beneath
    alpha 0 too; where it is full the layer's values are taken as they are. A part
    of the layer outside the source is left out.
    """
    upper, fits = layer.image, (source.channels.removesuffix("A") + "A", source.dtype)
    if (upper.channels, upper.dtype) != fits:
        raise ValueError(f"a {upper.channels} {upper.dtype} layer over {source.channels} {source.dtype}")
    result = source.pixels.copy()
    top, left = max(layer.y, 0), max(layer.x, 0)
    bottom = min(layer.y + layer.image.height, source.height)
    right = min(layer.x + layer.image.width, source.width)
    if left < right:
        for row in range(top, bottom, ROWS):
            end = min(row + ROWS, bottom)
            upper = layer.image.pixels[row - layer.y : end - layer.y, left - layer.x : right - layer.x]
            result[row:end, left:right] = _over(result[row:end, left:right], upper)
    return Image(result, source.channels, source.profile, source.icc, source.colour_chunks)


def _over(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Composite [h, w, c or c+1] over [h, w, c]: alpha last; lower has one if it has as many channels."""
    full = np.uint64(np.iinfo(lower.dtype).max)
    straight = lower.shape[-1] == upper.shape[-1]
    c, c_s = upper[..., :-1].astype(np.uint64), (lower[..., :-1] if straight else lower).astype(np.uint64)
    a = upper[..., -1:].astype(np.uint64)
    a_s = lower[..., -1:].astype(np.uint64) if straight else full
    rest = a_s * (full - a)
    a_o = np.maximum(a * full + rest, 1)  # times full; at 0 the lower pixel is kept below
    mixed = (c * a * full + c_s * rest + a_o // 2) // a_o
    if straight:
        mixed = np.concatenate([mixed, (a_o + full // 2) // full], axis=-1)
    return np.where(a == 0, lower, mixed.astype(lower.dtype))
