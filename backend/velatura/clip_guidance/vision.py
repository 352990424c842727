"""What CLIP's vision transformer holds inside: its tokens, and where it looks when it reads a text."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .loss import Encoder


class Transparent(Encoder, Protocol):
    """A CLIP whose attention can be seen; see `velatura.companions.clip`."""

    def attentions(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Unit vectors [N, d] of pictures [N, 3, h, w] in [0, 1], and the attentions [N, heads, t, t] of the
        vision tower's blocks, which the vectors can be differentiated by."""
        ...


def self_similarity(encoder: Encoder, pictures: Tensor) -> Tensor:
    """Cosines of all pairs of tokens of a picture at the input of the last block, [N, t, t], differentiable.

    It describes the layout of a picture without its colours (Bar-Tal et al. 2022, section 3.1, the structure
    loss; the class's token is one of the t tokens, as in the published code).

    pictures: [N, 3, h, w] in [0, 1].
    """
    unit = F.normalize(encoder.layers(pictures)[-2], dim=-1)
    return unit @ unit.transpose(1, 2)


def relevancy(encoder: Transparent, picture: Tensor, text: Tensor) -> Tensor:
    """Where CLIP looks when it compares a picture with a text, [1, 1, h, w] in [0, 1].

    Chefer et al. 2021, Generic Attention-model Explainability, eq. 5 and 6: R <- R + mean over heads of
    (grad A * A)^+ R, from R = I, over the blocks' attentions A, with the gradients of the cosine; the map is
    the class token's row of R, scaled to [0, 1].

    Args:
        encoder: CLIP.
        picture: [1, 3, h, w] in [0, 1].
        text: [d], CLIP's vector.
    """
    with torch.enable_grad():
        vectors, attentions = encoder.attentions(picture)
        gradients = torch.autograd.grad((vectors @ text).sum(), attentions)
    t = attentions[0].shape[-1]
    rollout = torch.eye(t, device=picture.device)  # R
    for A, gradient in zip(attentions, gradients, strict=True):
        rollout = rollout + (gradient * A.detach()).float().clamp(min=0.0).mean(1)[0] @ rollout
    side = round((t - 1) ** 0.5)
    places = rollout[0, 1:].view(1, 1, side, side)
    map = F.interpolate(places, picture.shape[-2:], mode="bilinear")
    low, high = map.min(), map.max()
    return (map - low) / (high - low).clamp(min=1e-12)
