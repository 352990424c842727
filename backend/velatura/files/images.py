"""Reads pictures and masks from files at the files' own depth.

    read_image(path) -> Image     the file's own colours, orientation applied
    read_mask(path)  -> Image     one channel, whose maximum means selected

A file of any other kind is refused with one sentence. Nothing is converted to sRGB or to 8 bits unasked.
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from velatura.colour import LINEAR, SRGB, Space, adobe_rgb, of_icc, of_wire
from velatura.files import archives, chunks, colour, converting, metadata
from velatura.files.atomic import read_bytes
from velatura_protocol.errors import VelaturaError

MAX_SIDE = 16_384
MAX_PART = 4 * 1024**3  # bytes of a picture in an OpenRaster file
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
# Pillow's modes of 8 bits a channel, and the mode to convert each to.
MODES = {
    "1": "L", "L": "L", "LA": "LA", "La": "LA", "P": "RGB", "PA": "RGBA",
    "RGB": "RGB", "RGBA": "RGBA", "RGBa": "RGBA",
}  # fmt: skip
CHANNELS = {1: "G", 2: "GA", 3: "RGB", 4: "RGBA"}
# The errors that the readers of Pillow and libpng raise on files that are cut or broken.
BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, OverflowError,
    struct.error, zlib.error, zipfile.BadZipFile, imagecodecs.PngError,
)  # fmt: skip
Chunks = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, eq=False)
class Image:
    """A picture and its colour space.

    Args:
        pixels: [height, width, channels], uint8 or uint16, straight alpha.
        channels: their order, as in the protocol: `G`, `GA`, `RGB`, `RGBA` or `A`.
        profile: the name of its colour space on the wire; '' for a mask.
        icc: its ICC profile, empty where the colours have none.
        colour_chunks: the file's PNG chunks that define its colours, which results repeat unchanged.
        metadata: PNG chunks of the file's EXIF, XMP, texts and resolution (see `velatura.files.metadata`).
    """

    pixels: np.ndarray
    channels: str
    profile: str = SRGB.profile
    icc: bytes = b""
    colour_chunks: Chunks = ()
    metadata: Chunks = ()

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
        """The depth as the protocol names it: `u8` or `u16`."""
        return "u8" if self.pixels.dtype == np.uint8 else "u16"

    @property
    def data(self) -> bytes:
        """The pixels as the protocol carries them: rows from the top, no padding, little-endian."""
        return self.pixels.astype(self.pixels.dtype.newbyteorder("<"), copy=False).tobytes()

    def with_alpha(self) -> Image:
        """Return this picture with an alpha channel, opaque where it had none."""
        if self.channels.endswith("A"):
            return self
        opaque = np.full_like(self.pixels[..., :1], np.iinfo(self.pixels.dtype).max)
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
        dtype = np.dtype({"u8": "<u1", "u16": "<u2"}[raster["dtype"]])
        pixels = np.frombuffer(data, dtype).reshape(raster["height"], raster["width"], len(order))
        if order == "BGRA":
            pixels, order = pixels[..., [2, 1, 0, 3]], "RGBA"
        pixels = np.ascontiguousarray(pixels.astype(dtype.newbyteorder("="), copy=False))
        x, y = raster["rect"][:2]
        image = Image(pixels, order, raster["profile"])
        return cls(image, x, y, layer["title"], layer["recipe"], raster.get("digest", ""))


def read_image(path: Path, part: str = archives.MERGED, *, convert: bool = False) -> Image:
    """Read a picture: 8-bit PNG, JPEG, WebP or TIFF, 16-bit PNG, or a part of an OpenRaster file.

    Args:
        path: the file.
        part: of an OpenRaster file.
        convert: whether a picture in CMYK or Lab becomes an sRGB copy; else it is refused.

    Raises VelaturaError: `bad-request` for a file that is missing, broken or of another kind,
    `unsupported-colour`, `too-large`, `out-of-memory`.
    """
    return _read(path, colours=True, part=part, convert=convert)


def stripped(image: Image) -> Image:
    """The picture without its file's metadata; its colour space stays."""
    colours = tuple((kind, data) for kind, data in image.colour_chunks if kind != b"pHYs")
    return replace(image, colour_chunks=colours, metadata=())


