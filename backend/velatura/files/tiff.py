"""TIFF files: integers of 8 and 16 bits and floats of 16 and 32, gray or RGB, with or without alpha.

Reading tells the kinds of a fourth channel apart (TIFF 6.0, section 18): transparency that is straight,
transparency by which the colours are multiplied, and channels that are none, such as a saved selection.
Strips and tiles, both layouts of planes, both byte orders and BigTIFF are tifffile's work.
"""

from __future__ import annotations

import io
import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image as Pillow
from PIL import TiffImagePlugin

from velatura import __version__
from velatura.colour import LINEAR, SRGB, as_srgb, of_icc
from velatura.files import colour, metadata
from velatura.files.converting import without_profile
from velatura.files.depths import TYPES, full_of
from velatura.files.images import CHANNELS, Image, check_size, upright
from velatura.files.opacity import straight
from velatura_protocol.errors import VelaturaError

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # a damaged file is told in our own sentence

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_GRAY = (0, 1)  # PhotometricInterpretation: white is zero, black is zero
_RGB, _INK = 2, 5
_ASSOCIATED, _STRAIGHT = 1, 2
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType: a smaller copy, a mask
_ORIENTATION, _ICC, _XMP, _EXIF = 274, 34675, 700, 34665
_PLACE = 34666  # tifffile writes no tag 34665: this one, beside it in the order of tags, becomes it
# Tags of the main directory that describe the picture and not its pixels (TIFF 6.0, section 8; DNG).
_ABOUT = (270, 271, 272, 306, 315, 33432)
_MOST = 4 * 1024**3 - 1024 * 1024  # bytes of pixels in a classic TIFF


def is_tiff(content: bytes) -> bool:
    """Whether the file begins as a TIFF does."""
    return content[:4] in MAGIC


def reads(content: bytes) -> bool:
    """Whether `read` is for this file: its pixels are gray or RGB. Others are Pillow's.

    Raises tifffile's errors for a broken file.
    """
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        return page.photometric in (*_GRAY, _RGB) and page.bitspersample not in (1, 2, 4)


def is_deep_ink(content: bytes) -> bool:
    """Whether the file's first picture is in CMYK of 16 bits. Raises tifffile's errors for a broken file."""
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        return (page.photometric, page.samplesperpixel, page.dtype) == (_INK, 4, np.uint16)


def read_ink(content: bytes, name: str, convert: bool) -> Image:
    """An sRGB copy, of 16 bits, of a picture for which `is_deep_ink` is true, upright.

    convert: whether the person asks for one; else the picture is refused. Raises as `read` does.
    """
    if not convert:
        raise VelaturaError("unsupported-colour", f"{name} is in CMYK colours. {colour.CONVERT}")
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        check_size(page.imagewidth, page.imagelength, name)
        ink = page.asarray()
        tags = {tag.code: tag.value for tag in page.tags}
        ink = np.moveaxis(ink, 0, -1) if page.planarconfig == 2 else ink
    icc = bytes(tags.get(_ICC, b""))
    rgb = colour.judged(name, lambda: as_srgb(ink, icc)) if icc else without_profile(ink)
    rgb = upright(rgb, tags.get(_ORIENTATION, 1))
    size = rgb.shape[1], rgb.shape[0]
    about = metadata.of_parts(content, tags.get(_XMP, b""), _dpi(tags), size)
    return Image(rgb, "RGB", metadata=about)


def read(content: bytes, name: str, colours: bool) -> Image:
    """The picture of a TIFF file for which `reads` is true, upright.

    Args:
        content: the file.
        name: its name, for messages.
        colours: whether the colour space is read.

    Raises VelaturaError `bad-request`, `unsupported-colour`, `too-large`; tifffile's errors.
    """
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages.first
        if sum(_is_picture(other) for other in file.pages) > 1:
            raise VelaturaError(
                "bad-request", f"{name} holds several pictures; save the one to edit by itself."
            )
        _check(page, name)
        pixels = page.asarray()
        tags = {tag.code: tag.value for tag in page.tags}
    pixels, associated = _colours(pixels, page, name)
    turn = tags.get(_ORIENTATION, 1)
    pixels = upright(pixels, turn)
    icc = bytes(tags.get(_ICC, b""))
    channels = CHANNELS[pixels.shape[-1]]
    size = pixels.shape[1], pixels.shape[0]
    about = metadata.of_parts(content, tags.get(_XMP, b""), _dpi(tags), size)
    if not colours:
        return Image(pixels, channels)
    if icc:
        space = colour.judged(name, lambda: of_icc(icc, channels[0] == "G"))
    else:
        space = LINEAR if pixels.dtype.kind == "f" else SRGB
    own = None if associated is None else upright(associated, turn)
    return Image(pixels, channels, space.profile, icc, (), about, own)


