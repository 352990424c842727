"""Colour spaces of files, canvases and hosts' layers, and their way to sRGB and back.

    of_icc(icc, gray)        the space of an ICC profile
    of_cicp(...)             the space of four code points (ITU-T H.273), as PNG, AVIF and HEIC have them
    of_gamma(...)            the space of a PNG's gAMA and cHRM
    of_wire(profile, icc)    the space of a raster
    as_srgb(...)             a copy in sRGB, also of CMYK and Lab
    shown(...)               a copy in sRGB of 8 bits, to look at
    Tone.of(peak)            the curve between light beyond white and a display's range

Each gives a `Space`. A space that cannot be edited raises `Unsupported`. DESIGN.md says why it is so.
"""

from .coded import of_cicp
from .converting import as_srgb, shown
from .gamma import adobe_rgb, of_gamma
from .icc import of_icc
from .lcms import lab_profile
from .saying import profile_for
from .spaces import LINEAR, SRGB, Space, Unsupported
from .tone import IDENTITY, Tone
from .wire import of_wire

__all__ = [
    "IDENTITY",
    "LINEAR",
    "SRGB",
    "Space",
    "Tone",
    "Unsupported",
    "adobe_rgb",
    "as_srgb",
    "lab_profile",
    "of_cicp",
    "of_gamma",
    "of_icc",
    "of_wire",
    "profile_for",
    "shown",
]
