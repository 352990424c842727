"""Names of colour profiles that a daemon knows without their bytes (SPEC section 5).

In lower case, without the file's extension. From Krita and elle's profiles, GIMP and babl, Little CMS, PNG
and cameras.
"""

from __future__ import annotations

#: sRGB's transfer function, on its primaries or on gray.
ENCODED = frozenset(
    {
        "srgb",
        "srgb built-in",
        "srgb built-in - (lcms internal)",
        "srgb-elle-v2-srgbtrc",
        "srgb-elle-v4-srgbtrc",
        "gimp built-in srgb",
        "srgb iec61966-2.1",
        "srgb iec61966-2-1",
        "srgb iec61966-2-1 black scaled",
        "srgb2014",
        "artifex software srgb icc profile",
        "gray-d50-elle-v2-srgbtrc",
        "gray-d50-elle-v4-srgbtrc",
        "gray built-in",
        "gimp built-in d65 grayscale with srgb trc",
        "srgb gray",
    }
)
#: Linear light, on sRGB's primaries or on gray.
LINEAR = frozenset(
    {
        "srgb-linear",
        "srgb-elle-v2-g10",
        "srgb-elle-v4-g10",
        "linear srgb",
        "linear srgb built-in",
        "gimp built-in linear srgb",
        "scrgb (linear)",
        "scrgb",
        "gray-d50-elle-v2-g10",
        "gray-d50-elle-v4-g10",
        "gimp built-in d65 linear grayscale",
        "linear gray",
    }
)


def bare(name: str) -> str:
    """The name as the sets have it."""
    return name.strip().lower().removesuffix(".icc").removesuffix(".icm")


def is_known(name: str) -> bool:
    """Whether a raster needs only this name, and no ICC profile."""
    return bare(name) in ENCODED or bare(name) in LINEAR
