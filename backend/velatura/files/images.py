"""Pictures of files and layers of results, as arrays with their colour spaces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from velatura.colour import LINEAR, SRGB, Space, of_wire
from velatura.files.depths import TYPES, full_of, name_of
from velatura_protocol.errors import VelaturaError

MAX_SIDE = 16_384
CHANNELS = {1: "G", 2: "GA", 3: "RGB", 4: "RGBA"}
Chunks = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, eq=False)
class Image:
    """A picture and its colour space.

    Args:
        pixels: [height, width, channels], uint8, uint16, float16 or float32, straight alpha. Floats have
            white at 1 and may lie outside [0, 1].
        channels: their order, as in the protocol: `G`, `GA`, `RGB`, `RGBA` or `A`.
        profile: the name of its colour space on the wire; '' for a mask.
        icc: its ICC profile, empty where the colours have none.
        colour_chunks: the file's PNG chunks that define its colours, which results repeat unchanged.
        metadata: PNG chunks of the file's EXIF, XMP, texts and resolution (see `velatura.files.metadata`).
        associated: the file's own colours [height, width, colours] where it has them multiplied by alpha;
            None where alpha is straight.
    """

    pixels: np.ndarray
    channels: str
    profile: str = SRGB.profile
    icc: bytes = b""
    colour_chunks: Chunks = ()
    metadata: Chunks = ()
    associated: np.ndarray | None = None

    @property
    def space(self) -> Space:
        """The colour space of the pixels."""
        return of_wire(self.profile, self.icc, gray=self.channels[0] == "G")

    @property
    def needed_icc(self) -> bytes:
        """The ICC profile, where the name of the colour space does not define it."""
        return b"" if self.profile in ("", SRGB.profile, LINEAR.profile) else self.icc

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def dtype(self) -> str:
        """The depth as the protocol names it."""
        return name_of(self.pixels.dtype)

    @property
    def data(self) -> bytes:
        """The pixels as the protocol carries them: rows from the top, no padding, little-endian."""
        return self.pixels.astype(self.pixels.dtype.newbyteorder("<"), copy=False).tobytes()

    def with_alpha(self) -> Image:
        """Return this picture with an alpha channel, opaque where it had none."""
        if self.channels.endswith("A"):
            return self
        opaque = np.full_like(self.pixels[..., :1], full_of(self.pixels.dtype))
        pixels = np.concatenate([self.pixels, opaque], axis=-1)
        return Image(pixels, self.channels + "A", self.profile, self.icc, self.colour_chunks)


@dataclass(frozen=True, eq=False)
class Layer:
    """One result: an image with alpha, whose upper left pixel lies at (x, y) of the source.

    title: its name for a person. recipe: JSON from which the result can be made again. digest: of the pixels
    as the daemon sent them; '' where it is not known.
    """

    image: Image
    x: int
    y: int
    title: str
    recipe: dict[str, Any]
    digest: str = ""

    @classmethod
    def from_result(cls, layer: dict[str, Any], data: bytes | bytearray | memoryview) -> Layer:
        """Make a layer from one of a job's result layers (protocol, section 4) and its blob."""
        raster = layer["raster"]
        order = raster["channels"]
        dtype = np.dtype(TYPES[raster["dtype"]]).newbyteorder("<")
        pixels = np.frombuffer(data, dtype).reshape(raster["height"], raster["width"], len(order))
        if order == "BGRA":
            pixels, order = pixels[..., [2, 1, 0, 3]], "RGBA"
        pixels = np.ascontiguousarray(pixels.astype(dtype.newbyteorder("="), copy=False))
        x, y = raster["rect"][:2]
        image = Image(pixels, order, raster["profile"])
        return cls(image, x, y, layer["title"], layer["recipe"], raster.get("digest", ""))


def stripped(image: Image) -> Image:
    """The picture without its file's metadata; its colour space stays."""
    colours = tuple((kind, data) for kind, data in image.colour_chunks if kind != b"pHYs")
    return replace(image, colour_chunks=colours, metadata=())


def check_size(width: int, height: int, name: str) -> None:
    """Raise `too-large` for a picture that is too large to edit. name: of its file."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise VelaturaError(
            "too-large", f"{name} is {width} x {height}; at most {MAX_SIDE} pixels a side can be edited."
        )


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return the pixels turned upright by the EXIF orientation (1 to 8)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    vertical = orientation in (3, 4, 7, 8)
    horizontal = orientation in (2, 3, 6, 7)
    pixels = pixels[:: -1 if vertical else 1, :: -1 if horizontal else 1]
    return np.ascontiguousarray(pixels)
