"""Prompt-to-Prompt with its maps built, written plainly from the paper (Hertz et al. 2022, algorithm 1).

Nothing of the project's attention is used: every map is a softmax that can be printed, and a branch is a row
of a dictionary. Slow, and meant to be compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel


@dataclass
class Edit:
    """What the reference is asked to do. Names as in `velatura.prompt_to_prompt.control.Control`, but every
    window is a number of steps, `cross` one for each of the target's tokens (0: its own map from the first
    step)."""

    A: torch.Tensor
    cross: torch.Tensor
    weights: torch.Tensor
    renormalise: bool = False
    self_steps: int = 0
    self_share: float = 0.25
    value_steps: int = 0
    value_share: float = 0.0
    blend: dict | None = None  # source, target, keep_source, keep_target: token lists; k, start, grid
    sums: dict = field(default_factory=dict)


class Explicit:
    """An attention processor that builds the maps of the rows in `order` and edits those of the target."""

    def __init__(self, edit: Edit, step: int, order: list[str], latent: tuple[int, int], cross: bool):
        self.edit, self.step, self.order, self.latent, self.cross = edit, step, order, latent, cross

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **_):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        rows, length, _ = hidden_states.shape
        B, heads = rows // len(self.order), attn.heads

        def split(x):
            return x.reshape(rows, -1, heads, x.shape[-1] // heads).permute(0, 2, 1, 3)

        q, k, v = split(attn.to_q(hidden_states)), split(attn.to_k(context)), split(attn.to_v(context))
        M = torch.softmax(torch.einsum("bhqd,bhkd->bhqk", q, k) / math.sqrt(q.shape[-1]), dim=-1)
        s = slice(self.order.index("source") * B, (self.order.index("source") + 1) * B)
        t = slice(self.order.index("target") * B, (self.order.index("target") + 1) * B)
        M, v = M.clone(), v.clone()
        if self.cross:
            self._edit_cross(M, s, t, length)
        elif length <= self.edit.self_share * 4 * math.ceil(self.latent[0] / 2) * math.ceil(
            self.latent[1] / 2
        ):
            if self.step < self.edit.self_steps:
                M[t] = M[s]
            if self.step < self.edit.value_steps:
                v[t] = (1 - self.edit.value_share) * v[t] + self.edit.value_share * v[s]
        out = torch.einsum("bhqk,bhkd->bhqd", M, v).permute(0, 2, 1, 3).reshape(rows, length, -1)
        return attn.to_out[0](out)

    def _edit_cross(self, M, s, t, length):
        edit = self.edit
        for j in range(M.shape[-1]):
            if self.step < edit.cross[j]:
                M[t, :, :, j] = sum(
                    edit.A[i, j] * M[s, :, :, i] for i in torch.nonzero(edit.A[:, j]).flatten().tolist()
                )
        if edit.blend is not None and edit.blend["grid"][0] * edit.blend["grid"][1] == length:
            for branch, rows in (("source", s), ("target", t)):
                for words in (branch, f"keep_{branch}"):
                    maps = M[rows][..., edit.blend[words]].sum(-1).mean(1)
                    edit.sums[words] = edit.sums.get(words, 0) + maps
        weighted = M[t] * edit.weights
        if edit.renormalise:
            before = M[t].sum(-1, keepdim=True)
            after = (M[t] * edit.weights.abs()).sum(-1, keepdim=True)
            weighted = weighted * before / torch.maximum(after, 0.1 * before)
        M[t] = weighted


def local_mask(edit: Edit, size: tuple[int, int]) -> torch.Tensor:
    """[B, 1, h, w] of True where the target may differ."""

    def above(words):
        maps = edit.sums[words].reshape(-1, 1, *edit.blend["grid"])
        maps = F.interpolate(F.max_pool2d(maps, 3, 1, 1), size)
        result = torch.zeros_like(maps, dtype=torch.bool)
        for b, one in enumerate(maps):
            if one.max() > 0:
                result[b] = one > edit.blend["k"] * one.max()
        return result

    changed = above("source") | above("target")
    return changed & ~(above("keep_source") | above("keep_target"))


@torch.no_grad()
def run(
    unet: UNet2DConditionModel,
    alphas: np.ndarray,
    times: list[int],
    x_T: torch.Tensor,
    source: torch.Tensor,
    target: torch.Tensor,
    negative: torch.Tensor,
    guidance: float,
    edit: Edit,
) -> tuple[torch.Tensor, torch.Tensor]:
    """DDIM from x_T [B, C, h, w] (of unit variance) at the training times given, epsilon-prediction: the
    clean latents of source and target. alphas: the cumulative ones, by training time."""
    latent, B = tuple(x_T.shape[-2:]), len(x_T)
    x_s, x_t = x_T.clone(), x_T.clone()
    order = ["source", "source uncond", "target uncond", "target"]
    edit.sums = {}
    before = unet.attn_processors
    try:
        for step, time in enumerate(times):
            unet.set_attn_processor({n: Explicit(edit, step, order, latent, ".attn2." in n) for n in before})
            x = torch.cat([x_s, x_s, x_t, x_t])
            c = torch.cat([row.expand(B, -1, -1) for row in (source, negative, negative, target)])
            e_s, e_su, e_tu, e_t = unet(x, time, c).sample.chunk(4)
            a = float(alphas[time])
            b = float(alphas[times[step + 1]]) if step + 1 < len(times) else 1.0

            def ddim(x, e, a=a, b=b):
                x0 = (x - math.sqrt(1 - a) * e) / math.sqrt(a)
                return math.sqrt(b) * x0 + math.sqrt(1 - b) * e

            x_s = ddim(x_s, e_su + guidance * (e_s - e_su))
            x_t = ddim(x_t, e_tu + guidance * (e_t - e_tu))
            if edit.blend is not None and step >= edit.blend["start"]:
                x_t = torch.where(local_mask(edit, latent), x_t, x_s)
    finally:
        unet.set_attn_processor(before)
    return x_s, x_t
