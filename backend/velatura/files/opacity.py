"""Straight alpha, and alpha by which the colours are multiplied ("associated", TIFF 6.0, section 18)."""

from __future__ import annotations

import numpy as np

from velatura.files.depths import full_of

_ROWS = 256


def straight(pixels: np.ndarray) -> np.ndarray:
    """Colours [h, w, c + 1], multiplied by the alpha in the last channel, as straight ones.

    Colours beneath alpha 0 become 0. Integers are rounded, and cut at white.
    """
    made = pixels.copy()
    full = full_of(pixels.dtype)
    for top in range(0, len(pixels), _ROWS):
        part = pixels[top : top + _ROWS].astype(np.float64)
        alpha = part[..., -1:]
        colours = np.where(alpha > 0, part[..., :-1] * full / np.where(alpha > 0, alpha, 1.0), 0.0)
        if pixels.dtype.kind == "u":
            colours = np.rint(np.clip(colours, 0, full))
        made[top : top + _ROWS, ..., :-1] = colours
    return made


def multiplied(pixels: np.ndarray) -> np.ndarray:
    """Straight colours [h, w, c + 1] multiplied by their alpha, without it: [h, w, c]."""
    alpha = pixels[..., -1:].astype(np.float64) / full_of(pixels.dtype)
    values = pixels[..., :-1].astype(np.float64) * alpha
    return (np.rint(values) if pixels.dtype.kind == "u" else values).astype(pixels.dtype)
