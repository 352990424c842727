"""Differential diffusion: a map says for each place how much it may change (Levin & Fried 2025,
arXiv:2306.00950, algorithm 1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def change_map(amount: Tensor, size: tuple[int, int]) -> Tensor:
    """The paper's map mu at the latents' size, [1, 1, h, w] in [0, 1]: 1 keeps, 0 changes most.

    A cell has the amount of its most changing pixel, so that thin lines survive.

    Args:
        amount: how much each pixel may change, [1, 1, H, W] in [0, 1].
        size: (h, w).
    """
    return 1.0 - F.adaptive_max_pool2d(amount, size)


def kept(mu: Tensor, i: int, n: int) -> Tensor:
    """Where the latents before step i of n, from 0, are the noised source: mu > i/n, bool as mu.

    After the last step, i = n, only the places of mu = 1 are. The paper's loop ends before it and gives those
    places a last step of the network, which changes them a little.
    """
    return mu > i / n if i < n else mu >= 1.0


def hold(x: Tensor, noised: Tensor, mu: Tensor, i: int, n: int) -> Tensor:
    """The latents before step i of n: the noised source where it is kept, else x. x, noised: [N, C, h, w]."""
    return noised.where(kept(mu, i, n), x)
