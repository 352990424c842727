"""GIMP's precisions as rasters of the wire.

Only babl formats made here are ever used: an unknown name kills a plug-in.

A babl format named without a colour space is in sRGB; `colours` names those of an image's own space.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Component type of a GIMP precision: (component of the babl format, dtype of the wire). 32-bit integers and
#: doubles are not on the wire; they travel as the nearest type that is.
_COMPONENTS = {
    "u8": ("u8", "u8"),
    "u16": ("u16", "u16"),
    "u32": ("u16", "u16"),
    "half": ("half", "f16"),
    "float": ("float", "f32"),
    "double": ("float", "f32"),
}


Rect = tuple[int, int, int, int]  # x, y, width, height; in pixels of the image


@dataclass(frozen=True)
class Encoding:
    """How a layer of some precision travels.

    pixels: babl format of the layer, alpha included. mask: babl format of selections and layer masks, which
    are linear in every precision. channels, dtype, profile, icc: the same for the wire.
    """

    pixels: str
    mask: str
    channels: str
    dtype: str
    profile: str
    icc: bytes = b""


def encoding(precision: str, gray: bool) -> Encoding:
    """The encoding for a precision's nick ("u8-non-linear", "half-linear", "float-perceptual", …).

    Raises KeyError for a precision that this version does not know.
    """
    component, _, transfer = precision.partition("-")
    name, dtype = _COMPONENTS[component]
    linear = transfer == "linear"
    colours = ("YA" if linear else "Y'A") if gray else ("RGBA" if linear else "R'G'B'A")
    return Encoding(
        pixels=f"{colours} {name}",
        mask=f"Y {name}",
        channels="GA" if gray else "RGBA",
        dtype=dtype,
        profile="sRGB-linear" if linear else "sRGB",
    )


def intersection(a: Rect, b: Rect) -> Rect | None:
    """The common part of two rectangles; None where there is none."""
    left, top = max(a[0], b[0]), max(a[1], b[1])
    right, bottom = min(a[0] + a[2], b[0] + b[2]), min(a[1] + a[3], b[1] + b[3])
    return (left, top, right - left, bottom - top) if left < right and top < bottom else None
