"""Grids of pictures as small PNGs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

GAP = 4
TITLE = 16  # height of the row of titles, in pixels
MOST_BYTES = 300_000
INK = (40, 40, 40)


def sheet(rows: Sequence[Sequence[NDArray[np.floating[Any]]]], titles: Sequence[str] = ()) -> Image.Image:
    """Rows of pictures (3, H, W) in 0..1 on white, with titles above the columns."""
    height, width = rows[0][0].shape[1:]
    top = TITLE if titles else 0
    size = len(rows[0]) * (width + GAP) - GAP, top + len(rows) * (height + GAP) - GAP
    image = Image.new("RGB", size, "white")
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            pixels = np.rint(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8).transpose(1, 2, 0)
            image.paste(Image.fromarray(pixels), (c * (width + GAP), top + r * (height + GAP)))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(11)
    for c, title in enumerate(titles):
        draw.text((c * (width + GAP) + width / 2, TITLE / 2), title, INK, font, "mm")
    return image


def save_small(image: Image.Image, path: Path, most: int = MOST_BYTES) -> None:
    """Save a PNG of at most `most` bytes, with as many levels in each channel as fit, at least 8."""
    pixels = np.asarray(image, np.float32) / 255.0
    for levels in (256, 128, 64, 48, 32, 24, 16, 8):
        rounded = np.rint(np.rint(pixels * (levels - 1)) * (255.0 / (levels - 1)))
        Image.fromarray(rounded.astype(np.uint8)).save(path, optimize=True)
        if path.stat().st_size <= most:
            return
