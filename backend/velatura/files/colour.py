"""The profiles of written files, the colours of a PNG, and the refusals of colours that cannot be edited."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import ImageCms

from velatura.colour import SRGB, Unsupported, of_cicp, of_gamma, of_icc, profile_for
from velatura.files import chunks
from velatura.pixels import srgb
from velatura_protocol.errors import VelaturaError

if TYPE_CHECKING:
    from velatura.files.images import Image

# The white of the profile connection space, X Y Z as s15Fixed16 (ICC.1, section 7.2.16).
D50 = (0xF6D6, 0x10000, 0xD32D)

ADVICE = "Convert the picture to sRGB in the program that made it, save it again and edit that file."
CONVERT = "Add --convert to edit an RGB copy, or convert it to RGB in the program that made it."


def srgb_icc() -> bytes:
    """Return an ICC profile of sRGB, the same bytes each time."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes(12)  # the date of creation
    return bytes(profile)


def srgb_gray_icc() -> bytes:
    """Return an ICC profile (version 2.1) of gray with sRGB's transfer, the same bytes each time."""
    curve = np.round(srgb.decode(np.linspace(0, 1, 1024)) * 65535).astype(">u2").tobytes()
    title = b"Gray, sRGB transfer\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(title)) + title + bytes(4 + 4 + 2 + 1 + 67),
        b"cprt": b"text\0\0\0\0CC0\0",
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", *D50),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">I", 1024) + curve,
    }
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    content = table + body
    kind = (b"mntr", b"GRAY", b"XYZ ", b"", b"acsp")
    header = struct.pack(">I4sI4s4s4s12s4s", 128 + len(content), b"", 0x02100000, *kind)
    return (header + bytes(28) + struct.pack(">3i", *D50)).ljust(128, b"\0") + content


def icc_of(image: Image, gray: bool) -> bytes:
    """The ICC profile for a file of a picture's pixels: its own where it fits, else one of its colour space.

    gray: whether the file has one channel of colour. Empty for PQ and HLG without a profile.
    """
    if image.icc and (gray or image.icc[16:20] != b"GRAY"):
        return image.icc
    if image.space is SRGB:
        return srgb_gray_icc() if gray else srgb_icc()
    return profile_for(image.space, gray)


T = TypeVar("T")


def judged(name: str, work: Callable[[], T]) -> T:
    """The result of a function of `velatura.colour` for a file of this name.

    Raises VelaturaError `unsupported-colour` in place of Unsupported.
    """
    try:
        return work()
    except Unsupported as error:
        sentence = f"{name} {error.what}. {ADVICE}"
        raise VelaturaError("unsupported-colour", sentence, detail=error.detail) from error


def of_chunks(kept: tuple[tuple[bytes, bytes], ...], channels: str, name: str) -> tuple[str, bytes]:
    """The name and the ICC profile of a PNG's colours (W3C PNG, third edition, section 4.3).

    Args:
        kept: the chunks that define the colours; the first of cICP, iCCP, sRGB, gAMA and cHRM decides.
        channels: of the pixels, as in the protocol.
        name: of the file, for the message.

    Raises VelaturaError `unsupported-colour`, and BrokenPng for an iCCP chunk that cannot be read.
    """
    by_type = dict(kept)
    gray = channels[0] == "G"
    if b"cICP" in by_type:
        points = (*by_type[b"cICP"], 0, 0, 0, 0)
        space = judged(name, lambda: of_cicp(*points[:3], full=points[3] == 1))
        return space.profile, b""
    if b"iCCP" in by_type:
        icc = chunks.icc_of(by_type[b"iCCP"])
        return judged(name, lambda: of_icc(icc, gray)).profile, icc
    if b"sRGB" in by_type:
        return SRGB.profile, b""
    gamma = struct.unpack(">I", by_type[b"gAMA"])[0] if b"gAMA" in by_type else None
    primaries = struct.unpack(">8I", by_type[b"cHRM"]) if b"cHRM" in by_type else None
    space = judged(name, lambda: of_gamma(gamma, primaries))
    return space.profile, space.icc
