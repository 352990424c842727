"""The metadata of a picture's file, as chunks of the PNG files that are made of it.

EXIF, XMP, texts and resolution are kept. The orientation becomes 1, since pixels are read upright; the
thumbnail, which shows the picture before the edit, and the recipe of an earlier result are left out.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
import struct
from collections.abc import Iterator
from typing import Any

from PIL import Image as Pillow

from velatura.files import chunks
from velatura.files.xmp import without_recipes

Chunks = tuple[tuple[bytes, bytes], ...]

XMP = b"XML:com.adobe.xmp"
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# Texts that are not repeated: our recipe, and EXIF as some programs wrote it before there was eXIf.
_LEFT_OUT = (b"velatura", b"Raw profile type exif", b"Raw profile type APP1")
_ORIENTATION, _EXIF, _GPS, _INTEROP, _WIDTH, _HEIGHT = 0x0112, 0x8769, 0x8825, 0xA005, 0xA002, 0xA003
# Tags that describe a TIFF's own pixels and profiles (TIFF 6.0, section 8 and following), not the picture.
_STRUCTURE = frozenset(
    {
        *range(254, 270), 273, *range(277, 282), 284, 290, 291, 292, 293, *range(317, 348), *range(512, 533),
        700, 33723, 34377, 34675,
    }
)  # fmt: skip
# The errors of Pillow for EXIF that cannot be read or written.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    struct.error,
)


def of_png(content: bytes, size: tuple[int, int]) -> Chunks:
    """The metadata of a PNG file; its resolution is among `chunks.colour_chunks`. size: upright."""
    kept: list[tuple[bytes, bytes]] = []
    exif = Pillow.Exif()
    for kind, data in chunks.walk(content):
        keyword = data.partition(b"\0")[0]
        if kind in _TEXTS and keyword not in _LEFT_OUT:
            kept.append((kind, _upright(data) if keyword == XMP else data))
        elif kind == b"eXIf":
            exif.load(data)
    return (*_exif(exif, size), *kept)


def of_pillow(picture: Pillow.Image, size: tuple[int, int]) -> Chunks:
    """The metadata of an opened JPEG, WebP or TIFF file. size: of the upright picture."""
    info = picture.info
    kept = list(_exif(picture.getexif(), size))
    xmp = info.get("xmp")
    if isinstance(xmp, bytes):
        kept.append((b"iTXt", XMP + b"\0\0\0\0\0" + _upright(xmp.rstrip(b"\0"))))
    comment = info.get("comment")
    if isinstance(comment, bytes) and comment:
        text = comment.decode("utf-8", "replace").replace("\0", "")
        kept.append((b"iTXt", b"Comment\0\0\0\0\0" + text.encode()))
    kept += _resolution(info.get("dpi"))
    return tuple(kept)


def of_parts(exif: bytes, xmp: bytes, dpi: Any, size: tuple[int, int]) -> Chunks:
    """The metadata of a file whose parts another library has read.

    Args:
        exif: as in a PNG's eXIf chunk: a small TIFF, which may also be a whole picture; or b"".
        xmp: the packet, or b"".
        dpi: pixels an inch, across and down, or None.
        size: of the upright picture.
    """
    tags = Pillow.Exif()
    with contextlib.suppress(*_BROKEN):  # BigTIFF has tags of another form
        tags.load_from_fp(io.BytesIO(exif)) if exif else None
    packet = bytes(xmp).rstrip(b"\0")
    texts = [(b"iTXt", XMP + b"\0\0\0\0\0" + _upright(packet))] if packet else []
    return (*_exif(tags, size), *texts, *_resolution(dpi))


def xmp_of(kept: Chunks) -> bytes:
    """The XMP packet among these chunks; b"" where there is none."""
    for kind, data in kept:
        if kind == b"iTXt" and data.startswith(XMP + b"\0\0"):  # not compressed
            return data[len(XMP) + 3 :].split(b"\0", 2)[-1]
    return b""


def dpi_of(kept: Chunks) -> tuple[float, float] | None:
    """Pixels an inch, across and down, of the pHYs chunk among these; None where there is none of metres."""
    data = dict(kept).get(b"pHYs", b"")
    if len(data) != 9 or data[8] != 1:
        return None
    across, down = struct.unpack(">II", data[:8])
    return across * 0.0254, down * 0.0254


def _resolution(dpi: Any) -> Iterator[tuple[bytes, bytes]]:
    """The pHYs chunk (W3C PNG, section 11.3.4.3) of pixels an inch, across and down."""
    try:
        across, down = float(dpi[0]) / 0.0254, float(dpi[1]) / 0.0254
    except (TypeError, ValueError, LookupError, ZeroDivisionError):
        return
    if all(math.isfinite(number) and 1 <= number < 2**31 for number in (across, down)):
        yield b"pHYs", struct.pack(">IIB", round(across), round(down), 1)


def _exif(exif: Pillow.Exif, size: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
    """The eXIf chunk of these tags; none where there are none, or where they are broken."""
    try:
        upright = Pillow.Exif()
        for tag, value in exif.items():
            if tag not in _STRUCTURE and tag not in (_EXIF, _GPS):
                upright[tag] = value
        if _ORIENTATION in upright:
            upright[_ORIENTATION] = 1
        for tag in (_EXIF, _GPS):
            inner = {key: value for key, value in exif.get_ifd(tag).items() if key != _INTEROP}
            sides = dict(zip((_WIDTH, _HEIGHT), size, strict=True)) if tag == _EXIF else {}
            inner |= {key: side for key, side in sides.items() if key in inner}
            if inner:
                upright[tag] = inner
        if upright:
            yield b"eXIf", upright.tobytes().removeprefix(b"Exif\0\0")
    except _BROKEN:
        return


def _upright(xmp: bytes) -> bytes:
    """XMP whose orientation, if it gives one, is 1, and without the recipes of an earlier result."""
    return re.sub(rb'(tiff:Orientation(?:\s*=\s*["\']|>))\d', rb"\g<1>1", without_recipes(xmp))
