"""FluxSpace: concepts as directions of joint attention's output, orthogonal to a direction without meaning.

Dalva et al. 2024, FluxSpace: Disentangled Semantic Editing in Rectified Flow Transformers (arXiv:2412.09611).
In every block the picture attends three times, with the same queries, keys and values of its own: to the
caption (l), to the concept (l_e) and to the empty text (l_0). Its output is then

    l + s M l_e',     l_e' = l_e - proj_{l_0}(l_e)   (each place by itself),

with a mask M from the probability of the concept's words. The concept's pooled vector becomes, beforehand,
(1 - lambda) y + lambda (y_e - proj_y(y_e)) with the caption's y.

The texts are further rows of one pass, whose picture is the caption's at every attention.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from velatura.attention import joint
from velatura.attention.places import Attend, Place
from velatura.diffusion.blending import blend
from velatura.diffusion.condition import POOLED, Condition, cat
from velatura.diffusion.denoiser import denoise, guide
from velatura.diffusion.samplers import Step
from velatura.inversion.trajectory import step
from velatura_protocol.errors import VelaturaError

from .source import Source

AfterStep = Callable[[Step], None]
STEEPNESS = 10.0
"""Of the sigmoid that makes a mask of probabilities between 0 and 1 [published code]."""


@dataclass(frozen=True, eq=False)
class Concept:
    """A concept of an edit.

    Args:
        c: its text, one row.
        content: the tokens of the text (`Tokenized.words`).
        scale: s; a negative one leads away from the concept.
        threshold: tau: places whose mask is below it take no part, in [0, 1].
        first, last: the steps in which it acts, first <= i < last.
        where: how much it counts at each place, [1, 1, h, w] in [0, 1]; None: 1.
    """

    c: Condition
    content: Sequence[int]
    scale: float = 5.0
    threshold: float = 0.5
    first: int = 0
    last: int = 10**6
    where: Tensor | None = None

    def acts(self, i: int) -> bool:
        """Whether it acts in step i."""
        return self.scale != 0.0 and self.first <= i < self.last


def check(model: object) -> None:
    """Raises `unknown-model` if the model has no joint attention."""
    if getattr(model, "joint_blocks", None) is None:
        raise VelaturaError(
            "unknown-model",
            "This edits where a model's words and picture attend to each other, and this model has no such "
            "place; choose a model such as Stable Diffusion 3 or FLUX, or “Concepts by dials”.",
        )


def edit(
    source: Source,
    concepts: Sequence[Concept],
    empty: Condition,
    after_step: AfterStep,
    *,
    coarse: float = 0.8,
    m_latent: Tensor | None = None,
) -> Tensor:
    """The edited clean latents [B, C, h, w]; up to the first step in which a concept acts, the source's.

    Args:
        source: the layer or new picture.
        concepts: their changes are added.
        empty: the condition of the empty text, one row.
        after_step: called after each step; may raise to stop the run.
        coarse: lambda of the pooled vector, in [0, 1].
        m_latent: [1, 1, h, w] in [0, 1]; outside it the source stays, at every step. None: everywhere.
    """
    n = source.n
    first = min((concept.first for concept in concepts if concept.scale), default=n)
    for i in range(min(first, n)):
        sigma, sigma_next = source.sigmas[i : i + 2]
        after_step(Step(i, n, sigma, sigma_next, source.x(n) if source.is_layer else source.D(i)))
    x = source.x(min(first, n))
    for i in range(first, n):
        sigma, sigma_next = source.sigmas[i : i + 2]
        D = _denoised(source, [one for one in concepts if one.acts(i)], empty, coarse, x, sigma)
        x = step(x, D, sigma, sigma_next, source.eta)
        residual = source.residual(i)
        if residual is not None:
            x = x + residual
        if m_latent is not None:
            x = blend(x, source.x(i + 1), m_latent)
        after_step(Step(i, n, sigma, sigma_next, D))
    return x


def _denoised(
    source: Source, concepts: Sequence[Concept], empty: Condition, coarse: float, x: Tensor, sigma: float
) -> Tensor:
    """D(x; sigma) with guidance. Rows of the pass: the unconditional prompt, where guidance needs it, the
    caption, the concepts, the empty text."""
    scale = source.prompts.guidance
    turned = [turned_pooled(concept.c, source.cond, coarse) for concept in concepts]
    conditions = [*([source.uncond] if scale != 1.0 else []), source.cond, *turned]
    conditions += [empty] if concepts else []
    attend = _attending(concepts, len(x), (x.shape[-2], x.shape[-1])) if concepts else None
    rows = torch.cat([x] * len(conditions))
    c = cat([condition.expand(len(x)) for condition in conditions])
    D = denoise(source.model, rows, sigma, c, attend).split(len(x))
    return D[0] if scale == 1.0 else guide(source.model, x, sigma, D[1], D[0], scale)


def _attending(concepts: Sequence[Concept], B: int, size: tuple[int, int]) -> Attend:
    """The attention of one step, B variations of each row at latents (h, w). The last rows are those of the
    caption, of each concept, and of the empty text."""

    def attend(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if place.kind != "joint":
            return joint.attended(q, k, v)
        kinds = len(concepts) + 2
        shown = len(q) - (kinds - 1) * B  # rows of guidance and of the caption see their own picture
        base = slice(shown - B, shown)
        further = slice(shown, None)
        # the caption's picture, also with the columns of a mask: those of a picture's rows are all alike
        q_, k_, v_ = (
            joint.with_picture(place, x[further], joint.picture(place, x)[base].repeat(kinds - 1, 1, 1, 1))
            for x in (q, k, v)
        )
        own, others = joint.attended(q[:shown], k[:shown], v[:shown]), joint.attended(q_, k_, v_)
        *edits, l_0 = joint.picture(place, others).split(B)
        change = torch.zeros_like(l_0, dtype=torch.float32)
        for e, (concept, l_e) in enumerate(zip(concepts, edits, strict=True)):
            rows = slice(e * B, (e + 1) * B)
            M = concept.scale * mask(place, q_[rows], k_[rows], concept, size)
            change = change + M * orthogonal(l_e.float(), l_0.float())
        edited = (joint.picture(place, own)[-B:].float() + change).to(own.dtype)
        own = torch.cat([own[:-B], joint.with_picture(place, own[-B:], edited)])
        return torch.cat([own, others])

    return attend


def mask(place: Place, q: Tensor, k: Tensor, concept: Concept, size: tuple[int, int]) -> Tensor:
    """M of one concept at one place, [B, 1, h' w', 1] float32.

    Args:
        place: of the attention.
        q, k: of the concept's rows, [B, heads, L, ·].
        concept: gives words, threshold and places.
        size: (h, w) of the latents.
    """
    groups = torch.zeros(1 + max(concept.content, default=0), 1)
    groups[list(concept.content)] = 1.0 / max(1, len(concept.content))
    m = joint.word_columns(place, q, k, groups).float().mean(1, keepdim=True)  # [B, 1, h' w', 1]
    low, high = m.amin(2, keepdim=True), m.amax(2, keepdim=True)
    m = (STEEPNESS * ((m - low) / (high - low).clamp(min=1e-12) - 0.5)).sigmoid()
    m = torch.where(m >= concept.threshold, m, 0.0)
    if concept.where is None:
        return m
    grid = [-(-side // 2**place.level) for side in size]
    where = torch.nn.functional.adaptive_max_pool2d(concept.where, grid)
    return m * where.to(m).flatten(2).unsqueeze(-1)


def orthogonal(x: Tensor, away: Tensor) -> Tensor:
    """x - proj_away(x) of each place, over its heads: [B, heads, places, d]."""
    along = (x * away).sum((1, 3), keepdim=True) / away.square().sum((1, 3), keepdim=True).clamp(min=1e-12)
    return x - along * away


def turned_pooled(concept: Condition, caption: Condition, share: float) -> Condition:
    """The concept's condition with (1 - lambda) y + lambda (y_e - proj_y(y_e)) as its pooled vector, where
    the model has one."""
    if POOLED not in concept.parts:
        return concept
    y_e, y = concept.parts[POOLED], caption.parts[POOLED]
    along = (y_e * y).sum(-1, keepdim=True) / y.square().sum(-1, keepdim=True).clamp(min=1e-12)
    turned = (1.0 - share) * y + share * (y_e - along * y)
    return replace(concept, parts={**concept.parts, POOLED: turned})
