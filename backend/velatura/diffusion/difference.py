"""The places where two prompts denoise a picture differently (Couairon et al. 2023, DiffEdit, section 3.2,
step 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .condition import Condition, cat
from .denoiser import denoise
from .network import Network

OUTLIERS = 3.0
"""Differences above this multiple of the mean are clipped, as in the published code. Otherwise a few outliers
would be the only selected places."""


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
    maximum; 0 everywhere if the prompts are the same.

    The difference of the predicted noises is that of the predicted pictures divided by sigma, so D is enough.

    Args:
        model: predicts the clean latents.
        z0: [1, C, h, w], the picture's latents.
        c, c_other: the two prompts, one row each.
        sigma: the noise level.
        noises: each [1, C, h, w].
        after_noise: called with i after pass i, from 1.
    """
    total = torch.zeros(z0.shape[-2:], device=z0.device)
    for i, n in enumerate(noises, 1):
        x = (z0 + sigma * n).expand(2, -1, -1, -1)
        D, D_other = denoise(model, x, sigma, cat([c, c_other]))
        total += (D - D_other).abs().mean(0)
        after_noise(i)
    cut = total.clamp(max=OUTLIERS * float(total.mean()))
    return cut / cut.amax().clamp(min=1e-12)
