"""A contact sheet: the source, then a row for each way of editing it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from velatura.files.atomic import replacing
from velatura.files.compare import eight_bit, tinted
from velatura.files.composite import over
from velatura.files.images import Image, Layer

SIDE = 220  # height of a picture, in pixels
GAP, MARGIN, LINE = 10, 24, 22
PAPER, INK, FAINT = (250, 249, 246), (32, 32, 36), (110, 110, 116)


@dataclass(frozen=True)
class Row:
    """One way of editing the source.

    Args:
        title: the name of the edit.
        caption: its prompt or selection, beside the title.
        labels: texts beneath the pictures, one a layer.
        layers: the results.
        mask: the selection, shown over the source.
    """

    title: str
    caption: str
    labels: Sequence[str]
    layers: Sequence[Layer]
    mask: Image | None = None


def write_sheet(path: Path, source: Image, rows: Sequence[Row]) -> None:
    """Write an 8-bit PNG, in which short rows share a line. The file appears complete or not at all.

    A layer without colours is a selection and is shown as a tint. Raises OSError.
    """
    width = max(1, round(source.width * SIDE / source.height)) + GAP
    columns = max(1 + len(row.layers) for row in rows)
    places = _places([1 + len(row.layers) for row in rows], columns)
    height = SIDE + 2 * LINE + MARGIN
    lines = 1 + max(line for line, _ in places)
    paper = Pillow.new("RGB", (2 * MARGIN + columns * width - GAP, MARGIN + lines * height), PAPER)
    draw = ImageDraw.Draw(paper)
    font, small = (ImageFont.load_default(size) for size in (17, 13))
    for row, (line, column) in zip(rows, places, strict=True):
        left, top = MARGIN + column * width, MARGIN + line * height
        draw.text((left, top), row.title, INK, font)
        draw.text((left + draw.textlength(row.title, font) + 10, top + 3), row.caption, FAINT, small)
        before = eight_bit(source) if row.mask is None else tinted(source, row.mask)
        pictures = [before, *(_over(source, layer) for layer in row.layers)]
        for place, (picture, label) in enumerate(zip(pictures, ["", *row.labels], strict=True)):
            at = (left + place * width, top + LINE + 2)
            paper.paste(_fitting(picture, (width - GAP, SIDE)), at)
            draw.text((at[0] + 2, at[1] + SIDE + 3), label, FAINT, small)
    stream = io.BytesIO()
    paper.save(stream, "PNG")
    with replacing(path) as file:
        file.write(stream.getvalue())


def _places(widths: Sequence[int], columns: int) -> list[tuple[int, int]]:
    """(line, first column) of each row, on the line of the previous row where it fits."""
    places: list[tuple[int, int]] = []
    line = taken = 0
    for width in widths:
        if taken and taken + width > columns:
            line, taken = line + 1, 0
        places.append((line, taken))
        taken += width
    return places


def _over(source: Image, layer: Layer) -> np.ndarray:
    if layer.image.channels == "A":
        return tinted(source, layer.image)
    return eight_bit(over(source, layer))


def _fitting(picture: np.ndarray, size: tuple[int, int]) -> Pillow.Image:
    return Pillow.fromarray(picture).resize(size, Pillow.Resampling.LANCZOS)
