"""Resizes with Keys' cubic (a = -1/2), which is widened for downsampling so that nothing aliases.

The kernel is that of Pillow's BICUBIC. Other than Pillow, `resize` can compute a window of an upsampled
picture alone, and it returns the same values where the size does not change.
"""

from __future__ import annotations

import numpy as np


class Resized:
    """A picture at another size, computed in bands of rows; the pass along the rows is done only once.

    Args:
        picture: [h, w, c] float32.
        size: (height, width) of the whole result.
        columns: compute only these columns of the result.
        extent: the size of the picture's content in its own pixels, if it does not end with the picture.
        start: (y, x), where that content begins.
    """

    def __init__(
        self,
        picture: np.ndarray,
        size: tuple[int, int],
        *,
        columns: slice = slice(None),
        extent: tuple[float, float] | None = None,
        start: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self._extent, width = extent or picture.shape[:2]
        self._height, self._start = size[0], start[0]
        self._across = _along(picture.swapaxes(0, 1), width, size[1], columns, start[1]).swapaxes(0, 1)

    def rows(self, rows: slice = slice(None)) -> np.ndarray:
        """These rows of the result, [rows, columns, c] float32."""
        return _along(self._across, self._extent, self._height, rows, self._start)


def resize(
    picture: np.ndarray,
    size: tuple[int, int],
    *,
    rows: slice = slice(None),
    columns: slice = slice(None),
    extent: tuple[float, float] | None = None,
) -> np.ndarray:
    """A picture at another size, [height, width, c] float32. For several bands of rows, use `Resized`.

    Args:
        picture: [h, w, c] float32.
        size: (height, width) of the whole result.
        rows: compute only these rows of the result.
        columns: compute only these columns of the result.
        extent: as in `Resized`.
    """
    return Resized(picture, size, columns=columns, extent=extent).rows(rows)


def nearest(
    picture: np.ndarray,
    size: tuple[int, int],
    *,
    rows: slice = slice(None),
    columns: slice = slice(None),
) -> np.ndarray:
    """A picture [h, w, c] at another size, each pixel that of the nearest one: no colour is new.

    Args: as in `resize`.
    """
    ys, xs = (
        (2 * np.arange(n)[window] + 1) * length // (2 * n)
        for n, length, window in zip(size, picture.shape[:2], (rows, columns), strict=True)
    )
    return picture[np.ix_(ys, xs)]


def _along(picture: np.ndarray, extent: float, n: int, window: slice, start: float) -> np.ndarray:
    """A window of axis 0 resampled from `extent`, counted from `start`, to n."""
    if extent == n == len(picture) and not start:
        return picture[window]
    indices, weights = _taps(len(picture), extent, np.arange(n)[window], n, start)
    out = np.zeros((len(indices), *picture.shape[1:]), np.float32)
    for index, weight in zip(indices.T, weights.T, strict=True):
        out += weight[:, None, None] * picture[index]
    return out


def _taps(
    n_in: int, extent: float, positions: np.ndarray, n_out: int, start: float
) -> tuple[np.ndarray, np.ndarray]:
    """(indices, weights), both [len(positions), T], of the inputs of each output; each row of weights sums
    to 1."""
    scale = extent / n_out
    widening = max(scale, 1.0)
    centres = start + (positions + 0.5) * scale - 0.5
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
