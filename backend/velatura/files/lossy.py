"""JPEG and WebP files of results: 8 bits a channel, the recipe in XMP."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow

from velatura.files import colour, metadata
from velatura.files.depths import full_of
from velatura.files.images import Image

QUALITY = 95
MAX_WEBP = 16_383  # pixels a side


def jpeg(image: Image, xmp: bytes) -> bytes:
    """An opaque picture as a JPEG of quality 95 without subsampling; xmp: the packet to write."""
    eight = eight_bits(image.pixels[..., :-1] if image.channels.endswith("A") else image.pixels)
    return _saved(eight, image, xmp, "JPEG", quality=QUALITY, subsampling=0)


def webp(image: Image, xmp: bytes) -> bytes:
    """A picture as a WebP without loss, also beneath full transparency; xmp: the packet to write.

    WebP has no gray: gray pixels become RGB ones of three equal values.
    """
    eight = eight_bits(image.pixels)
    if not image.channels.startswith("RGB"):
        eight = np.concatenate([np.repeat(eight[..., :1], 3, axis=-1), eight[..., 1:]], axis=-1)
    return _saved(eight, image, xmp, "WEBP", lossless=True, exact=True, method=4)


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Pixels of integers as uint8, rounded."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) * 255 + full_of(pixels.dtype) // 2) // full_of(pixels.dtype)).astype(
        np.uint8
    )


def _saved(pixels: np.ndarray, image: Image, xmp: bytes, kind: str, **options: object) -> bytes:
    kept = dict((*image.colour_chunks, *image.metadata))
    exif = kept.get(b"eXIf", b"")
    dpi = metadata.dpi_of((*image.colour_chunks, *image.metadata))
    if kind == "JPEG" and dpi is not None:
        options["dpi"] = dpi
    stream = io.BytesIO()
    picture = Pillow.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.save(
        stream,
        kind,
        icc_profile=colour.icc_of(image, gray=pixels.shape[-1] < 3),
        exif=b"Exif\0\0" + exif if exif else b"",
        xmp=xmp,
        **options,
    )
    return stream.getvalue()
