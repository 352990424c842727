"""A composite with a seam band: inside the selection's edge, edit and layer are mixed over a few pixels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def banded(edited: Tensor, source: Tensor, m: Tensor, width: int) -> Tensor:
    """x + (x_hat - x) min(1, r/m), where r rises from 0 at the selection's edge to 1 within a band inside it.

    Laid over the layer with the selection m as alpha, the edit then has the weight min(m, r): a selection
    whose own edge is softer than the band is not softened twice.

    Args:
        edited: x_hat, [N, 3, h, w].
        source: x, [1, 3, h, w].
        m: the selection, [1, 1, h, w] in [0, 1].
        width: of the band in pixels, from 0, which gives `edited` inside. It is less in thin parts of the
            selection, so that the middle of each part has the whole edit.
    """
    inside = m > 0.0
    weight = torch.where(inside, (ramp(inside, width) / m.clamp(min=1e-6)).clamp(max=1.0), 0.0)
    return torch.where(weight == 1.0, edited, source + (edited - source) * weight)


def ramp(inside: Tensor, width: int) -> Tensor:
    """r of `banded`, [1, 1, h, w] in [0, 1]: (d - 1/2) / width, at most 1.

    d is the number of pixels to the nearest one outside, along rows, columns and diagonals; the picture's own
    edge is no edge of the selection. Where the selection is so thin that no pixel near is `width` pixels from
    its edge, the largest d near takes the place of the width.
    """
    d = inside.float()
    shrunk = d
    for _ in range(width):
        shrunk = -F.max_pool2d(-shrunk, 3, stride=1, padding=1)
        d = d + shrunk
    thickest = d
    for _ in range(width):
        thickest = torch.where(inside, F.max_pool2d(thickest, 3, stride=1, padding=1), 0.0)
    return torch.where(inside, ((d - 0.5) / (thickest - 0.5).clamp(min=0.5, max=max(width, 0.5))), 0.0).clamp(
        max=1.0
    )
