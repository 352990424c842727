"""Blending in the latent space (Avrahami et al. 2023, algorithm 1 and section 4.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SHRINKING_KERNELS = (7, 5, 3, 1)
"""Sides of the dilation kernels in latent pixels, each for a quarter of the steps (appendix C). 1: no
dilation."""


def blend(z_fg: Tensor, z_bg: Tensor, m: Tensor) -> Tensor:
    """z_fg m + z_bg (1 - m), the last line of algorithm 1's loop. Exactly z_bg where m is 0, even where z_fg
    is not finite. z_fg, z_bg: [N, C, h, w]. m: [1, 1, h, w] in [0, 1]."""
    return torch.where(m == 0, z_bg, z_fg * m + z_bg * (1.0 - m))


def scribbled(image: Tensor, strokes: Tensor, m: Tensor) -> Tensor:
    """The picture with strokes over it inside the selection (section 5.3), [1, 3, H, W] in [-1, 1].

    Args:
        image: [1, 3, H, W] in [-1, 1].
        strokes: [1, 4, H, W], colours in [-1, 1] and alpha. Transparent colours are over one backdrop, as
            `velatura.canvas.rasters` gives a picture; it is read where alpha is least, and taken out.
        m: the selection, [1, 1, H, W].
    """
    colours, alpha = strokes[:, :3], strokes[:, 3:]
    least = alpha.flatten().argmin()
    backdrop = colours.flatten(2)[..., least][..., None, None]
    over = colours + (1.0 - alpha) * (image - backdrop)
    return torch.where((m > 0.0) & (alpha > 0.0), over.clamp(-1.0, 1.0), image)


def latent_mask(m: Tensor, size: tuple[int, int]) -> Tensor:
    """m_latent: the mask [1, 1, H, W] reduced to the latent's size (h, w), the maximum of each cell.

    The paper resamples to a binary mask, in which lines thinner than a cell can vanish. The maximum keeps
    them, and keeps the values of a soft mask. A cell may cover too much; the excess is cut at the pixel
    level, where the selection itself is the layer's alpha. The largest value becomes 1: a half-transparent
    selection means the whole edit, composited with half the opacity, and not half an edit. A mask of zeros
    stays one.
    """
    cells = F.adaptive_max_pool2d(m, size)
    return cells / cells.amax().clamp(min=torch.finfo(cells.dtype).tiny)


def free_cells(m: Tensor, size: tuple[int, int]) -> Tensor:
    """The cells of the latents that are at least half selected, bool [1, 1, h, w], for methods that need a
    line between new and old. A soft edge is then in the layer's alpha alone. m, size: as in `latent_mask`."""
    return latent_mask(m, size) >= 0.5


def shrinking_masks(m: Tensor, n: int, progressive: bool) -> list[Tensor]:
    """The mask of each of n steps (section 4.3): dilated at first, the mask itself in the last quarter.

    m: [1, 1, h, w]. progressive: if not, every step has the mask itself. The published kernels are for
    latents of 32 or more a side; for smaller ones they shrink in proportion, so that the first does not cover
    the whole picture.
    """
    if not progressive:
        return [m] * n
    quarters = [dilate(m, kernel) for kernel in _kernels(min(m.shape[-2:]))]
    return [quarters[-(-4 * (i + 1) // n) - 1] for i in range(n)]  # the last step always has the mask itself


def dilate(m: Tensor, kernel: int) -> Tensor:
    """Grey-scale dilation by a square of ones with an odd side."""
    return F.max_pool2d(m, kernel, stride=1, padding=kernel // 2)


def _kernels(side: int) -> list[int]:
    shrink = min(1.0, side / 32.0)
    return [2 * round((kernel // 2) * shrink) + 1 for kernel in SHRINKING_KERNELS]
