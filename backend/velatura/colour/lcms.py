"""Little CMS by imagecodecs: profiles, and transforms of floats that are not optimised.

At 16 bits the default flags are off by up to 1,190 of 65,535, since Little CMS samples a transform into a
table. Floats without optimisation are exact to their last bits (DESIGN.md).
"""

from __future__ import annotations

from functools import cache

import imagecodecs
import numpy as np

from .spaces import Unsupported

_RELATIVE = 1  # ICC.1: media-relative colorimetric intent; white stays white
_NOOPTIMIZE = 0x100
D65 = (0.3127, 0.3290)
BT709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)  # x and y of red, green and blue
# Channels of the ICC's colour spaces, by the signature in a profile's header (ICC.1, section 7.2.6), with
# Little CMS's name and the name for a person.
MODELS = {
    b"GRAY": (1, "gray", "gray"),
    b"RGB ": (3, "rgb", "RGB"),
    b"CMYK": (4, "cmyk", "CMYK"),
    b"CMY ": (3, "cmy", "CMY"),
    b"Lab ": (3, "lab", "Lab"),
    b"XYZ ": (3, "xyz", "XYZ"),
    b"YCbr": (3, "ycbcr", "YCbCr"),
    b"HSV ": (3, "hsv", "HSV"),
    b"HLS ": (3, "hls", "HLS"),
}


@cache
def linear_rgb(white: tuple[float, float] = D65, primaries: tuple[float, ...] = BT709) -> bytes:
    """A profile of RGB in linear light. white, primaries: chromaticities x and y."""
    return gamma_rgb(1.0, white, primaries)


@cache
def lab_profile() -> bytes:
    """A profile of Lab under D50 (ICC.1, version 4)."""
    return imagecodecs.cms_profile("lab4")


def gamma_rgb(gamma: float, white: tuple[float, float], primaries: tuple[float, ...]) -> bytes:
    """A profile of RGB whose light is its values to the power of gamma; the same bytes each time.

    Raises Unsupported for chromaticities of no colour space.
    """
    try:
        made = imagecodecs.cms_profile(
            "rgb",
            whitepoint=(*white, 1.0),
            primaries=[n for i in (0, 2, 4) for n in (primaries[i], primaries[i + 1], 1.0)],
            gamma=gamma,
        )
    except (ValueError, imagecodecs.CmsError) as error:
        raise Unsupported("has primaries of no colour space", str(error)) from error
    return undated(made)


def undated(icc: bytes) -> bytes:
    """The profile without its date of creation, so that the same space gives the same bytes."""
    return icc[:24] + bytes(12) + icc[36:]


def signature(icc: bytes) -> bytes:
    """The four letters of a profile's colour space; empty where it is no profile."""
    return bytes(icc[16:20]) if len(icc) >= 132 and icc[36:40] == b"acsp" else b""


def transform(values: np.ndarray, source: bytes, target: bytes) -> np.ndarray:
    """Values [..., n] of one profile as values [..., m] of another, float32, not clipped where curves allow.

    Raises Unsupported for a profile that Little CMS cannot use.
    """
    (n, from_, _), (m, to, _) = MODELS[signature(source)], MODELS[signature(target)]
    shape = values.shape[:-1]
    flat = np.ascontiguousarray(values, np.float32).reshape(1, -1, n)
    try:
        made = imagecodecs.cms_transform(
            flat[..., 0] if n == 1 else flat,
            source,
            target,
            colorspace=from_,
            outcolorspace=to,
            outdtype="float32",
            intent=_RELATIVE,
            flags=_NOOPTIMIZE,
        )
    except (ValueError, RuntimeError, imagecodecs.CmsError) as error:
        raise Unsupported("has an unreadable colour profile", str(error)) from error
    return np.asarray(made, np.float32).reshape(*shape, m)
