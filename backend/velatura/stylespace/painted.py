"""A painted map of parts: from labels to flat colours and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .palette import colours

if TYPE_CHECKING:
    from .frames import Frame

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


def in_picture(likelihoods: Tensor, frame: Frame, size: tuple[int, int]) -> Tensor:
    """The likeliest part at each pixel of a picture of this size, [N, h, w], int64; -1 outside of the frame.

    The likelihoods are interpolated, so that outlines are smooth lines and no steps of the model's pixels.

    likelihoods: [N, K, s, s], of the parts in the frame.
    """
    h, w = size
    places = frame.within(size).to(likelihoods)
    at = places[None].expand(len(likelihoods), h, w, 2)
    smooth = F.grid_sample(likelihoods, at, mode="bicubic", padding_mode="border", align_corners=False)
    return torch.where((places.abs() <= 1.0).all(-1), smooth.argmax(1), -1)


def in_frame(painted: Tensor, frame: Frame, s: int) -> Tensor:
    """Labels or colours [N, h, w] of a picture in the frame, [N, s, s]; -1 where it reaches beyond the
    picture."""
    h, w = painted.shape[-2:]
    columns, rows = frame.places(s).floor().long().to(painted.device).unbind(-1)
    taken = painted[:, rows.clamp(0, h - 1), columns.clamp(0, w - 1)]
    return torch.where((rows >= 0) & (rows < h) & (columns >= 0) & (columns < w), taken, -1)


def repainted(y: Tensor, shown: Tensor, painted: Tensor) -> Tensor:
    """The wanted labels y_edited [N, s, s]: y, and what is painted where that differs from what was shown.

    A line of one pixel in which a part has moved to its neighbour is no paint, but an edge that was cut out
    or resized anew; it stays.

    Args:
        y: [N, s, s], the labels.
        shown: [N, s, s], the same, as a picture showed them; -1 where it had none.
        painted: [N, s, s], the labels of the paint; -1 where nothing is painted.
    """
    changed = (painted != shown) & (painted >= 0) & (painted != y)
    thick = -F.max_pool2d(-changed.float(), 2, stride=1)
    thick = F.max_pool2d(F.pad(thick, (1, 1, 1, 1)), 2, stride=1) > 0.0
    moved = torch.zeros_like(changed)
    s = y.shape[-1]
    around = F.pad(y[:, None].float(), (1, 1, 1, 1), mode="replicate")[:, 0].long()
    for i in range(3):
        for j in range(3):
            moved |= around[:, i : i + s, j : j + s] == painted
    return torch.where(changed & (thick | ~moved), painted, y)


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
