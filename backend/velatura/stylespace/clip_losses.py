"""The losses of StyleCLIP (Patashnik et al. 2021, arXiv:2103.17249, equations 1, 2 and 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from velatura.clip_guidance.augment import Views, warps
from velatura.clip_guidance.loss import ClipLoss, Encoder, cosine_distance


class Recogniser(Protocol):
    """R: tells people apart. See `velatura.companions.identity`; a CLIP serves too, less well."""

    def images(self, pictures: Tensor) -> Tensor:
        """Unit vectors [N, d] of pictures [N, 3, h, w] in [0, 1], differentiable."""
        ...


def area(side: int) -> Views:
    """The whole picture at this side, each pixel the mean of the area that it covers, as its only view.

    Published code enlarges each pixel 7 times and takes means of s / 32 pixels, which is this for a picture
    of side s and a CLIP of side 224. Here it holds for all sides, and nothing is enlarged on the way.
    """

    def views(x: Tensor, random: Sequence[torch.Generator]) -> Tensor:
        rows, columns = (_means(n, side).to(x) for n in x.shape[-2:])
        return (rows @ x @ columns.T)[:, None]

    return views


def _means(n: int, side: int) -> Tensor:
    """[side, n]: row i has the shares of n pixels in the i-th of `side` equal parts of their line."""
    edges = torch.arange(side + 1, dtype=torch.float64) * n / side
    pixels = torch.arange(n, dtype=torch.float64)
    end = torch.minimum(edges[1:, None], pixels + 1.0)
    start = torch.maximum(edges[:-1, None], pixels)
    return (end - start).clamp(min=0.0) * (side / n)


def looks(n: int, side: int) -> Views:
    """`area`'s view, and n - 1 warped copies of it."""
    whole = area(side)
    if n == 1:
        return whole
    warped = warps(n, side)
    return lambda x, random: warped(whole(x, random)[:, 0], random)


def d_clip(encoder: Encoder, text: Tensor, views: int = 1) -> ClipLoss:
    """D_CLIP: 1 - cos of the vectors of picture and text (section 4).

    Unlike the published code it gives CLIP pictures with the means and deviations that CLIP was trained on.

    Args:
        encoder: CLIP.
        text: CLIP's vector of the text, [d] (`velatura.clip_guidance.loss.wanted`).
        views: 1, as published, or more: a change that convinces CLIP in several views is less often a
            pattern that only CLIP sees.
    """
    with torch.inference_mode(False):  # a tensor made in inference mode cannot take part in a gradient
        text = text.clone()
    return ClipLoss(encoder, text, looks(views, encoder.side), distance=cosine_distance)


@dataclass(frozen=True)
class IdentityLoss:
    """L_ID(w) = 1 - <R(G(w_s)), R(G(w))> (eq. 2).

    Args:
        recogniser: R.
        source: R(G(w_s)), unit vectors [N, d]; see `of`.
    """

    recogniser: Recogniser
    source: Tensor

    @classmethod
    def of(cls, recogniser: Recogniser, pictures: Tensor) -> IdentityLoss:
        """The loss of edits of these pictures G(w_s), [N, 3, s, s] in about [-1, 1]."""
        with torch.no_grad():
            return cls(recogniser, recogniser.images(_shown(pictures)))

    def __call__(self, pictures: Tensor) -> Tensor:
        """[N], of edited pictures [N, 3, s, s] in about [-1, 1], one for each source."""
        return 1.0 - (self.source * self.recogniser.images(_shown(pictures))).sum(-1)


def _shown(pictures: Tensor) -> Tensor:
    return (pictures + 1.0) / 2.0
