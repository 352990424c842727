"""Prompt-to-Prompt's attention with its maps built, as published code has it: what `velatura bench words`
compares with. Rows as in `velatura.words.edit`: source, conditional, first; target, conditional, last."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from velatura.attention.hold import Attend
from velatura.attention.places import Place, level
from velatura.words.control import Control


def explicit(control: Control, i: int, B: int, latent: tuple[int, int]) -> Attend:
    """Attention of step i, B variations. latent: (h, w)."""

    def attend(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        M = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        of_source, of_target = M[:B], M[len(M) - B :]
        if place.kind == "cross":
            alpha = control.alpha[i].to(M)
            edited = alpha * (of_source @ control.A.to(M)) + (1.0 - alpha) * of_target
            of_target.copy_(edited * control.weights.to(M))
        elif control.takes_self(i) and 0.25 ** level(latent, q.shape[-2]) <= control.self_share:
            of_target.copy_(of_source)
        return M @ v

    return attend


def rows_of(
    x_s: Tensor, x_t: Tensor, source: Tensor, target: Tensor, negative: Tensor
) -> tuple[Tensor, Tensor]:
    """The batch of one step, [4 B, C, h, w] and [4 B, L, d]."""
    B = len(x_s)
    c = torch.cat([row.expand(B, -1, -1) for row in (source, negative, negative, target)])
    return torch.cat([x_s, x_s, x_t, x_t]), c