def write(path: Path, image: Image, xmp: bytes) -> bytes:
    """The picture as a TIFF file at its own depth, compressed without loss.

    Its alpha is straight. Its ICC profile is that of its colours, of their space where they have none.

    Args:
        path: for messages.
        image: the picture, with the metadata to keep.
        xmp: the packet to write, with the recipe in it.

    Raises VelaturaError `too-large`.
    """
    if image.pixels.nbytes > _MOST:
        raise VelaturaError(
            "too-large", f"{path.name} would be larger than a TIFF can be; write a PNG or an ORA."
        )
    exif = Pillow.Exif()
    exif.load(dict(image.metadata).get(b"eXIf", b""))
    tags: list[tuple[int, str, int, Any, bool]] = []
    tags += [(tag, "s", 0, str(exif[tag]), True) for tag in _ABOUT if tag in exif]
    inner = exif.get_ifd(_EXIF)
    if inner:
        tags.append((_PLACE, "I", 1, 0, True))
    if xmp:
        tags.append((_XMP, "B", len(xmp), xmp, True))
    stream = io.BytesIO()
    pixels = image.pixels if image.pixels.shape[-1] > 1 else image.pixels[..., 0]
    dpi = metadata.dpi_of((*image.colour_chunks, *image.metadata))
    tifffile.imwrite(
        stream,
        pixels,
        photometric="rgb" if image.channels.startswith("RGB") else "minisblack",
        planarconfig="contig" if image.pixels.shape[-1] > 1 else None,
        extrasamples=["unassalpha"] if image.channels.endswith("A") else None,
        compression="adobe_deflate",
        predictor=True,
        iccprofile=colour.icc_of(image, gray=image.channels[0] == "G"),
        resolution=dpi or (0.0, 0.0),
        resolutionunit="inch" if dpi else "none",
        software=f"Velatura {__version__}",
        metadata=None,
        extratags=tags,
        rowsperstrip=max(1, (1 << 20) // max(1, pixels[0].nbytes)),
    )
    content = stream.getvalue()
    return _with_exif(content, inner) if inner else content


def xmp_in(content: bytes) -> bytes:
    """The file's XMP packet, or b"". Raises tifffile's errors."""
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        tag = file.pages.first.tags.get(_XMP)
        return b"" if tag is None else bytes(tag.value)


def _is_picture(page: Any) -> bool:
    return not getattr(page, "subfiletype", 0) & (_REDUCED | _MASK)


def _check(page: Any, name: str) -> None:
    """Raise for a page of another kind than `read` takes."""
    check_size(page.imagewidth, page.imagelength, name)
    if page.dtype is None or page.dtype not in [np.dtype(kind) for kind in TYPES.values()]:
        bits, kind = page.bitspersample, "floats" if page.sampleformat == 3 else "whole numbers"
        raise VelaturaError(
            "bad-request",
            f"{name} has {kind} of {bits} bits a channel; save it with 8 or 16 bits, or as floats of 32.",
        )
    own = 3 if page.photometric == _RGB else 1
    extra = tuple(page.extrasamples)
    if page.samplesperpixel - own != len(extra) or len(extra) > 1 or extra not in ((), (1,), (2,)):
        raise VelaturaError(
            "bad-request",
            f"{name} has a channel beside its colours that is no transparency, such as a saved selection; "
            "delete that channel, or save the picture as PSD or PNG.",
        )


def _colours(pixels: np.ndarray, page: Any, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The pixels [h, w, channels] with straight alpha; the file's own colours where they are multiplied."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    elif page.planarconfig == 2 and page.samplesperpixel > 1:
        pixels = np.moveaxis(pixels, 0, -1)
    pixels = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("="), copy=False))
    if page.photometric == _GRAY[0]:
        pixels = pixels.copy()
        pixels[..., 0] = full_of(pixels.dtype) - pixels[..., 0]
    if tuple(page.extrasamples) == (_ASSOCIATED,):
        return straight(pixels), pixels[..., :-1]
    return pixels, None


def _dpi(tags: dict[int, Any]) -> tuple[float, float] | None:
    """Pixels an inch, across and down."""
    try:
        unit = {2: 1.0, 3: 2.54}[int(tags.get(296, 2))]
        across, down = (tags[code][0] / tags[code][1] * unit for code in (282, 283))
    except (LookupError, TypeError, ValueError, ZeroDivisionError):
        return None
    return across, down


def _with_exif(content: bytes, inner: dict[int, Any]) -> bytes:
    """The file with a directory of EXIF tags at its end, to which tag 34665 points."""
    order = "<" if content.startswith(b"II") else ">"
    content += bytes(len(content) % 2)
    at = len(content)
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=content[:2])
    for tag, value in inner.items():
        directory[tag] = value
    body = directory.tobytes(at)
    (first,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, first)
    patched = bytearray(content + body)
    for entry in range(first + 2, first + 2 + 12 * count, 12):
        if struct.unpack_from(f"{order}H", content, entry)[0] == _PLACE:
            struct.pack_into(f"{order}HHII", patched, entry, _EXIF, 4, 1, at)
    return bytes(patched)
