"""Composites one picture over another, by the `over` of Porter and Duff (1984) with straight alpha:

a_o = a + a_s (1 - a), C_o = (a C + a_s (1 - a) C_s) / a_o, where C and a are the upper picture's, C_s and a_s
the lower one's.
"""

from __future__ import annotations

import numpy as np

_ROWS = 256  # rows at once: 16,384 pixels wide and RGBA they take 128 MiB as 64-bit integers


def over(lower: np.ndarray, upper: np.ndarray, at: tuple[int, int] = (0, 0)) -> np.ndarray:
    """A copy of a picture with another one over it; integers are rounded half up.

    Where the upper alpha is 0 the result is the lower pixel bit by bit, even if that is transparent. Where
    the upper alpha is full, it is the upper pixel.

    Args:
        lower: [H, W, c] or [H, W, c + 1] with alpha last, uint8, uint16, float16 or float32.
        upper: [h, w, c + 1] of the same type, alpha last.
        at: (x, y) in `lower` of the upper picture's first pixel. Pixels outside `lower` are ignored.
    """
    x, y = at
    result = lower.copy()
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + upper.shape[0], lower.shape[0]), min(x + upper.shape[1], lower.shape[1])
    if left < right:
        for row in range(top, bottom, _ROWS):
            end = min(row + _ROWS, bottom)
            part = upper[row - y : end - y, left - x : right - x]
            result[row:end, left:right] = _over(result[row:end, left:right], part)
    return result


def lay_over_opaque(lower: np.ndarray, rgb: np.ndarray, alpha: np.ndarray) -> None:
    """Composites floats over an opaque picture in place: C_o = C_s + a (C - C_s).

    Args:
        lower: [h, w, 3], overwritten.
        rgb: [h, w, 3].
        alpha: [h, w] in [0, 1].
    """
    lower += alpha[..., None] * (rgb - lower)


def _over(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """[h, w, c + 1] over [h, w, c], or over [h, w, c + 1] with alpha last."""
    if lower.dtype.kind == "f":
        return _over_floats(lower, upper)
    full = np.uint64(np.iinfo(lower.dtype).max)
    straight = lower.shape[-1] == upper.shape[-1]
    c, c_s = upper[..., :-1].astype(np.uint64), (lower[..., :-1] if straight else lower).astype(np.uint64)
    a = upper[..., -1:].astype(np.uint64)
    a_s = lower[..., -1:].astype(np.uint64) if straight else full
    rest = a_s * (full - a)
    a_o = np.maximum(a * full + rest, 1)  # times full; at 0 the last line takes the lower pixel
    mixed = (c * a * full + c_s * rest + a_o // 2) // a_o
    if straight:
        mixed = np.concatenate([mixed, (a_o + full // 2) // full], axis=-1)
    return np.where(a == 0, lower, mixed.astype(lower.dtype))


def _over_floats(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """As `_over`, with full alpha 1."""
    has_alpha = lower.shape[-1] == upper.shape[-1]
    c, a = upper[..., :-1].astype(np.float64), upper[..., -1:].astype(np.float64)
    c_s = (lower[..., :-1] if has_alpha else lower).astype(np.float64)
    a_s = lower[..., -1:].astype(np.float64) if has_alpha else np.float64(1.0)
    rest = a_s * (1.0 - a)
    a_o = a + rest
    mixed = (a * c + rest * c_s) / np.where(a_o > 0.0, a_o, 1.0)
    if has_alpha:
        mixed = np.concatenate([mixed, a_o], axis=-1)
    result = np.where(a == 0.0, lower, mixed.astype(lower.dtype))
    whole = upper if has_alpha else upper[..., :-1]
    return np.where(a == 1.0, whole, result)
