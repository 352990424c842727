"""A segmentation branch: the parts of a generated picture, read from the features that made it.

Zhang et al. 2021, DatasetGAN, and Ling et al. 2021, EditGAN (section 3.1), classify each pixel by the
features of all blocks, upsampled to the picture's size and stacked. Their stack has thousands of channels at
the full size; here each block is projected to a few channels first, and they are summed from small to large,
which costs a hundredth. Convolutions of the picture give the outlines that small features cannot have.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2  # of leaky ReLU for negative values


def _resized(x: Tensor, size: torch.Size) -> Tensor:
    """x [N, C, h, w] at another size, bilinear."""
    return x if x.shape[-2:] == size else F.interpolate(x, size, mode="bilinear", align_corners=False)


class Segmentation(nn.Module):
    """Logits of the parts, from the features of a synthesis and its picture. Differentiable to both.

    Args:
        channels: of the synthesis' blocks, the smallest block first.
        classes: K, the number of parts.
        width: channels of the sum of the features; half as many are carried at the picture's size.
    """

    def __init__(self, channels: Sequence[int], classes: int, width: int = 32) -> None:
        super().__init__()
        fine = max(width // 2, 1)
        self.channels = tuple(channels)
        self.projections = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.coarse = nn.Conv2d(width, width, 3, padding=1)
        self.narrow = nn.Conv2d(width, fine, 1)
        self.picture = nn.Conv2d(3, fine, 3, padding=1)
        self.outlines = nn.Conv2d(fine, fine, 3, padding=2, dilation=2)
        self.joined = nn.Conv2d(2 * fine, width, 3, padding=1)
        self.logits = nn.Conv2d(width, classes, 1)

    def forward(self, features: list[Tensor], pictures: Tensor) -> Tensor:
        """Logits [N, K, s, s] of features [N, C_b, s_b, s_b] a block, and pictures [N, 3, s, s] in [-1, 1].

        Raises ValueError for another number of blocks.
        """
        if len(features) != len(self.projections):
            raise ValueError(f"{len(features)} blocks of features, not {len(self.projections)}")
        total: Tensor | None = None
        for projection, x in zip(self.projections, features, strict=True):
            y = projection(x.to(pictures.dtype))
            total = y if total is None else y + _resized(total, y.shape[-2:])
        assert total is not None
        coarse = F.leaky_relu(total + self.coarse(F.leaky_relu(total, SLOPE)), SLOPE)
        coarse = _resized(self.narrow(coarse), pictures.shape[-2:])
        fine = F.leaky_relu(self.picture(pictures), SLOPE)
        fine = F.leaky_relu(fine + self.outlines(fine), SLOPE)
        joined: Tensor = self.joined(F.leaky_relu(torch.cat([coarse, fine], 1), SLOPE))
        logits: Tensor = self.logits(F.leaky_relu(joined, SLOPE))
        return logits
