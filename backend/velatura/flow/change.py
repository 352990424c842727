"""The visible difference between an edited picture and the layer; elsewhere the layer's own pixels stay.

An edit without a selection leaves faint traces everywhere, too small to see but large enough to change a
file. Where the difference is invisible, the edit is replaced by the autoencoder's reconstruction of the
layer, and there the layer comes back bit for bit (`velatura.canvas.detail`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.pixels import srgb

SEEN = 1.0
"""The largest mean difference in CIE 1976 Lab, over a small window, that counts as invisible. For plain
patches beside each other the just noticeable difference is 2.3 (Mahy et al. 1994); wrinkles are thin and need
less."""
CERTAIN = 2.3
"""The difference from which on a change is fully visible."""
_RESTLESS = 1.25
"""How far above its calmest quarter a model's own restlessness lies in places."""
_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_WHITE = (0.95047, 1.0, 1.08883)  # D65


def kept(edited: Tensor, reconstruction: Tensor, reach: int, own: float = 0.0) -> Tensor:
    """The edited pictures, with the reconstruction wherever the change is invisible: [N, 3, h, w].

    Args:
        edited: [N, 3, h, w] in [-1, 1].
        reconstruction: D(E(x)) of the unedited picture, [1, 3, h, w] in [-1, 1].
        reach: pixels over which a visible change fades out.
        own: see `change`.
    """
    weight = change(edited, reconstruction, reach, own)
    return torch.where(weight == 0.0, reconstruction, reconstruction + weight * (edited - reconstruction))


def change(edited: Tensor, reconstruction: Tensor, reach: int, own: float = 0.0) -> Tensor:
    """The visibility of the change, [N, 1, h, w] in [0, 1]: 0 below `SEEN`, 1 from `CERTAIN` on, fading out
    over `reach` pixels around it.

    Args:
        edited, reconstruction, reach: see `kept`.
        own: for a model that paints the whole picture anew, the most of a difference that counts as its own
            restlessness. That is measured as the spread of the differences within a window, in the calmest
            quarter of each picture; a new colour of a whole picture has none. Both limits rise by it.
    """
    delta = lab(edited) - lab(reconstruction)
    window = 2 * reach + 1

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, window, 1, reach, count_include_pad=False)

    difference = mean(delta.square().sum(1, keepdim=True).sqrt())
    if own:
        spread = mean((delta - mean(delta)).square().sum(1, keepdim=True).sqrt()).flatten(1)
        calm = spread.kthvalue(max(1, spread.shape[1] // 4), 1).values.view(-1, 1, 1, 1)
        difference = difference - (_RESTLESS * calm).clamp(max=own)
    seen = ((difference - SEEN) / (CERTAIN - SEEN)).clamp(0.0, 1.0)
    near = F.max_pool2d(seen, window, 1, reach)
    return F.avg_pool2d(near, window, 1, reach, count_include_pad=False)


def lab(picture: Tensor) -> Tensor:
    """CIE 1976 L*, a*, b* of sRGB in [-1, 1] (IEC 61966-2-1, D65), each [N, 3, h, w]."""
    rgb = ((picture + 1.0) / 2.0).clamp(0.0, 1.0)
    linear = srgb.decode(rgb, torch)
    matrix = linear.new_tensor(_XYZ) / linear.new_tensor(_WHITE)[:, None]
    ratio = torch.einsum("ij,njhw->nihw", matrix, linear)
    f = torch.where(
        ratio > (6 / 29) ** 3, ratio.clamp(min=1e-6) ** (1 / 3), ratio / (3 * (6 / 29) ** 2) + 4 / 29
    )
    x, y, z = f.unbind(1)
    return torch.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], 1)