def read_mask(path: Path) -> Image:
    """Read a mask: one channel `A`, 8 or 16 bits; white selects, black and transparent do not.

    Ignores colour profiles, since the values are amounts, not colours. Raises VelaturaError as `read_image`
    does.
    """
    image = _read(path, colours=False)
    full = np.iinfo(image.pixels.dtype).max
    values = image.pixels.astype(np.uint64)
    if image.channels.startswith("RGB"):
        r, g, b = values[..., 0], values[..., 1], values[..., 2]
        amount = (2126 * r + 7152 * g + 722 * b + 5000) // 10000  # ITU-R BT.709; equal channels stay exact
    else:
        amount = values[..., 0]
    if image.channels.endswith("A"):
        amount = (amount * values[..., -1] + full // 2) // full
    return Image(amount.astype(image.pixels.dtype)[..., None], "A", "")


def _read(path: Path, colours: bool, part: str = archives.MERGED, convert: bool = False) -> Image:
    name = path.name
    content = read_bytes(path)
    try:
        if archives.is_archive(content):
            content = archives.part(content, part, MAX_PART)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, and about sizes, which `_check_size` checks
            if content.startswith(chunks.SIGNATURE):
                return _read_png(content, name, colours)
            return _read_with_pillow(content, name, colours, (), convert)
    except UnidentifiedImageError as error:
        raise VelaturaError(
            "bad-request", f"{name} is not a picture that can be read; use PNG, JPEG, WebP, TIFF or ORA."
        ) from error
    except BROKEN as error:
        detail = f"{type(error).__name__}: {error}"
        raise VelaturaError(
            "bad-request", f"{name} is broken or cut short; save it again.", detail=detail
        ) from error
    except MemoryError as error:
        raise VelaturaError(
            "out-of-memory", f"{name} needs more memory than this computer has; edit a smaller picture."
        ) from error


def _check_size(width: int, height: int, name: str) -> None:
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise VelaturaError(
            "too-large", f"{name} is {width} x {height}; at most {MAX_SIDE} pixels a side can be edited."
        )


def _read_png(content: bytes, name: str, colours: bool) -> Image:
    header = chunks.read_header(content)
    _check_size(header.width, header.height, name)
    if header.depth < 16:
        image = _read_with_pillow(content, name, colours, chunks.colour_chunks(content))
        return replace(image, metadata=metadata.of_png(content, (image.width, image.height)))
    pixels = imagecodecs.png_decode(content)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    exif = Pillow.Exif()
    if header.exif:
        exif.load(header.exif)
    pixels = _orient(pixels, exif.get(0x0112, 1))
    channels = CHANNELS[pixels.shape[-1]]
    kept = chunks.colour_chunks(content)
    profile, icc = colour.of_chunks(kept, channels, name) if colours else (SRGB.profile, b"")
    about = metadata.of_png(content, (pixels.shape[1], pixels.shape[0]))
    return Image(pixels, channels, profile, icc, kept, about)


def _read_with_pillow(content: bytes, name: str, colours: bool, kept: Chunks, convert: bool = False) -> Image:
    limit, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, None
    try:
        with Pillow.open(io.BytesIO(content), formats=FORMATS) as picture:
            _check_size(*picture.size, name)
            return _from_pillow(picture, name, colours, kept, convert)
    finally:
        Pillow.MAX_IMAGE_PIXELS = limit


def _from_pillow(picture: Pillow.Image, name: str, colours: bool, kept: Chunks, convert: bool) -> Image:
    if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
        raise VelaturaError("bad-request", f"{name} holds several pictures; save the one to edit by itself.")
    if isinstance(picture, TiffImageFile) and max(picture.tag_v2.get(258, (1,))) > 8:
        raise VelaturaError("bad-request", f"{name} is a TIFF of more than 8 bits; save it as a 16-bit PNG.")
    icc = picture.info.get("icc_profile") or b""
    if picture.mode in converting.MODES:
        if not convert:
            sentence = f"{name} is in {converting.MODES[picture.mode]} colours. {colour.CONVERT}"
            raise VelaturaError("unsupported-colour", sentence)
        about = picture.getexif(), picture.info
        picture, icc = converting.copy(picture, icc, name), b""
        picture.info = {key: value for key, value in about[1].items() if key != "icc_profile"}
        picture.getexif().update(about[0])
    if picture.mode not in MODES:
        raise VelaturaError(
            "unsupported-colour", f"{name} is {picture.mode}, not RGB or gray. {colour.ADVICE}"
        )
    exif = picture.getexif()
    mode = MODES[picture.mode]
    if "transparency" in picture.info and not mode.endswith("A"):
        mode += "A"
    picture.load()
    pixels = np.asarray(picture.convert(mode))
    pixels = _orient(pixels if pixels.ndim == 3 else pixels[..., None], exif.get(0x0112, 1))
    channels = CHANNELS[pixels.shape[-1]]
    if not colours:
        return Image(pixels, channels)
    if kept:
        profile, icc = colour.of_chunks(kept, channels, name)
    elif icc:
        profile = colour.judged(name, lambda: of_icc(icc, channels[0] == "G")).profile
    elif exif.get_ifd(0xA005).get(1) == "R03":  # DCF option file: Adobe RGB without a profile
        space = adobe_rgb()
        profile, icc = space.profile, space.icc
    else:
        profile = SRGB.profile
    about = metadata.of_pillow(picture, (pixels.shape[1], pixels.shape[0]))
    return Image(pixels, channels, profile, icc, kept, about)


def _orient(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return the pixels turned upright by the EXIF orientation (1 to 8)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    vertical = orientation in (3, 4, 7, 8)
    horizontal = orientation in (2, 3, 6, 7)
    pixels = pixels[:: -1 if vertical else 1, :: -1 if horizontal else 1]
    return np.ascontiguousarray(pixels)
