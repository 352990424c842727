"""Resizing with Keys' cubic (a = -1/2), widened when shrinking so that nothing aliases.

The kernel is that of Pillow's BICUBIC; here it also yields a window of an enlarged picture without making the
whole, and is exact where nothing changes size.
"""

from __future__ import annotations

import numpy as np


def resize(
    picture: np.ndarray,
    size: tuple[int, int],
    *,
    rows: slice = slice(None),
    columns: slice = slice(None),
    extent: tuple[float, float] | None = None,
) -> np.ndarray:
    """A picture [h, w, c] float32 at another size (height, width).

    rows, columns: only this window of the result. extent: how much of (h, w) is filled, in its own pixels, if
    the last cells reach past the picture's end.
    """
    height, width = extent or picture.shape[:2]
    across = _along(picture.swapaxes(0, 1), width, size[1], columns).swapaxes(0, 1)
    return _along(across, height, size[0], rows)


def _along(picture: np.ndarray, extent: float, n: int, window: slice) -> np.ndarray:
    """Resamples axis 0 from `extent` to n, and gives the window of it."""
    if extent == n == len(picture):
        return picture[window]
    indices, weights = _taps(len(picture), extent, np.arange(n)[window], n)
    out = np.zeros((len(indices), *picture.shape[1:]), np.float32)
    for index, weight in zip(indices.T, weights.T, strict=True):
        out += weight[:, None, None] * picture[index]
    return out


def _taps(n_in: int, extent: float, positions: np.ndarray, n_out: int) -> tuple[np.ndarray, np.ndarray]:
    """(indices, weights) [len(positions), T] of the inputs that make each output; a row of weights sums to
    1."""
    scale = extent / n_out
    widening = max(scale, 1.0)
    centres = (positions + 0.5) * scale - 0.5
    reach = int(np.ceil(2.0 * widening))
    indices = np.floor(centres).astype(int)[:, None] + np.arange(-reach, reach + 1)
    weights = _keys((indices - centres[:, None]) / widening)
    weights *= (indices >= 0) & (indices < n_in)
    weights /= weights.sum(axis=1, keepdims=True)
    return indices.clip(0, n_in - 1), weights.astype(np.float32)


def _keys(x: np.ndarray) -> np.ndarray:
    """Keys 1981, eq. 4 with a = -1/2."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))
