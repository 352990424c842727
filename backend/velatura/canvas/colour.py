"""Converts pixels of a host's layer to working colours and back.

Working colours are R, G, B encoded with the sRGB transfer function (IEC 61966-2-1), float32, as in the
pictures that models are trained on. 0 … 1 is a display's range; float layers may exceed it on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velatura.pixels import srgb
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Bytes, Raster

_DTYPES = {"u8": np.dtype("<u1"), "u16": np.dtype("<u2"), "f16": np.dtype("<f2"), "f32": np.dtype("<f4")}
_MAXIMA = {"u8": 255, "u16": 65535, "f16": 1.0, "f32": 1.0}

# Names of profiles with sRGB's transfer function, then with a linear one, on sRGB's primaries or on grey; in
# lower case, without the file's extension. From Krita and elle's profiles, GIMP and babl, LittleCMS, PNG and
# cameras.
_ENCODED = {
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
_LINEAR = {
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
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # of sRGB's primaries, in linear light


@dataclass(frozen=True)
class Encoding:
    """How a layer's bytes encode colours.

    channels, dtype: as in SPEC section 5. linear: whether the values are linear light.
    """

    channels: str
    dtype: str
    linear: bool

    @classmethod
    def of(cls, raster: Raster) -> Encoding:
        """A raster's encoding. Raises `unsupported-colour` for a profile other than sRGB and linear sRGB."""
        if raster.channels == "A":
            raise VelaturaError(
                "unsupported-colour", "This layer has no colours; choose a layer with colours."
            )
        name = raster.profile.strip().lower().removesuffix(".icc").removesuffix(".icm")
        if name in _ENCODED or name in _LINEAR:
            return cls(raster.channels, raster.dtype, name in _LINEAR)
        named = f"the profile {raster.profile!r}" if raster.profile.strip() else "no known profile"
        raise VelaturaError(
            "unsupported-colour",
            f"The picture has {named}; convert it to sRGB (or linear sRGB) in the editor and try again.",
        )

    @property
    def with_alpha(self) -> Encoding:
        """The encoding of a result: this one, with an alpha channel added where it has none."""
        return replace(self, channels={"RGB": "RGBA", "G": "GA"}.get(self.channels, self.channels))

    @property
    def has_alpha(self) -> bool:
        return "A" in self.channels

    def empty(self, height: int, width: int) -> np.ndarray:
        """Native pixels [height, width, channels], all 0."""
        return np.zeros((height, width, len(self.channels)), _DTYPES[self.dtype])

    def decode(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Native pixels [h, w, channels] to (rgb [h, w, 3], alpha [h, w] in [0, 1]), both float32 and finite.

        NaN becomes black and infinity white. A pixel whose alpha is NaN becomes transparent.
        """
        values = pixels.astype(np.float32)
        values /= np.float32(_MAXIMA[self.dtype])
        np.nan_to_num(values, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
        colours = values[..., [self.channels.index(c) for c in self._colours]]
        if self.linear:
            colours = srgb.encode(colours)
        rgb = np.repeat(colours, 3, axis=2) if self._colours == "G" else colours
        if not self.has_alpha:
            return rgb, np.ones(rgb.shape[:2], np.float32)
        return rgb, values[..., self.channels.index("A")].clip(0.0, 1.0)

    def encode(self, rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """(rgb [h, w, 3] float, alpha [h, w] native) to native pixels. Integers are rounded and clipped."""
        colours = rgb
        if self._colours == "G":
            light = srgb.decode(rgb) @ _LUMINANCE
            colours = (light if self.linear else srgb.encode(light))[..., None]
        elif self.linear:
            colours = srgb.decode(rgb)
        pixels = self.empty(*rgb.shape[:2])
        for i, channel in enumerate(self._colours):
            pixels[..., self.channels.index(channel)] = quantise(colours[..., i], self.dtype)
        if self.has_alpha:
            pixels[..., self.channels.index("A")] = alpha
        return pixels

    @property
    def _colours(self) -> str:
        return "G" if self.channels in ("G", "GA") else "RGB"


def view(raster: Raster, data: Bytes) -> np.ndarray:
    """The blob as native pixels [height, width, channels], without a copy. Raises `bad-layer`."""
    values = memoryview(data).cast("B")
    if len(values) != raster.nbytes:
        raise VelaturaError(
            "bad-layer",
            "Some of the layer's pixels did not arrive; try again.",
            retryable=True,
            detail=f"{len(values)} bytes, {raster.nbytes} described",
        )
    pixels = np.frombuffer(values, _DTYPES[raster.dtype])
    return pixels.reshape(raster.height, raster.width, len(raster.channels))


def fractions(values: np.ndarray) -> np.ndarray:
    """Native values of one channel as float32 in [0, 1]. NaN becomes 0."""
    scaled = values.astype(np.float32) / np.float32(
        np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    )
    return np.nan_to_num(scaled, nan=0.0, posinf=1.0, neginf=0.0).clip(0.0, 1.0)


def quantise(values: np.ndarray, dtype: str) -> np.ndarray:
    """Floats, of which 1.0 is the maximum, as native values; integers are rounded to the nearest."""
    if dtype in ("f16", "f32"):
        return values.astype(_DTYPES[dtype])
    maximum = _MAXIMA[dtype]
    return np.rint(values * np.float32(maximum)).clip(0, maximum).astype(_DTYPES[dtype])
