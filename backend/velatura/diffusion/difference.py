"""Where two prompts would denoise a picture differently (Couairon et al. 2023, DiffEdit, section 3.2, step
1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .condition import Condition, cat
from .denoiser import denoise
from .network import Network

OUTLIERS = 3.0
"""Multiples of the mean difference above which it is cut, as in the published code: single places would else
be the only ones."""


def difference(
    model: Network,
    z0: Tensor,
    c: Condition,
    c_other: Condition,
    sigma: float,
    noises: Sequence[Tensor],
    after_noise: Callable[[int], None],
) -> Tensor:
    """[h, w] in [0, 1]: the mean over noises and channels of |n_hat(c) - n_hat(c')|, cut and divided by its
    maximum; 0 everywhere where the prompts say the same.

    z0: [1, C, h, w]. c, c_other: of one row. noises: each [1, C, h, w]. The difference of predicted noises is
    that of the predicted pictures over sigma, so D serves. after_noise(i): pass i, from 1, is done."""
    total = torch.zeros(z0.shape[-2:], device=z0.device)
    for i, n in enumerate(noises, 1):
        x = (z0 + sigma * n).expand(2, -1, -1, -1)
        D, D_other = denoise(model, x, sigma, cat([c, c_other]))
        total += (D - D_other).abs().mean(0)
        after_noise(i)
    cut = total.clamp(max=OUTLIERS * float(total.mean()))
    return cut / cut.amax().clamp(min=1e-12)
