"""Composites a layer over a picture at the picture's own depth."""

from __future__ import annotations

from velatura.files.images import Image, Layer
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
    return Image(result, source.channels, source.profile, source.icc, source.colour_chunks)
