"""Blending in the latent space (Avrahami et al. 2023, algorithm 1 and section 4.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SHRINKING_KERNELS = (7, 5, 3, 1)
"""Sides of the dilation kernels, in latent pixels, a quarter of the steps each (appendix C); 1: the mask."""


def blend(z_fg: Tensor, z_bg: Tensor, m: Tensor) -> Tensor:
    """z_fg m + z_bg (1 - m), the last line of algorithm 1's loop. Exactly z_bg where m is 0, even where z_fg
    is not finite. z: [N, C, h, w]. m: [1, 1, h, w] in [0, 1]."""
    return torch.where(m == 0, z_bg, z_fg * m + z_bg * (1.0 - m))


def latent_mask(m: Tensor, size: tuple[int, int]) -> Tensor:
    """m_latent: the mask [1, 1, H, W] brought to the latent's size, the most selected pixel of each cell.

    The paper resamples to a binary mask, in which lines thinner than a cell can vanish. Any coverage keeps
    them, and keeps a soft mask's own values; what a cell covers too much is cut at the pixel level, where the
    selection itself is the layer's alpha. The most selected cell is 1: half a selection asks for the same
    edit, laid over the source half as thick, and not for half an edit.
    """
    cells = F.adaptive_max_pool2d(m, size)
    return cells / cells.amax()


def shrinking_masks(m: Tensor, n: int, progressive: bool) -> list[Tensor]:
    """The mask of each of n steps (section 4.3): dilated at first, in the last quarter the mask itself.

    The published kernels are for latents of 32 and more; in smaller ones they are narrowed in proportion, so
    that the first does not cover the whole picture.
    """
    if not progressive:
        return [m] * n
    quarters = [dilate(m, kernel) for kernel in _kernels(min(m.shape[-2:]))]
    return [quarters[-(-4 * (i + 1) // n) - 1] for i in range(n)]  # the last step is always of the mask


def dilate(m: Tensor, kernel: int) -> Tensor:
    """Grey-scale dilation by a square of ones with an odd side."""
    return F.max_pool2d(m, kernel, stride=1, padding=kernel // 2)


def _kernels(side: int) -> list[int]:
    shrink = min(1.0, side / 32.0)
    return [2 * round((kernel // 2) * shrink) + 1 for kernel in SHRINKING_KERNELS]
