"""Reads pictures and masks from files at the files' own depth.

    read_image(path) -> Image     the file's own colours, orientation applied
    read_mask(path)  -> Image     one channel, whose maximum means selected

A file of any other kind is refused with one sentence. Nothing is converted to sRGB or to 8 bits unasked.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image as Pillow
from PIL import UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from velatura.colour import SRGB, adobe_rgb, of_icc
from velatura.files import archives, chunks, colour, converting, exr, metadata, psd, tiff
from velatura.files.atomic import read_bytes
from velatura.files.images import CHANNELS, Chunks, Image, check_size, upright
from velatura.files.kinds import kind_of
from velatura_protocol.errors import VelaturaError

_COLOURED = 0.001  # share of a mask's pixels from which it counts as a picture
MAX_PART = 4 * 1024**3  # bytes of a picture in an OpenRaster file
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
# Pillow's modes of 8 bits a channel, and the mode to convert each to.
MODES = {
    "1": "L", "L": "L", "LA": "LA", "La": "LA", "P": "RGB", "PA": "RGBA",
    "RGB": "RGB", "RGBA": "RGBA", "RGBa": "RGBA",
}  # fmt: skip
# The errors that the readers of Pillow and libpng raise on files that are cut or broken.
BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, OverflowError,
    struct.error, zlib.error, zipfile.BadZipFile, RuntimeError, tifffile.TiffFileError,
)  # fmt: skip


def read_image(path: Path, part: str = archives.MERGED, *, layer: str = "", convert: bool = False) -> Image:
    """Read a picture: PNG, JPEG, WebP, TIFF, OpenEXR, PSD, OpenRaster, or the merged picture of a Krita file.

    Args:
        path: the file.
        part: of an OpenRaster file.
        layer: the name of a layer of a PSD or an OpenRaster file, on the file's canvas; '' for the merged
            picture.
        convert: whether a picture in CMYK or Lab becomes an sRGB copy; else it is refused.

    Raises VelaturaError: `bad-request` for a file that is missing, broken or of another kind,
    `unsupported-colour`, `too-large`, `out-of-memory`.
    """
    return _read(path, colours=True, part=part, layer=layer, convert=convert)


def read_mask(path: Path) -> Image:
    """Read a mask: one channel `A`, 8 or 16 bits; white selects, black and transparent do not.

    Floats become 16 bits. Ignores colour profiles, since the values are amounts, not colours. Raises
    VelaturaError as `read_image` does, and `bad-request` for a picture with colours.
    """
    image = _read(path, colours=False)
    if image.pixels.dtype.kind == "f":
        values = np.nan_to_num(image.pixels.astype(np.float32), nan=0.0).clip(0.0, 1.0)
        image = Image(np.rint(values * 65535).astype(np.uint16), image.channels)
    full = np.iinfo(image.pixels.dtype).max
    if _is_coloured(image, full):
        sentence = (
            f"{path} has colours, so it is no mask. Make one in which white is edited and black is not."
        )
        raise VelaturaError("bad-request", sentence)
    values = image.pixels.astype(np.uint64)
    if image.channels.startswith("RGB"):
        r, g, b = values[..., 0], values[..., 1], values[..., 2]
        amount = (2126 * r + 7152 * g + 722 * b + 5000) // 10000  # ITU-R BT.709; equal channels stay exact
    else:
        amount = values[..., 0]
    if image.channels.endswith("A"):
        amount = (amount * values[..., -1] + full // 2) // full
    return Image(amount.astype(image.pixels.dtype)[..., None], "A", "")


def _is_coloured(image: Image, full: int) -> bool:
    """Whether a mask is a picture, such as one with a transparent hole. A JPEG's grays are a little off."""
    if not image.channels.startswith("RGB"):
        return False
    colours = image.pixels[..., :3]
    spread = colours.max(axis=-1) - colours.min(axis=-1)
    shown = image.pixels[..., -1] > 0 if image.channels.endswith("A") else np.ones(spread.shape, bool)
    return bool(((spread > full // 8) & shown).mean() > _COLOURED)


def _read(
    path: Path, colours: bool, part: str = archives.MERGED, layer: str = "", convert: bool = False
) -> Image:
    name = str(path)
    content = read_bytes(path)
    kind = kind_of(content)
    placed: archives.Placed | None = None
    try:
        if archives.is_archive(content):
            placed = _placed(content, layer, name) if layer else None
            content = archives.part(content, placed.part if placed else part, MAX_PART)
        elif layer and not psd.is_psd(content):
            raise VelaturaError("bad-request", f"{name} has no layers; leave out --layer.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, and about sizes, which `check_size` checks
            if content.startswith(chunks.SIGNATURE):
                image = _read_png(content, name, colours)
                return _on_canvas(image, placed, name) if placed else image
            if psd.is_psd(content):
                return psd.read(content, name, colours, layer)
            if exr.is_exr(content):
                return exr.read(content, name, colours)
            if tiff.is_tiff(content) and tiff.reads(content):
                return tiff.read(content, name, colours)
            if tiff.is_tiff(content) and tiff.is_deep_ink(content):
                return tiff.read_ink(content, name, convert)
            return _read_with_pillow(content, name, colours, (), convert)
    except UnidentifiedImageError as error:
        what = kind or "not a picture"
        sentence = f"{name} is {what}, which cannot be read; use PNG, JPEG, WebP, TIFF, EXR, PSD, ORA or KRA."
        raise VelaturaError("bad-request", sentence) from error
    except BROKEN as error:
        detail = f"{type(error).__name__}: {error}"
        raise VelaturaError(
            "bad-request", f"{name} is broken or cut short; save it again.", detail=detail
        ) from error
    except MemoryError as error:
        raise VelaturaError(
            "out-of-memory", f"{name} needs more memory than this computer has; edit a smaller picture."
        ) from error


def _placed(content: bytes, layer: str, name: str) -> archives.Placed:
    """The layer's place in an OpenRaster file. Raises `bad-request`, which lists the layers."""
    there = archives.layers(content)
    if layer not in there:
        names = ", ".join(there) or "none that can be read alone"
        raise VelaturaError("bad-request", f"{name} has no layer {layer!r}; it has: {names:.300}.")
    return there[layer]


def _on_canvas(image: Image, placed: archives.Placed, name: str) -> Image:
    """A layer with transparency around it, or cut, to the size of its file's canvas."""
    check_size(*placed.size, name)
    own = image.with_alpha()
    width, height = placed.size
    canvas = np.zeros((height, width, own.pixels.shape[-1]), own.pixels.dtype)
    left, top = max(placed.x, 0), max(placed.y, 0)
    right, bottom = min(placed.x + own.width, width), min(placed.y + own.height, height)
    if left < right and top < bottom:
        part = own.pixels[top - placed.y : bottom - placed.y, left - placed.x : right - placed.x]
        canvas[top:bottom, left:right] = part
    return replace(own, pixels=canvas, metadata=image.metadata)


def _read_png(content: bytes, name: str, colours: bool) -> Image:
    header = chunks.read_header(content)
    check_size(header.width, header.height, name)
    if header.depth < 16:
        image = _read_with_pillow(content, name, colours, chunks.colour_chunks(content))
        return replace(image, metadata=metadata.of_png(content, (image.width, image.height)))
    with _unheard() if header.is_interlaced else contextlib.nullcontext():
        pixels = imagecodecs.png_decode(chunks.bare(content))
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    pixels = upright(pixels, _orientation(content))
    channels = CHANNELS[pixels.shape[-1]]
    kept = chunks.colour_chunks(content)
    profile, icc = colour.of_chunks(kept, channels, name) if colours else (SRGB.profile, b"")
    about = metadata.of_png(content, (pixels.shape[1], pixels.shape[0]))
    return Image(pixels, channels, profile, icc, kept, about)


def _orientation(content: bytes) -> int:
    """The orientation of a PNG file, in each form that Pillow reads: eXIf, XMP, or EXIF as a text."""
    told = tuple(pair for pair in chunks.walk(content) if pair[0] in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"))
    dot = chunks.insert(imagecodecs.png_encode(np.zeros((1, 1), np.uint8)), told)
    with Pillow.open(io.BytesIO(dot), formats=("PNG",)) as picture:
        return picture.getexif().get(0x0112, 1)


@contextlib.contextmanager
def _unheard() -> Generator[None]:
    """Discard what a library of C writes to standard error: libpng does for rows that are interlaced."""
    try:
        kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # there is no standard error
        yield
        return
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _read_with_pillow(content: bytes, name: str, colours: bool, kept: Chunks, convert: bool = False) -> Image:
    limit, Pillow.MAX_IMAGE_PIXELS = Pillow.MAX_IMAGE_PIXELS, None
    try:
        with Pillow.open(io.BytesIO(content), formats=FORMATS) as picture:
            check_size(*picture.size, name)
            return _from_pillow(picture, name, colours, kept, convert)
    finally:
        Pillow.MAX_IMAGE_PIXELS = limit


def _from_pillow(picture: Pillow.Image, name: str, colours: bool, kept: Chunks, convert: bool) -> Image:
    if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
        raise VelaturaError("bad-request", f"{name} holds several pictures; save the one to edit by itself.")
    if isinstance(picture, TiffImageFile) and max(picture.tag_v2.get(258, (1,))) > 8:
        kind = converting.MODES.get(picture.mode, "other")
        raise VelaturaError(
            "unsupported-colour", f"{name} is a TIFF of {kind} colours with more than 8 bits. {colour.ADVICE}"
        )
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
    pixels = upright(pixels if pixels.ndim == 3 else pixels[..., None], exif.get(0x0112, 1))
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
