"""Prompt-to-Prompt's attention with maps that are built, as in published code, for `velatura bench words`.

Rows as in `velatura.prompt_to_prompt.edit`: the conditional source first, the conditional target last.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from velatura.attention.places import Attend, Place, halved, map_level
from velatura.diffusion.condition import Condition, cat
from velatura.models.families.sd import StableDiffusion
from velatura.prompt_to_prompt.control import LIMIT, Control
from velatura.prompt_to_prompt.local import LocalBlend, MapSums


class Explicit:
    """Attention of B variations at latents (h, w), which sums the maps of local blend's words. It does what
    `prompt_to_prompt.attending.Attending` does, but injects no values of self-attention."""

    def __init__(
        self, model: StableDiffusion, control: Control, local: LocalBlend, B: int, latent: tuple[int, int]
    ) -> None:
        self.control, self.B = control, B
        self.map_level = map_level(model.latent_size, model.attention_levels)
        self.sums = MapSums(*(halved(side, self.map_level) for side in latent))
        tensors = control.A, control.alpha, control.weights, *local.words
        self.A, self.alpha, self.c, self.source, self.target = (
            x.to(model.device, model.dtype) for x in tensors
        )

    def step(self, i: int) -> Attend:
        """Attention of step i."""

        def attend(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            M = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
            M_s, M_t = M[: self.B], M[-self.B :]
            at = place.level
            if place.kind == "cross":
                alpha = self.alpha[i]
                edited = alpha * (M_s @ self.A) + (1.0 - alpha) * M_t
                if at == self.map_level:
                    self.sums.add(torch.cat([edited @ self.target, M_s @ self.source], -1))
                M_t.copy_(self._weighed(edited))
            elif self.control.takes_self(i) and 0.25**at <= self.control.self_share:
                M_t.copy_(M_s)
            return M @ v

        return attend

    def _weighed(self, edited: Tensor) -> Tensor:
        """Maps with the words' weights, renormalised if `control` says so."""
        weighed = edited * self.c
        if self.control.weighs and self.control.renormalise:
            whole, rest = edited.sum(-1, keepdim=True), (edited * self.c.abs()).sum(-1, keepdim=True)
            weighed *= (whole.float() / rest.float()).nan_to_num(nan=0.0).clamp(max=LIMIT)
        return weighed


def rows_of(
    x_s: Tensor, x_t: Tensor, source: Condition, target: Condition, negative: Condition
) -> tuple[Tensor, Condition]:
    """The batch of one step, [4 B, C, h, w], and its condition of 4 B rows."""
    B = len(x_s)
    c = cat([row.expand(B) for row in (source, negative, negative, target)])
    return torch.cat([x_s, x_s, x_t, x_t]), c
