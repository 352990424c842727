"""The colour space of a raster: its ICC profile decides; without one, its name."""

from __future__ import annotations

from velatura_protocol.profiles import ENCODED, bare
from velatura_protocol.profiles import LINEAR as LINEAR_NAMES

from . import coded
from .icc import of_icc
from .spaces import LINEAR, SRGB, Space, Unsupported


def of_wire(profile: str, icc: bytes, gray: bool) -> Space:
    """The space of a raster (SPEC section 5).

    Args:
        profile: its name.
        icc: its ICC profile; empty where it has none.
        gray: whether it has one channel of colour.

    Raises Unsupported.
    """
    if icc:
        return of_icc(icc, gray)
    name = bare(profile)
    if name in ENCODED or name in LINEAR_NAMES:
        return LINEAR if name in LINEAR_NAMES else SRGB
    known = coded.of_name(profile)
    if known is None:
        named = f"has the profile {profile!r}" if profile.strip() else "has no known profile"
        raise Unsupported(named)
    return known
