"""A picture of an edit: before, mask, after, side by side."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from velatura.colour import shown
from velatura.files.atomic import replacing
from velatura.files.composite import over
from velatura.files.depths import full_of
from velatura.files.images import Image, Layer

HEIGHT = 384  # of each panel
GAP = 12
PAPER = (255, 255, 255)
MASK_COLOUR = (220, 40, 60)


def write_comparison(path: Path, source: Image, mask: Image | None, layer: Layer) -> None:
    """Write an 8-bit PNG of three panels: the source, the source tinted where the mask selects, the result.

    Args:
        path: the file, which appears complete or not at all.
        source: the picture before the edit.
        mask: the edited part; None for the whole source.
        layer: the result.

    Raises OSError.
    """
    panels = (eight_bit(source), tinted(source, mask), eight_bit(over(source, layer)))
    width = max(1, round(source.width * HEIGHT / source.height))
    paper = Pillow.new("RGB", (3 * width + 4 * GAP, HEIGHT + 2 * GAP), PAPER)
    for number, panel in enumerate(panels):
        picture = Pillow.fromarray(panel).resize((width, HEIGHT), Pillow.Resampling.LANCZOS)
        paper.paste(picture, (GAP + number * (width + GAP), GAP))
    stream = io.BytesIO()
    paper.save(stream, "PNG")
    with replacing(path) as file:
        file.write(stream.getvalue())


def tinted(source: Image, mask: Image | None) -> np.ndarray:
    """Return the source as RGB uint8 [h, w, 3], tinted where the mask selects; None tints all of it."""
    before = eight_bit(source)
    amount = 1.0 if mask is None else mask.pixels / full_of(mask.pixels.dtype)
    return np.round(before + 0.65 * amount * (np.array(MASK_COLOUR) - before)).astype(np.uint8)


def eight_bit(image: Image) -> np.ndarray:
    """Return the picture over white as RGB uint8 [h, w, 3], in sRGB."""
    count = 3 if image.channels.startswith("RGB") else 1
    colours = shown(image.pixels[..., :count], image.space)
    if not image.channels.endswith("A"):
        return np.ascontiguousarray(colours)
    alpha = image.pixels[..., -1:] / np.float64(full_of(image.pixels.dtype))
    return np.round(colours * alpha + 255 * (1 - alpha)).astype(np.uint8)
