"""Perceptual and adversarial losses of decoded pictures, on the judge's features.

A decoder trained on pixel errors alone averages over all pictures that a latent may mean, which blurs.  The
features of a network that reads pictures show the missing detail (Johnson et al. 2016).  A critic on the same
features learns to tell decoded pictures from drawn ones (Sauer et al. 2021, "Projected GANs").
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from velatura.companions.convolutions import CHANNELS
from velatura_lab.readers.judge import BUNDLE, load_judge

LEVELS = 3  # convolutions of the judge, at 1/2, 1/4 and 1/8 of the picture's side


class Features(nn.Module):
    """Pictures (N, 3, s, s) in -1..1 -> features of the package's judge at LEVELS resolutions.

    (N, 32, s / 2, s / 2), (N, 64, s / 4, s / 4) and (N, 128, s / 8, s / 8).
    """

    def __init__(self) -> None:
        super().__init__()
        layers = load_judge(BUNDLE).body
        self.levels = nn.ModuleList(layers[3 * i : 3 * i + 3] for i in range(LEVELS))
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        for level in self.levels:
            images = level(images)
            features.append(images)
        return features


class Critic(nn.Module):
    """Features of pictures -> for each level a map (N, 1, h, w), positive where a place looks drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            spectral_norm(nn.Conv2d(channels, 1, 3, padding=1)) for channels in CHANNELS[:LEVELS]
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        return [head(level) for head, level in zip(self.heads, features, strict=True)]


class Reversed(torch.autograd.Function):
    """The identity with a reversed, scaled gradient (Ganin & Lempitsky 2015).

    The decoder before it learns to raise the loss that the critic after it learns to lower, with one loss and
    one optimiser for both.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return -ctx.scale * gradient, None


def perceptual_loss(decoded: list[Tensor], drawn: list[Tensor]) -> Tensor:
    """Mean absolute difference of features, relative to their size, averaged over the levels."""
    parts = [
        (a.float() - b.float()).abs().mean() / b.float().abs().mean()
        for a, b in zip(decoded, drawn, strict=True)
    ]
    return torch.stack(parts).mean()


def hinge_loss(critic: Critic, decoded: list[Tensor], drawn: list[Tensor], scale: float) -> Tensor:
    """The critic's hinge loss (Lim & Ye 2017), with a reversed gradient for decoded pictures.

    `scale` is the weight of that gradient, relative to the critic's own.
    """
    false = critic([Reversed.apply(level, scale) for level in decoded])
    true = critic(drawn)
    parts = [F.relu(1.0 + a).mean() + F.relu(1.0 - b).mean() for a, b in zip(false, true, strict=True)]
    return torch.stack(parts).mean().float()
