"""Keeping the source's own detail where an edit leaves the picture as it is.

An autoencoder gives back a picture blurred and slightly shifted in colour, D(E(x)) for x, and a large
layer is shown to it reduced. Pasted as they are, edits would be soft patches with an edge (Avrahami et al.
2023, section 4.2, fine- tune the decoder's weights on each picture against this). But what is lost is
known, x - D(E(x)), and is missing only where the edit shows what was there: so it is added back there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_TOLERANCE = 0.1  # of colours in [0, 1], as a distance in RGB
_LAST_BITS = 1e-5


def unchanged(edited: np.ndarray, reconstructed: np.ndarray, reach: int) -> np.ndarray:
    """How far each pixel is as it was, [h, w] in [0, 1]; exactly 1 where nothing near it was edited.

    edited, reconstructed: [h, w, 3], the autoencoder's picture of the edit and of the source. reach:
    pixels within which a change counts, so that the source's detail stays off the rim of what is new."""
    squared = np.square(edited - reconstructed).sum(axis=2)
    similar = np.exp(-squared / _TOLERANCE**2)
    return _slid(_slid(similar, reach, np.min), reach // 2, np.mean)


def restored(
    edited: np.ndarray, reconstructed: np.ndarray, unchanged: np.ndarray, source: np.ndarray
) -> np.ndarray:
    """edited + unchanged (source - reconstructed), all at the layer's scale; bitwise the source where the
    edit is the reconstruction. [h, w, 3] and [h, w, 1]."""
    # what is 1 at the model's scale is 1 but for its last bits when it has been resampled
    unchanged = np.where(unchanged > 1.0 - _LAST_BITS, np.float32(1.0), unchanged)
    return source + (edited - reconstructed) + (1.0 - unchanged) * (reconstructed - source)


def _slid(values: np.ndarray, reach: int, summary: Callable) -> np.ndarray:
    """A summary of the square round each value, edges repeated."""
    window = 2 * reach + 1
    for axis in (0, 1):
        pads = [(reach, reach) if i == axis else (0, 0) for i in (0, 1)]
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, pads, mode="edge"), window, axis)
        values = summary(windows, axis=-1)
    return values
