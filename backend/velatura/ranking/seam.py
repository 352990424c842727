"""The visibility of an edit's border: steps across it, compared with the steps in the picture itself.

After the mean squared difference of slope (Minami and Zakhor 1995, An optimization approach for removing
blocking effects in transform coding), which separates block edges in a compressed picture from the picture's
own gradients. Here it is taken along the border of a mask, place by place, at the scales at which it is a
border.
"""

from __future__ import annotations

import numpy as np

NEAR = 4  #: pixels at each scale: how far beside the border the picture's own texture is measured
VISIBLE = 1.0 / 255.0  #: the smallest step of colour on an 8-bit display; smaller steps are no seam
_LEAST_SIDE = 8  # pixels a side of the coarsest picture


class Border:
    """The border of a mask in a picture, along which edits are compared with the picture."""

    def __init__(self, before: np.ndarray, mask: np.ndarray) -> None:
        """before: the source, [h, w, 3] in [0, 1]. mask: [h, w] in [0, 1]."""
        self._levels: list[tuple[int, _Level]] = []
        scale, widest = 1, 2.0 * softness(mask)
        while scale == 1 or (scale <= widest and min(mask.shape) // scale >= _LEAST_SIDE):
            if min(mask.shape) // scale >= 4:  # enough for one pair and its outer neighbours
                level = _Level(_averaged(before, scale), _averaged(mask[..., None], scale))
                if level.weight > 0.0:
                    self._levels.append((scale, level))
            scale *= 2

    def seam(self, after: np.ndarray) -> float | None:
        """How inconspicuous the border is in an edited picture [h, w, 3], in (0, 1]: 1 for steps no higher
        than those of the picture, 0.5 for steps twice as high. None if there is no border or the picture is
        too small.

        For neighbours p, q along a row or a column, with p' before p and q' after q, the difference of slope

            d(p, q) = (C_q - C_p) - ((C_p - C_p') + (C_q' - C_q)) / 2

        is 0 on any even gradient and h across a step of height h. The border is where the mask differs, with
        the weight w(p, q) = |m_q - m_p|. At each pair of it, over the square of `NEAR` pixels on every side,
        B(d) = sum w |d|^2 / sum w is the mean square across the border (|d|^2: mean over the colours) and
        N(d), over twice as far, the mean square over the pairs beside the border and not on it. Then

            seam_s = sum w min(1, sqrt((R + v^2) / (B(d_after) + v^2))) / sum w,
            R = max(B(d_before), N(d_after)),    v = `VISIBLE`.

        Steps of the source at that place (an outline along the selection) and of the two sides of the border
        (texture) excuse steps of the same height there, and not elsewhere. The result is the mean over
        pictures of 1, 1/2, 1/4 … of the size, down to the scale at which a feathered border is a step too.
        Above v the result does not depend on contrast: multiplying all colours changes nothing.
        """
        seams = [level.seam(_averaged(after, scale)) for scale, level in self._levels]
        return float(np.mean(seams)) if seams else None


def softness(mask: np.ndarray) -> float:
    """The mean width of a mask's border in pixels, at least 1: the number of partly selected pixels, divided
    by the border's length (the total variation along rows and columns)."""
    length = sum(np.abs(np.diff(mask, axis=axis)).sum(dtype=np.float64) for axis in (0, 1))
    between = np.count_nonzero((mask > 0.02) & (mask < 0.98))
    return max(1.0, between / length) if length > 0.0 else 1.0


class _Level:
    """The border at one scale. For each axis: the pairs' weights w, the pairs beside it, and B(d_before)."""

    def __init__(self, before: np.ndarray, mask: np.ndarray) -> None:
        self._axes = []
        self.weight = 0.0
        for axis in (0, 1):
            w = _inner(np.abs(np.diff(mask[..., 0].astype(np.float64), axis=axis)), axis)
            beside = (_grown(w > 0, NEAR, axis) & ~_grown(w > 0, 2, axis)).astype(np.float64)
            self._axes.append((w, beside, _local_mean(w, _slope_difference(before, axis), NEAR)))
            self.weight += float(w.sum())

    def seam(self, after: np.ndarray) -> float:
        total = 0.0
        for axis, (w, beside, was) in enumerate(self._axes):
            d = _slope_difference(after, axis)
            ground = np.maximum(was, _local_mean(beside, d, 2 * NEAR)) + VISIBLE**2
            ratio = np.sqrt(ground / (_local_mean(w, d, NEAR) + VISIBLE**2))
            total += float((w * np.minimum(1.0, ratio)).sum())
        return total / self.weight


def _slope_difference(picture: np.ndarray, axis: int) -> np.ndarray:
    """|d(p, q)|^2 of every pair with both outer neighbours, a mean over the colours."""
    slopes = np.diff(picture, axis=axis).swapaxes(0, axis)
    d = slopes[1:-1] - (slopes[:-2] + slopes[2:]) / 2.0
    return (np.einsum("ijk,ijk->ij", d, d) / d.shape[2]).swapaxes(0, axis).astype(np.float64)


def _inner(pairs: np.ndarray, axis: int) -> np.ndarray:
    """The pairs without the first and the last one along the axis, which `_slope_difference` omits."""
    return pairs[1:-1] if axis == 0 else pairs[:, 1:-1]


def _local_mean(weights: np.ndarray, values: np.ndarray, reach: int) -> np.ndarray:
    """Weighted means over squares of 2 reach + 1 pixels a side; 0 where all weights are 0."""
    total = _local_sum(weights, reach)
    return np.divide(
        _local_sum(weights * values, reach), total, out=np.zeros_like(total), where=total > 1e-9
    ).clip(0.0)


def _local_sum(values: np.ndarray, reach: int) -> np.ndarray:
    """Sums over squares, 0 beyond the edges."""
    for axis in (0, 1):
        pads = [(reach + 1, reach) if k == axis else (0, 0) for k in (0, 1)]
        sums = np.cumsum(np.pad(values, pads), axis=axis).swapaxes(0, axis)
        values = (sums[2 * reach + 1 :] - sums[: -2 * reach - 1]).swapaxes(0, axis)
    return values


def _grown(chosen: np.ndarray, reach: int, axis: int) -> np.ndarray:
    """The pairs within `reach` of a chosen one along the axis of the pairs."""
    pairs = chosen.swapaxes(0, axis)
    grown = pairs.copy()
    for shift in range(1, reach + 1):
        grown[shift:] |= pairs[:-shift]
        grown[:-shift] |= pairs[shift:]
    return grown.swapaxes(0, axis)


def _averaged(picture: np.ndarray, scale: int) -> np.ndarray:
    """Means of blocks of scale x scale pixels, without incomplete blocks at the end."""
    h, w = (side // scale for side in picture.shape[:2])
    cut = picture[: h * scale, : w * scale]
    return cut.reshape(h, scale, w, scale, -1).mean(axis=(1, 3))
