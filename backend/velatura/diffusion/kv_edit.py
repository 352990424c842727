"""KV-Edit: inside of a mask a picture is made anew, and sees the source's keys and values outside of it.

Zhu et al. 2025, KV-Edit: Training-Free Image Editing for Precise Background Preservation, arXiv:2502.17363.
The source goes through the network beside the edit, at the same noise
level, and its keys and values stand in the place of the edit's own wherever nothing is edited.

In a transformer with joint attention tokens meet nowhere else. So the edit's rows inside the mask are those
of the published form, which computes no others; here the rows outside are computed too and left out, since
the network is called as a whole. In a U-Net convolutions also carry the edit's features over the mask's edge
and back, so its attention alone sees the pure source. The latents outside are the source's at every step in
both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.places import Attend, Place, halved

from .condition import Condition, cat
from .denoiser import StepIndex, denoise, guide
from .network import Network
from .samplers import Sampler, Step

AfterStep = Callable[[Step], None]
"""Called after each step; it may raise to stop the run."""


class Conditions(NamedTuple):
    """Of one row each.

    Args:
        source: the layer's caption, or the empty prompt.
        target: the prompt.
        uncond: the condition that guidance leads away from.
    """

    source: Condition
    target: Condition
    uncond: Condition


def held(free: Tensor, sources: int, bias: float = 0.0) -> Attend:
    """Attention in which all rows but the first see the source outside of the mask.

    Args:
        free: where the picture is made anew, bool [1, 1, h, w].
        sources: B, the number of rows of the source, which come first. The others are a multiple of it.
        bias: added to the logits of the source's keys (the published `attn_scale`); above 0 the new part
            looks more at its surroundings.
    """
    h, w = free.shape[-2:]
    known: dict[tuple[int, int], Tensor] = {}

    def own(place: Place, rows: int) -> Tensor:
        """Which keys are the edit's own, bool [rows]: all that are no cell of the picture outside."""
        name = place.level, rows
        if name not in known:
            size = halved(h, place.level), halved(w, place.level)
            cells = F.adaptive_max_pool2d(free.float(), size).flatten() > 0.0
            start, end = (0, rows) if place.image is None else place.image
            mask = torch.ones(rows, dtype=torch.bool, device=free.device)
            mask[start:end] = cells
            known[name] = mask
        return known[name]

    def attend(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if place.kind == "cross":
            return F.scaled_dot_product_attention(q, k, v)
        mask = own(place, k.shape[2])
        k, v = (_replaced(x, mask, sources) for x in (k, v))
        if not bias:
            return F.scaled_dot_product_attention(q, k, v)
        logits = torch.where(mask, 0.0, bias).to(q).expand(1, 1, 1, -1)
        parts = (
            F.scaled_dot_product_attention(q[:sources], k[:sources], v[:sources]),
            F.scaled_dot_product_attention(q[sources:], k[sources:], v[sources:], attn_mask=logits),
        )
        return torch.cat(parts)

    return attend


def _replaced(x: Tensor, own: Tensor, sources: int) -> Tensor:
    """x [B', heads, L, d] with the rows of the first `sources` in the place of those that are not the edit's
    own."""
    source, edits = x[:sources], x[sources:]
    return torch.cat(
        [source, torch.where(own[:, None], edits, source.repeat(len(edits) // sources, 1, 1, 1))]
    )


def edit(
    model: Network,
    x_source: Sequence[Tensor],
    sigmas: list[float],
    conditions: Conditions,
    guidance: float,
    free: Tensor,
    start: Tensor,
    sampler: Sampler,
    after_step: AfterStep,
    bias: float = 0.0,
) -> Tensor:
    """The edited latents, [B, C, h, w]; the source's, `x_source[-1]`, outside of the mask.

    Args:
        model: denoises.
        x_source: the source at each of the N+1 levels, [B, C, h, w] or [1, C, h, w]: inverted latents, or
            z0 + sigma n with one noise a variation.
        sigmas: the levels, decreasing, the last 0.
        conditions: of source and edit.
        guidance: the scale of classifier-free guidance of the edit; the source has none.
        free: where the picture is made anew, bool [1, 1, h, w].
        start: the edit at the first level, [B, C, h, w].
        sampler: one of `samplers`.
        after_step: called after each step.
        bias: as in `held`.
    """
    B = len(start)
    attend = held(free, B, bias)
    of_edit = (conditions.target,) if guidance == 1.0 else (conditions.uncond, conditions.target)
    c = cat([one.expand(B) for one in (conditions.source, *of_edit)])

    def outside(x: Tensor, i: int) -> Tensor:
        return torch.where(free, x, x_source[i].expand_as(x))

    def D(x: Tensor, sigma: float, at: StepIndex | None = None) -> Tensor:
        i = 0 if at is None else at.i
        rows = torch.cat([x_source[i].expand_as(x), *(x for _ in of_edit)])
        parts = denoise(model, rows, sigma, c, attend).split(B)
        return parts[-1] if len(parts) == 2 else guide(model, x, sigma, parts[2], parts[1], guidance)

    def after(x: Tensor, step: Step) -> Tensor:
        z0 = outside(step.denoised, len(sigmas) - 1)
        after_step(step._replace(denoised=z0))
        return outside(x, step.i + 1)

    return sampler(D, outside(start, 0), sigmas, after)
