"""A sheet of faces with their names, laid over the layer's picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

LABEL = 0.14
"""Height of a name, as a share of its face's side."""
PAPER, INK = 250, 20  # of 0..255


def sheet(pictures: Tensor, titles: Sequence[str], image: Tensor, mask: Tensor) -> Tensor:
    """The layer's picture with a sheet of pictures over the selection's bounds, [1, 4, h, w]: colours in
    [-1, 1], and an opacity that is 1 on the sheet and 0 beside it.

    Args:
        pictures: [N, 3, s, s] in [-1, 1].
        titles: N of them.
        image: [1, 3, h, w] in [-1, 1].
        mask: the selection, [1, 1, h, w] in [0, 1].
    """
    top, left, height, width = bounds(mask)
    columns, side = layout(len(pictures), height, width)
    label = round(LABEL * side)
    paper = torch.full((1, 3, height, width), PAPER / 127.5 - 1.0, device=image.device)
    pictures = F.interpolate(pictures, (side, side), mode="bicubic", antialias=True).clamp(-1.0, 1.0)
    for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        y, x = i // columns * (side + label), i % columns * side
        paper[0, :, y : y + side, x : x + side] = picture
        paper[0, :, y + side : y + side + label, x : x + side] = _lettering(title, side, label).to(paper)
    whole = torch.cat([image, torch.zeros_like(image[:, :1])], 1)
    rows = -(-len(pictures) // columns)
    bottom, right = min(height, rows * (side + label)), min(width, columns * side)
    whole[..., top : top + bottom, left : left + right] = F.pad(paper, (0, 0, 0, 0, 0, 1), value=1.0)[
        ..., :bottom, :right
    ]
    return whole


def bounds(mask: Tensor) -> tuple[int, int, int, int]:
    """Top, left, height and width of the selection [1, 1, h, w]; of the whole where nothing is selected."""
    rows, columns = ((mask[0, 0] > 0.0).any(axis).nonzero() for axis in (1, 0))
    if not len(rows):
        return 0, 0, mask.shape[-2], mask.shape[-1]
    top, left = int(rows[0]), int(columns[0])
    return top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1


def layout(count: int, height: int, width: int) -> tuple[int, int]:
    """Columns, and the side of each picture, with which so many are largest in this space."""

    def side(columns: int) -> int:
        rows = -(-count // columns)
        return max(1, math.floor(min(width / columns, height / rows / (1.0 + LABEL))))

    return max(((columns, side(columns)) for columns in range(1, count + 1)), key=lambda made: made[1])


def _lettering(title: str, width: int, height: int) -> Tensor:
    """A line of text [3, height, width] in [-1, 1], as large as fits."""
    picture = Image.new("L", (width, max(1, height)), PAPER)
    draw = ImageDraw.Draw(picture)
    for size in range(max(4, round(0.8 * height)), 3, -1):
        font = ImageFont.load_default(size)
        if draw.textlength(title, font) <= 0.96 * width or size == 4:
            draw.text((width / 2.0, height / 2.0), title, INK, font, "mm")
            break
    line = torch.from_numpy(np.asarray(picture, np.float32) / 127.5 - 1.0)
    return line[:height].expand(3, -1, -1)
