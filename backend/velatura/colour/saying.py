"""ICC profiles for files that can say their colours only by one."""

from __future__ import annotations

import imagecodecs
import numpy as np

from velatura.pixels import srgb

from .coded import Coded, white_and_primaries
from .lcms import BT709, D65, signature, undated
from .spaces import Space

_SAMPLES = 4096


def profile_for(space: Space, gray: bool) -> bytes:
    """An ICC profile of the space for pixels with one channel of colour, or with three.

    gray: whether they have one. Empty for PQ and HLG without a profile of their own: a curve ends at white.
    """
    own = signature(space.icc)
    if own and (gray or own != b"GRAY"):
        return space.icc
    if space.bright:
        return b""
    ramp = np.linspace(0, 1, _SAMPLES, dtype=np.float32)[:, None]
    light = srgb.decode(space.to_srgb(ramp))[:, 1].clip(0.0, 1.0)
    if gray:
        return undated(imagecodecs.cms_profile("gray", transferfunction=light))
    white, points = white_and_primaries(space) if isinstance(space, Coded) else (D65, BT709)
    made = imagecodecs.cms_profile(
        "rgb",
        whitepoint=(*white, 1.0),
        primaries=[n for i in (0, 2, 4) for n in (points[i], points[i + 1], 1.0)],
        transferfunction=light,
    )
    return undated(made)
