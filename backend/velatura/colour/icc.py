"""Colour spaces of ICC profiles: RGB and gray, matrix and table, versions 2 and 4.

The colours that a profile gives decide, not its name: profiles of sRGB have many names, and some that are
named sRGB are not.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import ImageCms

from velatura.pixels import srgb

from .coded import PQ, of_cicp, of_tag
from .lcms import MODELS, linear_rgb, signature, transform
from .spaces import LINEAR, SRGB, Space, Unsupported, neutral

# The small differences between makers' sRGB profiles stay within 3 of 255; a pure 2.2 gamma is off by 7 and
# other primaries by tens.
_TOLERANCE = 3 / 255
_STEPS = np.array([0, 8, 16, 32, 64, 96, 128, 160, 192, 224, 255], dtype=np.float32) / 255
_CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")  # profiles of pixels (ICC.1, section 7.2.5)
_BRIGHT = 1.05  # sRGB of the largest values, above which they are light beyond white
MAX_NAME = 200
MAX_ICC = 16 * 1024 * 1024  # bytes; profiles with large tables have 4 MiB


@dataclass(frozen=True)
class Icc:
    """The space of an ICC profile. Gray pixels of an RGB profile are its colours of equal channels."""

    profile: str
    icc: bytes
    bright: bool = False

    def to_srgb(self, values: np.ndarray) -> np.ndarray:
        """See `Space`."""
        return srgb.encode(transform(self._own(values), self.icc, linear_rgb()))

    def from_srgb(self, rgb: np.ndarray, channels: int = 3) -> np.ndarray:
        """See `Space`."""
        if channels == 1:
            rgb = np.repeat(neutral(rgb), 3, axis=-1)
        values = transform(srgb.decode(rgb), linear_rgb(), self.icc)
        return values if values.shape[-1] == channels else values.mean(-1, keepdims=True)

    def _own(self, values: np.ndarray) -> np.ndarray:
        wanted = MODELS[signature(self.icc)][0]
        return values if values.shape[-1] == wanted else np.repeat(values, wanted, axis=-1)


def of_icc(icc: bytes, gray: bool) -> Space:
    """The space of an ICC profile; `SRGB` or `LINEAR` where its colours are theirs.

    gray: whether the pixels have one channel of colour. Raises Unsupported for an unreadable profile, for
    any but RGB and gray ones, and for a gray one of pixels in colour.
    """
    return _of_icc(bytes(icc), gray)


@lru_cache(maxsize=32)
def _of_icc(icc: bytes, gray: bool) -> Space:
    model = signature(icc)
    if len(icc) > MAX_ICC:
        raise Unsupported("has an unreadable colour profile", f"{len(icc)} bytes")
    if icc[12:16] not in _CLASSES or not model:
        raise Unsupported("has an unreadable colour profile")
    if model not in (b"RGB ", b"GRAY"):
        name = MODELS[model][2] if model in MODELS else model.decode("ascii", "replace").strip()
        raise Unsupported(f"is in {name} colours")
    if model == b"GRAY" and not gray:
        raise Unsupported("has a colour profile of gray for pixels in colour")
    coded = of_tag(icc)
    if coded is not None:
        return coded
    space = Icc(title_of(icc) or "a profile without a name", icc)
    grid = _STEPS[:, None] if gray else np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS), -1).reshape(-1, 3)
    seen = space.to_srgb(grid)
    back = space.from_srgb(seen, grid.shape[-1])
    if not (np.isfinite(seen).all() and np.isfinite(back).all()):
        raise Unsupported("has an unreadable colour profile", "it gives colours that are no numbers")
    for known in (SRGB, LINEAR):
        if np.abs(seen - known.to_srgb(grid)).max() <= _TOLERANCE:
            return known
    if seen[-1].max() <= _BRIGHT:
        return space
    return _pq(grid, srgb.decode(seen)) or replace(space, bright=True)


def _pq(grid: np.ndarray, light: np.ndarray) -> Space | None:
    """The space of PQ whose light [n, 3] of values [n, 1 or 3] is this but for a factor; None for no such.

    Profiles of PQ, such as Krita's, count 100 cd/m2 as white.
    """
    for primaries in (9, 12, 1):
        known = of_cicp(primaries, PQ)
        own = srgb.decode(known.to_srgb(grid))
        off = np.abs(light * (own[-1, 1] / light[-1, 1]) - own)
        if (off <= 0.02 * np.abs(own).max(axis=-1, keepdims=True) + 1e-3).all():
            return known
    return None


def title_of(icc: bytes) -> str:
    """The name of a profile, '' where it has none that can be read."""
    try:
        title = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc)))
        return " ".join(title.split())[:MAX_NAME]
    except (ImageCms.PyCMSError, OSError, ValueError):
        return ""
