"""A painted map of parts: from labels to flat colours and back."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .palette import colours

EXACT = 24.0
"""The largest distance of a colour from a part's own, of 441, that is taken for the part's own colour."""

_WINDOW = 5  # pixels around a mixed one in which the parts that it is mixed of are looked for


def picture_of(y: Tensor, parts: Sequence[str]) -> Tensor:
    """Labels y [N, h, w] as flat colours [N, 3, h, w] in [-1, 1], exact in 8 bits."""
    return _palette(parts, y.device)[y].movedim(-1, 1) / 127.5 - 1.0


def labels_of(painted: Tensor, parts: Sequence[str]) -> Tensor:
    """Painted colours as labels [N, h, w], int64; -1 where nothing is painted.

    A pixel whose colour is no part's own is an edge that a soft brush has mixed. It becomes the nearest of
    the parts whose own colour is beside it, since halfway from blue to orange lies grey.

    Args:
        painted: [N, h, w], int64, 65536 R + 256 G + B; -1 where nothing is painted.
        parts: the model's.
    """
    distance = _distances(painted, parts)
    beside = _beside(distance, painted)
    among = distance.masked_fill(~beside & beside.any(1, keepdim=True), torch.inf)
    return torch.where(painted >= 0, among.argmin(1), -1)


def strange(painted: Tensor, parts: Sequence[str]) -> float:
    """The share of the painted pixels that have no part's own colour, nor one beside them."""
    there = painted >= 0
    if not bool(there.any()):
        return 0.0
    beside = _beside(_distances(painted, parts), painted).any(1)
    return float((~beside)[there].float().mean())


def _beside(distance: Tensor, painted: Tensor) -> Tensor:
    """[N, K, h, w], bool: whether a pixel with a part's own colour is here or within the window."""
    own = (distance < EXACT) & (painted >= 0)[:, None]
    return F.max_pool2d(own.float(), _WINDOW, stride=1, padding=_WINDOW // 2) > 0.0


def _distances(painted: Tensor, parts: Sequence[str]) -> Tensor:
    """[N, K, h, w], float32, from each part's colour."""
    rgb = torch.stack([painted >> 16 & 255, painted >> 8 & 255, painted & 255], -1).float()
    palette = _palette(parts, painted.device)
    return (rgb[..., None, :] - palette).square().sum(-1).sqrt().movedim(-1, 1)


def _palette(parts: Sequence[str], device: torch.device) -> Tensor:
    """[K, 3] of 0 … 255, float32."""
    rows = [(colour >> 16 & 255, colour >> 8 & 255, colour & 255) for colour in colours(parts)]
    return torch.tensor(rows, dtype=torch.float32, device=device)
