"""The colour space of a PNG's gAMA and cHRM chunks (W3C PNG, third edition, section 11.3.2)."""

from __future__ import annotations

from dataclasses import replace

from .icc import Icc, of_icc
from .lcms import BT709, D65, gamma_rgb
from .spaces import LINEAR, SRGB, Space, Unsupported

_ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def adobe_rgb() -> Space:
    """Adobe RGB (1998), with an ICC profile: section 4.3 of its specification."""
    return Icc("Adobe RGB (1998)", gamma_rgb(563 / 256, D65, _ADOBE))


def of_gamma(gamma: int | None, chromaticities: tuple[int, ...] | None) -> Space:
    """The space of a PNG's gAMA and cHRM chunks, of which either may be missing.

    Args:
        gamma: 100,000 times the exponent that encodes light.
        chromaticities: 100,000 times x and y of white, red, green and blue.

    Raises Unsupported for values of no colour space.
    """
    if gamma is None and chromaticities is None:
        return SRGB
    points = [n / 100_000 for n in chromaticities or ()] or [*D65, *BT709]
    exponent = 1 / 0.45455 if gamma is None else 100_000 / gamma if gamma else 0.0
    if not 0.1 <= exponent <= 10:
        raise Unsupported("has a gamma of no colour space")
    is_bt709 = max(abs(a - b) for a, b in zip(points, (*D65, *BT709), strict=True)) <= 0.01
    if is_bt709 and (gamma is None or abs(gamma - 45455) <= 1000):
        return SRGB
    if is_bt709 and gamma is not None and abs(gamma - 100_000) <= 1000:
        return LINEAR
    space = of_icc(gamma_rgb(exponent, (points[0], points[1]), tuple(points[2:])), gray=False)
    return replace(space, profile="gAMA and cHRM") if isinstance(space, Icc) else space
