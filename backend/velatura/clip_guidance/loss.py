"""Losses of pictures: their distance from words as CLIP sees it, from the source, and from valid colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura_protocol.errors import VelaturaError

from .augment import Views


class Encoder(Protocol):
    """The parts of a CLIP that losses need; see `velatura.companions.clip`."""

    @property
    def side(self) -> int:
        """The side of the pictures that it sees, in pixels."""
        ...

    def images(self, pictures: Tensor) -> Tensor:
        """Unit vectors [N, d] of pictures [N, 3, h, w] in [0, 1], differentiable."""
        ...

    def layers(self, pictures: Tensor) -> list[Tensor]:
        """The features [N, L, d] of pictures [N, 3, h, w] in [0, 1] at each layer, differentiable."""
        ...

    def text(self, sentence: str) -> Tensor | None:
        """The unit vector [d] of a sentence; None for one that it does not read to its end."""
        ...


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 - cos of the angle between unit vectors [..., d] and [d], in [0, 2] (D_CLIP of Avrahami et al.)."""
    return 1.0 - a @ b


def spherical_distance(a: Tensor, b: Tensor) -> Tensor:
    """2 arcsin^2(|a - b| / 2) of unit vectors [..., d] and [d]: half the square of the angle between them, in
    [0, pi^2 / 2]. It is the distance of the published code, where the paper has the cosine's."""
    half = ((a - b).norm(dim=-1) / 2.0).clamp(max=1.0 - 1e-6)  # the slope of arcsin at 1 is infinite
    return 2.0 * half.arcsin() ** 2


Distance = Callable[[Tensor, Tensor], Tensor]


def wanted(encoder: Encoder, prompt: str, name: str = "The prompt") -> Tensor:
    """CLIP's vector [d] of a text. Raises `prompt-too-long`.

    name: of the text for the person; it begins a sentence.
    """
    vector = encoder.text(prompt)
    if vector is None:
        raise VelaturaError("prompt-too-long", f"{name} is too long for this model's CLIP; shorten it.")
    return vector


@dataclass(frozen=True)
class ClipLoss:
    """The distance of pictures from a text, as the mean over their views.

    Args:
        encoder: CLIP.
        text: CLIP's vector of the text, [d] (`wanted`).
        views: CLIP sees these of a picture.
        mask: [1, 1, h, w] in [0, 1]; CLIP sees the picture times the mask, in which everything else is grey;
            None: all of it.
        distance: of unit vectors.
    """

    encoder: Encoder
    text: Tensor
    views: Views
    mask: Tensor | None = None
    distance: Distance = cosine_distance

    def __call__(self, pictures: Tensor, random: Sequence[torch.Generator]) -> Tensor:
        """[N], one a picture, differentiable.

        Args:
            pictures: [N, 3, h, w], about in [-1, 1].
            random: one generator a picture, for its views.
        """
        seen = pictures if self.mask is None else pictures * self.mask
        views = self.views((seen + 1.0) / 2.0, random)
        vectors = self.encoder.images(views.flatten(0, 1)).unflatten(0, views.shape[:2])
        return self.distance(vectors, self.text).mean(1)


def range_loss(pictures: Tensor) -> Tensor:
    """[N], the mean square of the excess over [-1, 1] of pictures [N, ...]."""
    return (pictures - pictures.clamp(-1.0, 1.0)).square().flatten(1).mean(1)


def background_loss(pictures: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """[N], the mean square difference outside the mask (Avrahami et al. 2022, the MSE of D_bg).

    Args:
        pictures: [N, 3, h, w].
        source: [1, 3, h, w].
        mask: [1, 1, h, w] in [0, 1], 1 inside.
    """
    return ((pictures - source) * (1.0 - mask)).square().flatten(1).mean(1)


@dataclass(frozen=True)
class Perceived:
    """The perceptual part of the loss outside the mask, with CLIP's features in place of LPIPS's.

    LPIPS (Zhang et al. 2018, eq. 1) compares unit features of a VGG at each place and layer, weighted by what
    people said. No VGG comes with a model, but a CLIP does: here all its layers count alike.

    Args:
        encoder: CLIP.
        source: [1, 3, h, w] in [-1, 1].
        mask: [1, 1, h, w] in [0, 1], 1 inside.
    """

    encoder: Encoder
    source: Tensor
    mask: Tensor

    def __call__(self, pictures: Tensor) -> Tensor:
        """[N], of pictures [N, 3, h, w]."""
        outside = 1.0 - self.mask
        seen = torch.cat([self.source * outside, pictures * outside])
        layers = self.encoder.layers((seen + 1.0) / 2.0)
        total = torch.zeros(len(pictures), device=pictures.device)
        for layer in layers:
            unit = F.normalize(layer, dim=-1)
            total = total + (unit[1:] - unit[:1]).square().sum(-1).mean(-1)
        return total / len(layers)
