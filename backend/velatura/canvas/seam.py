"""Leading an edit's colours to the source's along the edge of the selection.

An autoencoder does not give back quite the colours it was given, so an edit cut out along the selection
shows an edge even where it means to change nothing. Just outside the selection that error is known. It is
carried a short way in, and fades: a Poisson blend, which would carry it everywhere, shifts the colours of
the whole edit (Avrahami et al. 2023, figure 4d)."""

from __future__ import annotations

import numpy as np

# Larger differences are the edit itself, spilling over the edge, and are not carried in.
_TRUSTED = 0.15


def matched(seen: np.ndarray, edited: np.ndarray, mask: np.ndarray, reach: float) -> np.ndarray:
    """The edit [h, w, 3] with its seam taken out; exactly the edit where it equals what was seen.

    seen: what the model was shown, [h, w, 3] in [0, 1]. mask: the selection, [h, w]. reach: pixels; how
    far in the correction goes, as the deviation of a Gaussian."""
    error = seen - edited
    size = np.sqrt(np.square(error).sum(axis=2, keepdims=True))
    outside = (1.0 - mask)[..., None]
    trusted = error * outside / (1.0 + (size / _TRUSTED) ** 4)
    carried = _blurred(np.concatenate([trusted, outside], axis=2), reach)
    # the mean over what is outside, at its full size up to a straight edge, then falling with the distance
    correction = carried[..., :3] / np.maximum(carried[..., 3:], 0.5)
    return edited + mask[..., None] * correction


def _blurred(picture: np.ndarray, deviation: float) -> np.ndarray:
    """Gaussian blur of [h, w, c], the picture's edge repeated."""
    reach = int(np.ceil(3.0 * deviation))
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / deviation)).astype(np.float32)
    kernel /= kernel.sum()
    for axis in (0, 1):
        pads = [(reach, reach) if i == axis else (0, 0) for i in range(3)]
        padded = np.pad(picture, pads, mode="edge").swapaxes(0, axis)
        n = picture.shape[axis]
        picture = sum(w * padded[i : i + n] for i, w in enumerate(kernel)).swapaxes(0, axis)
    return picture
