"""Copies in sRGB: of pictures that cannot be edited in their own colours, and of any to look at."""

from __future__ import annotations

import numpy as np

from velatura.pixels import srgb

from .lcms import MODELS, linear_rgb, signature, transform
from .spaces import SRGB, Space, Unsupported
from .tone import Tone

_BAND = 1 << 18  # pixels


def shown(pixels: np.ndarray, space: Space) -> np.ndarray:
    """Colours [height, width, 1 or 3], integers or floats, as uint8 sRGB [height, width, 3] to look at.

    Light beyond white is compressed, see `tone`; other colours outside sRGB are clipped.
    """
    is_float = pixels.dtype.kind == "f"
    if space is SRGB and not is_float:
        eight = (pixels >> 8 if pixels.dtype == np.uint16 else pixels).astype(np.uint8)
        return np.repeat(eight, 3, axis=-1) if eight.shape[-1] == 1 else eight
    scale = np.float32(1 if is_float else 1 / np.iinfo(pixels.dtype).max)
    rows = max(1, _BAND // max(1, pixels.shape[1]))
    bands = [slice(top, top + rows) for top in range(0, len(pixels), rows)]

    def colours(band: slice) -> np.ndarray:
        values = pixels[band].astype(np.float32) * scale
        return space.to_srgb(np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0))

    is_bright = space.bright or (is_float and bool((pixels > 1.0).any()))
    tone = Tone.of(max((float(colours(band).max()) for band in bands), default=1.0) if is_bright else 1.0)
    made = np.empty((*pixels.shape[:2], 3), np.uint8)
    for band in bands:
        made[band] = np.rint(tone.compress(colours(band)).clip(0.0, 1.0) * 255)
    return made


def as_srgb(pixels: np.ndarray, icc: bytes) -> np.ndarray:
    """Pixels of any profile's colours as sRGB [height, width, 3] of the same type.

    Colours outside sRGB are clipped.

    Args:
        pixels: [height, width, n], uint8, uint16 or float; no alpha. CMYK is ink: the maximum is full ink.
            Lab has L* in [0, 100] and a*, b* in [-128, 127], as floats.
        icc: the profile of the pixels.

    Raises Unsupported for a profile that cannot be used, or is of another number of channels.
    """
    model = signature(icc)
    if model not in MODELS or MODELS[model][0] != pixels.shape[-1]:
        raise Unsupported("has a colour profile that does not fit its pixels")
    most = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
    scale = 100.0 if model == b"CMYK" else 1.0  # Little CMS counts ink in per cent
    made = np.empty((*pixels.shape[:2], 3), pixels.dtype)
    rows = max(1, _BAND // max(1, pixels.shape[1]))
    for top in range(0, len(pixels), rows):
        values = pixels[top : top + rows].astype(np.float32) * np.float32(scale / most)
        rgb = srgb.encode(transform(values, icc, linear_rgb())).clip(0.0, 1.0) * np.float32(most)
        made[top : top + rows] = np.rint(rgb) if pixels.dtype.kind == "u" else rgb
    return made
