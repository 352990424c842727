"""The encoder of a style-based generator: pictures to codes in W+, in one pass.

In the manner of pSp (Richardson et al. 2021, Encoding in Style), styles are read from a pyramid of features:
w from its top, the offsets of the layers also from the level below. In the manner of e4e (Tov et al. 2021,
Designing an Encoder for StyleGAN Image Manipulation, section 5), all layers share one w, and each but the
first adds an offset of its own. Where the offsets are small, the code stays where it can be edited.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANNELS = (32, 64, 128, 192)
SIDES = (8, 16)  # sides at which the top of the pyramid and the level below are read
READ = (16, 4)  # channels that are read at each of their places
HIDDEN = (192, 64)  # length of what is read
RANK = 32  # of a layer's offset


class Bottleneck(nn.Module):
    """x + two convolutions of x [N, C, h, w] through half as many channels, with batch normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels // 2, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels // 2),
            nn.SiLU(),
            nn.Conv2d(channels // 2, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x + self.body(x))


class Read(nn.Module):
    """Features [N, C, h, w] as one row [N, hidden] that knows where in the picture each of them is."""

    def __init__(self, channels: int, read: int, side: int, hidden: int) -> None:
        super().__init__()
        self.side = side
        self.places = nn.Conv2d(channels, read, 1)
        self.row = nn.Linear(read * side * side, hidden)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.side:
            x = F.adaptive_avg_pool2d(x, self.side)
        return F.silu(self.row(F.silu(self.places(x)).flatten(1)))


class Encoder(nn.Module):
    """Pictures to W+.

    Args:
        size: side of the pictures, at least 2 ** len(channels).
        num_ws, w_dim: of the generator.
        channels: of the levels of the pyramid, two or more, each of half the side of the one before.
    """

    def __init__(self, size: int, num_ws: int, w_dim: int, channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        self.num_ws, self.channels = num_ws, channels
        pyramid: list[nn.Module] = []
        for i, (before, after) in enumerate(zip((3, *channels), channels, strict=False)):
            level: list[nn.Module] = [
                nn.Conv2d(before, after, 3, 2, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.SiLU(),
            ]
            if i >= len(channels) - 2:
                level.append(Bottleneck(after))
            pyramid.append(nn.Sequential(*level))
        self.pyramid = nn.ModuleList(pyramid)
        sides = [min(most, size >> len(channels) - i) for i, most in enumerate(SIDES)]
        self.top = Read(channels[-1], READ[0], sides[0], HIDDEN[0])
        self.below = Read(channels[-2], READ[1], sides[1], HIDDEN[1])
        self.w = nn.Linear(HIDDEN[0], w_dim)
        self.ranks = nn.Linear(sum(HIDDEN), (num_ws - 1) * RANK)
        self.offsets = nn.Parameter(torch.zeros(num_ws - 1, RANK, w_dim))

    def rows(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """What is read from pictures [N, 3, size, size]: [N, HIDDEN] of the top and of the level below."""
        x, levels = pictures, list[Tensor]()
        for level in self.pyramid:
            x = level(x)
            levels.append(x)
        return self.top(levels[-1]), self.below(levels[-2])

    def codes(self, top: Tensor, below: Tensor) -> Tensor:
        """Codes [N, num_ws, w_dim] of what `rows` gives."""
        w = self.w(top)[:, None]
        ranks = self.ranks(torch.cat([top, below], 1)).unflatten(1, (self.num_ws - 1, RANK))
        return torch.cat([w, w + torch.einsum("nlr,lrd->nld", ranks, self.offsets)], 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Codes [N, num_ws, w_dim] of pictures [N, 3, size, size] in [-1, 1], as offsets from w_avg: the
        first row is w - w_avg, the others add the offset of their layer to it."""
        return self.codes(*self.rows(pictures))
