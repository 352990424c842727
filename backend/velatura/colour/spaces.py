"""The interface of a colour space, and the two spaces that need no profile."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from velatura.pixels import srgb


class Unsupported(ValueError):
    """Pixels whose colours cannot be edited as they are.

    what: a clause that follows the name of the picture, such as "is in CMYK colours". detail: for the log.
    """

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.what, self.detail = what, detail


class Space(Protocol):
    """A colour space of pixels with one or three channels of colour.

    Values are floats; 1.0 is the largest value of an integer type. sRGB here is encoded with the transfer
    function of IEC 61966-2-1 and extended: colours outside its gamut lie below 0 or above 1, light beyond
    white lies above 1.

    Attributes:
        profile: its name, for a person and on the wire.
        icc: the ICC profile that defines it; empty where `profile` alone does.
        bright: whether values up to 1.0 include light beyond white, as in PQ and HLG.
    """

    @property
    def profile(self) -> str: ...
    @property
    def icc(self) -> bytes: ...
    @property
    def bright(self) -> bool: ...

    def to_srgb(self, values: np.ndarray) -> np.ndarray:
        """Values [..., 1 or 3], float32, as sRGB [..., 3], float32. A gray value gives a neutral colour."""
        ...

    def from_srgb(self, rgb: np.ndarray, channels: int = 3) -> np.ndarray:
        """sRGB [..., 3] as values [..., channels], float32. channels: 1 for gray, else 3."""
        ...


_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # ITU-R BT.709, in linear light


def neutral(rgb: np.ndarray) -> np.ndarray:
    """The luminance [..., 1] of sRGB [..., 3], encoded as sRGB."""
    return srgb.encode(srgb.decode(rgb) @ _LUMINANCE)[..., None]


class _Encoded:
    """sRGB itself (IEC 61966-2-1)."""

    profile, icc, bright = "sRGB", b"", False

    def to_srgb(self, values: np.ndarray) -> np.ndarray:
        return values if values.shape[-1] == 3 else np.repeat(values, 3, axis=-1)

    def from_srgb(self, rgb: np.ndarray, channels: int = 3) -> np.ndarray:
        return rgb if channels == 3 else neutral(rgb)


class _Linear:
    """sRGB's primaries in linear light."""

    profile, icc, bright = "sRGB-linear", b"", False

    def to_srgb(self, values: np.ndarray) -> np.ndarray:
        encoded = srgb.encode(values)
        return encoded if values.shape[-1] == 3 else np.repeat(encoded, 3, axis=-1)

    def from_srgb(self, rgb: np.ndarray, channels: int = 3) -> np.ndarray:
        light = srgb.decode(rgb)
        return light if channels == 3 else (light @ _LUMINANCE)[..., None]


SRGB: Space = _Encoded()
LINEAR: Space = _Linear()
