"""The transfer function of sRGB (IEC 61966-2-1:1999, section 5.2), between linear light and encoded values.

Both functions take arrays of floats of any shape and return the same shape and type. They extend beyond 1,
and below 0 as odd functions, as in scRGB (IEC 61966-2-2). xp: the array's library, NumPy or torch; the caller
passes it, so that this module does not import torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_DARK = 0.0031308  # linear light up to which the curve is a straight line
_DARK_ENCODED = 0.04045  # the same point, encoded


def encode(linear: Any, xp: Any = np) -> Any:
    """Encoded values of linear light."""
    x = xp.abs(linear)
    curve = 1.055 * xp.clip(x, _DARK, None) ** (1 / 2.4) - 0.055
    return xp.copysign(xp.where(x <= _DARK, 12.92 * x, curve), linear)


def decode(encoded: Any, xp: Any = np) -> Any:
    """Linear light of encoded values, the inverse of `encode`."""
    x = xp.abs(encoded)
    curve = ((xp.clip(x, _DARK_ENCODED, None) + 0.055) / 1.055) ** 2.4
    return xp.copysign(xp.where(x <= _DARK_ENCODED, x / 12.92, curve), encoded)
