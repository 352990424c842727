"""Converts pixels of a host's layer to working colours and back.

Working colours are R, G, B encoded with the sRGB transfer function (IEC 61966-2-1), float32, as in the
pictures that models are trained on. 0 … 1 is a display's range; colours outside sRGB exceed it on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velatura.colour import IDENTITY, LINEAR, SRGB, Space, Tone, Unsupported, of_wire
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Bytes, Raster

_DTYPES = {"u8": np.dtype("<u1"), "u16": np.dtype("<u2"), "f16": np.dtype("<f2"), "f32": np.dtype("<f4")}
_MAXIMA = {"u8": 255, "u16": 65535, "f16": 1.0, "f32": 1.0}

_LIKE = 0.1  # a change of colour, as a distance in sRGB, from which a pixel counts as another one


@dataclass(frozen=True)
class Encoding:
    """How a layer's bytes encode colours.

    Args:
        channels: as in SPEC section 5.
        dtype: the same.
        space: the colour space of the values.
        tone: the curve by which light beyond white fits into a display's range; see `Layer.toned`.
    """

    channels: str
    dtype: str
    space: Space = SRGB
    tone: Tone = IDENTITY

    @classmethod
    def of(cls, raster: Raster, icc: bytes = b"") -> Encoding:
        """A raster's encoding. icc: its profile. Raises `unsupported-colour` for an unknown colour space."""
        if raster.channels == "A":
            raise VelaturaError(
                "unsupported-colour", "This layer has no colours; choose a layer with colours."
            )
        try:
            space = of_wire(raster.profile, icc, gray=raster.channels in ("G", "GA"))
        except Unsupported as error:
            sentence = (
                f"The picture {error.what}; convert it to sRGB (or linear sRGB) in the editor and try again."
            )
            raise VelaturaError("unsupported-colour", sentence, detail=error.detail) from error
        return cls(raster.channels, raster.dtype, space)

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
        values, alpha = self._values(pixels)
        return self.tone.compress(self.space.to_srgb(values)), alpha

    def encode(self, rgb: np.ndarray, alpha: np.ndarray, beyond: np.ndarray | None = None) -> np.ndarray:
        """Working colours as native pixels. Integers are rounded and clipped.

        Args:
            rgb: [h, w, 3] float.
            alpha: [h, w] native.
            beyond: [h, w, 1 or 3], see `beyond`, or None.
        """
        colours = self.space.from_srgb(self.tone.expand(rgb), len(self._colours))
        if beyond is not None:
            colours = colours + beyond
        pixels = self.empty(*rgb.shape[:2])
        for i, channel in enumerate(self._colours):
            pixels[..., self.channels.index(channel)] = quantise(colours[..., i], self.dtype)
        if self.has_alpha:
            pixels[..., self.channels.index("A")] = alpha
        return pixels

    def beyond(self, pixels: np.ndarray, source: np.ndarray, edited: np.ndarray) -> np.ndarray | None:
        """The part of native values that sRGB cannot express, as far as an edit leaves the colours alone.

        It is w a (x - N(S(x))): S shows the values x, N encodes them again, a is their alpha, and
        w = exp(-d^2 / 0.1^2) for a change of colour d. So only the difference that an edit makes is brought
        back: where d is 0, the result is x.

        Args:
            pixels: [h, w, channels], native.
            source: [h, w, 3], the colours that the edit began with, in [0, 1].
            edited: [h, w, 3], its result, in [0, 1].

        Returns [h, w, 1 or 3] float32; None for integers in sRGB, which it can express.
        """
        if self.space in (SRGB, LINEAR) and self.dtype in ("u8", "u16"):
            return None
        values, alpha = self._values(pixels)
        shown = self.tone.compress(self.space.to_srgb(values)).clip(0.0, 1.0)
        lost = values - self.space.from_srgb(self.tone.expand(shown), values.shape[-1])
        like = np.exp(-np.square(edited - source).sum(axis=-1) / _LIKE**2)
        return lost * (like * alpha)[..., None]

    def peak(self, pixels: np.ndarray) -> float:
        """The brightest extended sRGB of visible native pixels; 1.0 where there is no light beyond white."""
        if self.dtype in ("u8", "u16") and not self.space.bright:
            return 1.0
        values, alpha = self._values(pixels)
        if not self.space.bright and not (values > 1.0).any():
            return 1.0
        return float(self.space.to_srgb(values)[alpha > 0.0].max(initial=1.0))

    def _values(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Native pixels as values of the space [h, w, 1 or 3] and alpha [h, w], float32 and finite."""
        values = pixels.astype(np.float32)
        values /= np.float32(_MAXIMA[self.dtype])
        np.nan_to_num(values, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
        colours = values[..., [self.channels.index(c) for c in self._colours]]
        if not self.has_alpha:
            return colours, np.ones(colours.shape[:2], np.float32)
        return colours, values[..., self.channels.index("A")].clip(0.0, 1.0)

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
