"""Prompt-to-Prompt's attention with its maps built, as published code has it: what `velatura bench words`
compares with. Rows as in `velatura.words.edit`: source, conditional, first; target, conditional, last."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from velatura.attention.hold import Attend
from velatura.attention.places import Place, level
from velatura.words.control import Control


class Explicit:
    """Attention of B variations at latents (h, w). like: a tensor on the network's device, of its dtype."""

    def __init__(self, control: Control, B: int, latent: tuple[int, int], like: Tensor) -> None:
        self.control, self.B, self.latent = control, B, latent
        self.A, self.alpha, self.c = (x.to(like) for x in (control.A, control.alpha, control.weights))

    def step(self, i: int) -> Attend:
        """Attention of step i."""

        def attend(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            M = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
            of_source, of_target = M[: self.B], M[-self.B :]
            if place.kind == "cross":
                alpha = self.alpha[i]
                edited = alpha * (of_source @ self.A) + (1.0 - alpha) * of_target
                of_target.copy_(edited * self.c)
            elif self._injects(i, q.shape[-2]):
                of_target.copy_(of_source)
            return M @ v

        return attend

    def _injects(self, i: int, places: int) -> bool:
        share = 0.25 ** level(self.latent, places)
        return self.control.takes_self(i) and share <= self.control.self_share


def rows_of(
    x_s: Tensor, x_t: Tensor, source: Tensor, target: Tensor, negative: Tensor
) -> tuple[Tensor, Tensor]:
    """The batch of one step, [4 B, C, h, w] and [4 B, L, d]."""
    B = len(x_s)
    c = torch.cat([row.expand(B, -1, -1) for row in (source, negative, negative, target)])
    return torch.cat([x_s, x_s, x_t, x_t]), c
