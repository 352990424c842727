"""How visible the border of an edit is: steps across it against the steps that are there anyway.

After the mean squared difference of slope (Minami and Zakhor 1995, An optimization approach for removing
blocking effects in transform coding), which tells a block's edge in a compressed picture from the picture's
own gradients, here along the border of a mask instead of a grid.
"""

from __future__ import annotations

import numpy as np

SCALES = (1, 2, 4)  #: pixels averaged into one, a side: a feathered border is a step when seen from afar
NEAR = 4  #: pixels (at each scale) within which the picture's own texture is measured
VISIBLE = 1.0 / 255.0  #: a step of colour that an 8-bit display just shows; steps below it are no seam


def seam(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> float | None:
    """How unnoticeable the border of the mask is in an edited picture: in (0, 1], 1 no more than anything
    there; 0.5 steps twice as high. None where the mask has no border, or the picture is too small for one.

    before, after: [h, w, 3] in [0, 1], the source and the composed result. mask: [h, w] in [0, 1].

    For neighbours p, q along a row or a column, with p' before p and q' after q, the difference of slope is

        d(p, q) = (C_q - C_p) - ((C_p - C_p') + (C_q' - C_q)) / 2,

    0 on any even gradient and h across a step of height h. The border is where the mask differs, with weight
    w(p, q) = |m_q - m_p|, so that a soft border counts as far as it is one. With the weighted mean square
    over the border B(d) = sum w |d|^2 / sum w (|d|^2: mean over the colours), and N(d), the mean square over
    the pairs near the border and not on it,

        seam_s = min(1, sqrt((R + v^2) / (B(d_after) + v^2))),    R = max(B(d_before), N(d_after)),

    v = `VISIBLE`; and seam is the mean of seam_s over `SCALES`. What the source has at that place (an outline
    that is selected along) and what both sides of the border have (texture) excuses a step of that height.
    Above v it does not depend on contrast: multiplying all colours changes nothing.
    """
    found = []
    for scale in SCALES:
        if min(mask.shape) // scale >= 4:  # one pair with both its further neighbours
            means = [_averaged(picture, scale) for picture in (before, after, mask[..., None])]
            found.append(_at_one_scale(*means[:2], means[2][..., 0]))
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def _at_one_scale(before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> float | None:
    border = weight = was = 0.0
    near = pairs = 0.0
    for axis in (0, 1):
        d_before, d_after = _slope_difference(before, axis), _slope_difference(after, axis)
        w = np.abs(np.diff(mask.astype(np.float64), axis=axis))
        w = _inner(w, axis)
        beside = _grown(w > 0, NEAR, axis) & ~_grown(w > 0, 2, axis)
        border, was, weight = border + (w * d_after).sum(), was + (w * d_before).sum(), weight + w.sum()
        near, pairs = near + d_after[beside].sum(), pairs + beside.sum()
    if weight <= 0.0:
        return None
    ground = max(was / weight, near / pairs if pairs else 0.0) + VISIBLE**2
    return min(1.0, float(np.sqrt(ground / (border / weight + VISIBLE**2))))


def _slope_difference(picture: np.ndarray, axis: int) -> np.ndarray:
    """|d(p, q)|^2 of every pair that has both its further neighbours, a mean over the colours."""
    slopes = np.diff(picture.astype(np.float64), axis=axis)
    first, middle, last = (np.take(slopes, range(k, slopes.shape[axis] - 2 + k), axis=axis) for k in range(3))
    return np.square(middle - (first + last) / 2.0).mean(axis=2)


def _inner(pairs: np.ndarray, axis: int) -> np.ndarray:
    """Without the first and the last pair along the axis, as `_slope_difference` leaves them out."""
    return pairs[1:-1] if axis == 0 else pairs[:, 1:-1]


def _grown(chosen: np.ndarray, reach: int, axis: int) -> np.ndarray:
    """The pairs within `reach` of a chosen one along the axis of the pairs."""
    grown = chosen.copy()
    for shift in range(1, reach + 1):
        if axis == 0:
            grown[shift:] |= chosen[:-shift]
            grown[:-shift] |= chosen[shift:]
        else:
            grown[:, shift:] |= chosen[:, :-shift]
            grown[:, :-shift] |= chosen[:, shift:]
    return grown


def _averaged(picture: np.ndarray, scale: int) -> np.ndarray:
    """Means of blocks of scale x scale pixels; what is left over at the end is left out."""
    h, w = (side // scale for side in picture.shape[:2])
    cut = picture[: h * scale, : w * scale]
    return cut.reshape(h, scale, w, scale, -1).mean(axis=(1, 3))
