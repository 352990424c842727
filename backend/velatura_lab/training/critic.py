"""How natural a decoded picture looks: to the judge's features, and to a critic that learns on them.

A decoder that is taught by the error of pixels alone averages over all that a latent may mean, which is soft.
The features of a network that reads pictures tell what such an average lacks (Johnson et al. 2016), and a
critic on the same features learns to tell decoded pictures from drawn ones (Sauer et al. 2021, "Projected
GANs").
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from velatura_lab.readers.judge import BUNDLE, CHANNELS, load_judge

LEVELS = 3  # of the judge's convolutions, at 1/2, 1/4 and 1/8 of the picture


class Features(nn.Module):
    """Pictures (N, 3, s, s) in -1..1 -> features of the judge that ships at each of LEVELS resolutions.

    (N, 32, s / 2, s / 2), (N, 64, s / 4, s / 4) and (N, 128, s / 8, s / 8).
    """

    def __init__(self) -> None:
        super().__init__()
        layers = load_judge(BUNDLE).body
        self.levels = nn.ModuleList(layers[3 * i : 3 * i + 3] for i in range(LEVELS))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        found = []
        for level in self.levels:
            images = level(images)
            found.append(images)
        return found


class Critic(nn.Module):
    """Features of pictures -> how much each place looks drawn rather than decoded, a map for each level."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            spectral_norm(nn.Conv2d(channels, 1, 3, padding=1)) for channels in CHANNELS[:LEVELS]
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        return [head(level) for head, level in zip(self.heads, features, strict=True)]


class Reversed(torch.autograd.Function):
    """The identity, with gradients turned round and scaled (Ganin & Lempitsky 2015).

    The network before it learns to raise the loss that the network after it learns to lower: decoder and
    critic have one loss and one optimiser.
    """

    @staticmethod
    def forward(ctx, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * gradient, None


def perceptual_loss(decoded: list[Tensor], drawn: list[Tensor]) -> Tensor:
    """Mean absolute difference of features, relative to their size, averaged over the levels."""
    parts = [
        (a.float() - b.float()).abs().mean() / b.float().abs().mean()
        for a, b in zip(decoded, drawn, strict=True)
    ]
    return torch.stack(parts).mean()


def hinge_loss(critic: Critic, decoded: list[Tensor], drawn: list[Tensor], scale: float) -> Tensor:
    """The critic's hinge loss (Lim & Ye 2017); decoded pictures get its gradient reversed.

    scale: weight of that gradient, relative to the critic's own.
    """
    false = critic([Reversed.apply(level, scale) for level in decoded])
    true = critic(drawn)
    parts = [F.relu(1.0 + a).mean() + F.relu(1.0 - b).mean() for a, b in zip(false, true, strict=True)]
    return torch.stack(parts).mean().float()
