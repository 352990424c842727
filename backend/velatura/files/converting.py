"""sRGB copies of pictures in CMYK, Lab and the like, for `--convert`."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow

from velatura.colour import as_srgb, lab_profile
from velatura.files import colour

# Pillow's modes of colours that cannot be edited, with their names for a person.
MODES = {"CMYK": "CMYK", "LAB": "Lab", "YCbCr": "YCbCr", "HSV": "HSV"}


def copy(picture: Pillow.Image, icc: bytes, name: str) -> Pillow.Image:
    """The picture as sRGB, 8 bits a channel.

    Args:
        picture: in one of `MODES`.
        icc: its profile. CMYK without one is converted as ink on white paper without any.
        name: of its file, for the message.

    Raises VelaturaError `unsupported-colour` for a profile that cannot be used.
    """
    picture.load()
    if picture.mode == "LAB":
        values = np.asarray(picture)  # as TIFF has them: a* and b* are signed
        lab = np.concatenate([values[..., :1] / 2.55, values[..., 1:].astype(np.int8)], axis=-1)
        rgb = colour.judged(name, lambda: as_srgb(lab, lab_profile()))
        return Pillow.fromarray(np.rint(255 * rgb).astype(np.uint8))
    if picture.mode == "CMYK" and icc:
        return Pillow.fromarray(colour.judged(name, lambda: as_srgb(np.asarray(picture), icc)))
    return picture.convert("RGB")


def without_profile(ink: np.ndarray) -> np.ndarray:
    """CMYK [height, width, 4] of no known inks as RGB of the same type, on white paper: (1 - c) (1 - k)."""
    most = np.float32(np.iinfo(ink.dtype).max)
    paper = 1 - ink.astype(np.float32) / most
    return np.rint(paper[..., :3] * paper[..., 3:] * most).astype(ink.dtype)
