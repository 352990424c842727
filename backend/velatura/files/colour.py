"""Recognises the two colour spaces that Velatura handles.

They are sRGB (IEC 61966-2-1), and sRGB's primaries with a linear transfer. The colours that a profile gives
decide, not its name: sRGB profiles have many names, and some that are named sRGB are not.
"""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms

from velatura.pixels import srgb
from velatura_protocol.errors import VelaturaError

SRGB = "sRGB"
LINEAR = "sRGB-linear"

# Rounding in an 8-bit transform and the small differences between makers' sRGB profiles stay within 3 of
# 255; a pure 2.2 gamma is off by 7 and other primaries by tens.
TOLERANCE = 3

# The white of the profile connection space, X Y Z as s15Fixed16 (ICC.1, section 7.2.16).
D50 = (0xF6D6, 0x10000, 0xD32D)

ADVICE = "Convert the picture to sRGB in the program that made it, save it again and edit that file."


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


def judge_icc(icc: bytes, gray: bool, name: str) -> str:
    """Return the colour space that the ICC profile describes, `sRGB` or `sRGB-linear`.

    Args:
        icc: the profile.
        gray: whether the pixels have one colour channel.
        name: the name of the file, for the message.

    Raises VelaturaError `unsupported-colour` for any other colour space.
    """
    try:
        profile = ImageCms.core.profile_frombytes(icc)
        title = (profile.profile_description or "").strip()[:80]
        space = profile.xcolor_space.strip()
        if space == ("GRAY" if gray else "RGB"):
            colours, converted = _through(ImageCms.ImageCmsProfile(profile), gray)
            for answer, expected in ((SRGB, colours / 255), (LINEAR, srgb.encode(colours / 255))):
                if np.abs(converted - 255 * expected).max() <= TOLERANCE:
                    return answer
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise VelaturaError(
            "unsupported-colour", f"{name} has an unreadable colour profile. {ADVICE}", detail=str(error)
        ) from error
    raise VelaturaError(
        "unsupported-colour",
        f"{name} has the colour profile \u201c{title or 'without a name'}\u201d, which is not sRGB. {ADVICE}",
    )


def _through(profile: ImageCms.ImageCmsProfile, gray: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return colours [n, 3] in 0..255 and the sRGB values [n, 3] that `profile` gives them."""
    if gray:
        ramp = np.arange(256, dtype=np.uint8)
        colours = np.stack([ramp] * 3, axis=-1)
        picture = Pillow.fromarray(ramp[None])
    else:
        steps = np.array([0, 8, 16, 32, 64, 96, 128, 160, 192, 224, 255], dtype=np.uint8)
        colours = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
        picture = Pillow.fromarray(colours[None])
    change = ImageCms.buildTransform(
        profile, ImageCms.createProfile("sRGB"), picture.mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    converted = np.asarray(ImageCms.applyTransform(picture, change))[0].astype(np.float64)
    return colours.astype(np.float64), converted


# Chromaticities of D65 and of ITU-R BT.709's primaries as in a PNG's cHRM chunk (times 100,000):
# white, red, green, blue.
BT709 = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def judge_png_chunks(gamma: int | None, chromaticities: tuple[int, ...] | None, name: str) -> str:
    """Return the colour space that a PNG's gAMA and cHRM chunks (times 100,000) describe.

    For files with neither an ICC profile nor an sRGB chunk.

    Args:
        gamma: of gAMA; None where there is none.
        chromaticities: of cHRM, in the order of `BT709`; None where there is none.
        name: the name of the file, for the message.

    Raises VelaturaError `unsupported-colour` for any colour space but `sRGB` and `sRGB-linear`.
    """
    if chromaticities and max(abs(a - b) for a, b in zip(chromaticities, BT709, strict=True)) > 1000:
        raise VelaturaError("unsupported-colour", f"{name} has primaries that are not sRGB's. {ADVICE}")
    if gamma is None or abs(gamma - 45455) <= 1000:
        return SRGB
    if abs(gamma - 100000) <= 1000:
        return LINEAR
    raise VelaturaError(
        "unsupported-colour", f"{name} has a gamma of {gamma / 100000:.3f}, which is not sRGB's. {ADVICE}"
    )
