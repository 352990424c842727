"""Restores the source's own detail where an edit leaves the picture unchanged.

An autoencoder's reconstruction D(E(x)) of a picture x is blurred and slightly shifted in colour, and a large
layer is downsampled for it. Pasted without correction, an edit would be a soft patch with a visible edge
(Avrahami et al. 2023, section 4.2, fine-tune the decoder's weights on each picture against this). But the
lost detail is known, x - D(E(x)); it is added back where the edit does not change the picture.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_TOLERANCE = 0.1  # of colours in [0, 1], as a distance in RGB
_LAST_BITS = 1e-5


def unchanged(edited: np.ndarray, reconstructed: np.ndarray, reach: int) -> np.ndarray:
    """The similarity of each pixel to the source, [h, w] in [0, 1]; exactly 1 where no pixel near it changed.

    Args:
        edited: [h, w, 3], the autoencoder's picture of the edit.
        reconstructed: [h, w, 3], its picture of the source.
        reach: the distance in pixels at which a change still counts, so that no detail of the source lies on
            the edge of the new content.
    """
    squared = np.square(edited - reconstructed).sum(axis=2)
    similar = np.exp(-squared / _TOLERANCE**2)
    return _filtered(_filtered(similar, reach, np.min), reach // 2, np.mean)


def restored(
    edited: np.ndarray,
    reconstructed: np.ndarray,
    unchanged: np.ndarray,
    source: np.ndarray,
    fine: np.ndarray | None = None,
) -> np.ndarray:
    """unchanged (edited + source - reconstructed) + (1 - unchanged) fine, [h, w, 3] at the layer's scale.

    It equals the source bitwise where the edit equals the reconstruction. `unchanged` is [h, w, 1], the
    others are [h, w, 3]. fine: the edit with more detail; None: the edit itself.
    """
    # resampling changes the last bits of a 1
    unchanged = np.where(unchanged > 1.0 - _LAST_BITS, np.float32(1.0), unchanged)
    rgb = source + (edited - reconstructed) + (1.0 - unchanged) * (reconstructed - source)
    return rgb if fine is None else rgb + (1.0 - unchanged) * (fine - edited)


def _filtered(values: np.ndarray, reach: int, summary: Callable[..., np.ndarray]) -> np.ndarray:
    """A summary of the square around each value, with edges repeated."""
    window = 2 * reach + 1
    for axis in (0, 1):
        pads = np.zeros((2, 2), int)  # by axis: before and after
        pads[axis] = reach
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, pads, mode="edge"), window, axis)
        values = summary(windows, axis=-1)
    return values
