"""Layers and masks made of numbers, for the tests of the canvas."""

from __future__ import annotations

import numpy as np

from velatura.canvas.selection import Layer, Selection
from velatura_protocol.rasters import Raster

DTYPES = {"u8": "<u1", "u16": "<u2", "f16": "<f2", "f32": "<f4"}
DIGEST = "blake2b:" + "0" * 64


def raster(pixels, channels, profile="sRGB", origin=(0, 0)) -> Raster:
    height, width = pixels.shape[:2]
    dtype = next(name for name, code in DTYPES.items() if np.dtype(code) == pixels.dtype)
    return Raster(DIGEST, width, height, channels, dtype, profile, (*origin, width, height))


def layer(pixels, channels="RGBA", profile="sRGB", origin=(0, 0), icc=b"") -> Layer:
    return Layer.of(raster(pixels, channels, profile, origin), pixels.tobytes(), icc)


def selection(values, on: Layer, origin=(0, 0)) -> Selection:
    """values: [h, w] native, or None."""
    if values is None:
        return Selection.of(None, b"", on)
    return Selection.of(raster(values[..., None], "A", "", origin), values.tobytes(), on)


def noise(rng, height, width, channels, dtype):
    """Any value the dtype has, except that floats stay within a few times a display's range."""
    shape = (height, width, len(channels))
    if dtype in ("u8", "u16"):
        top = np.iinfo(DTYPES[dtype]).max
        return rng.integers(0, top + 1, shape).astype(DTYPES[dtype])
    return rng.normal(0.5, 1.0, shape).astype(DTYPES[dtype])
