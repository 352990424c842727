"""Directions in the bottleneck of a U-Net ("h-space"), between two texts and without training.

Kwon, Jeong & Uh 2023, Diffusion Models Already Have a Semantic Latent Space (Asyrp), arXiv:2210.10960: the
output h_t of the U-Net's middle block is changed by Delta h_t in the predicted picture P_t alone, and the
direction D_t that leads back to x_t stays that of the unchanged network (section 3.2),

    x_{t-1} = sqrt(abar_{t-1}) P_t(eps(x_t | Delta h_t)) + D_t(eps(x_t)).

Divided by sqrt(abar_{t-1}), which is the variance-exploding form of `velatura.inversion.trajectory.step`:

    x' = step(x, D) + (D~ - D),   D = D(x; sigma),   D~ = D(x; sigma | Delta h).

Without the asymmetry x' = step(x, D~) = step(x, D) + (1 - sigma'/sigma) (D~ - D): the change would be nearly
undone in each step.

Asyrp trains a network for Delta h_t, with CLIP as the teacher. Here the model that edits is the teacher, and
nothing is trained beyond the layer: at each level, Delta h_t is what moves the prediction for one text to the
prediction for the other,

    Delta h_t = arg min over d of |D(x_t; sigma, away | d) - D(x_t; sigma, toward)|^2,

by a few steps of Adam that begin at the level before. The difference of h_t under the two texts, after the
supervised directions of Haas et al. 2023 (arXiv:2303.11073), has no such meaning where the texts also reach
the network's other blocks; `methods/DESIGN.md` has the figures of both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from velatura.diffusion.blending import blend
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.denoiser import denoise, guide
from velatura.diffusion.network import LatentDiffusion
from velatura.diffusion.samplers import Step
from velatura.fitting import adam
from velatura.inversion.trajectory import AfterStep, silent, step

from .source import Source

RATE = 0.15
"""Of Adam. h has a deviation of about 2 in the models that were looked at."""


@dataclass(frozen=True)
class Move:
    """A direction, and how far to go along it.

    Args:
        deltas: Delta h_t of the steps from `first` on, each [1 or B, C, h', w'] float32.
        amount: the multiple of them that is added; at 1 the prediction is about that for the other text,
            below 0 it goes the other way.
        first: the first step in which it acts; the last one follows from the number of deltas.
    """

    deltas: Sequence[Tensor]
    amount: float
    first: int = 0

    def acts(self, i: int) -> bool:
        """Whether it changes step i."""
        return self.amount != 0.0 and 0 <= i - self.first < len(self.deltas)

    def delta(self, i: int) -> Tensor:
        """amount Delta h_t of a step in which it acts."""
        return self.amount * self.deltas[i - self.first]


def fit(
    source: Source,
    model: LatentDiffusion,
    away: Condition,
    toward: Condition,
    steps: range,
    tries: int,
    known: list[Tensor],
    after_step: AfterStep = silent,
) -> list[Tensor]:
    """Delta h_t along a source's own latents, each [B, C, h', w'] float32.

    Args:
        source: a layer, or pictures of seeds.
        model: that of the source, a U-Net. Raises `unknown-model` if it is none.
        away, toward: the texts that the direction leads between.
        steps: of the source, in which it will act.
        tries: steps of Adam at each level.
        known: of the first of these steps; the missing ones are appended, and it is the result.
        after_step: called after each.
    """
    for number in range(len(known), len(steps)):
        i = steps[number]
        x, sigma = source.x(i), source.sigmas[i]
        with torch.inference_mode(False), torch.no_grad():
            x = x.clone()
            wanted = denoise(model, x, sigma, toward.expand(len(x)))
            start = known[-1].clone() if known else torch.zeros_like(_bottleneck(model, x, sigma, away))
            known.append(_fitted(model, x, sigma, away, wanted, start, tries))
        after_step(number + 1, len(steps))
    return known


def _fitted(
    model: LatentDiffusion, x: Tensor, sigma: float, c: Condition, wanted: Tensor, start: Tensor, tries: int
) -> Tensor:
    """Some steps of Adam on the squared distance to `wanted`; each row is fitted by itself."""

    def gradients(_: int, values: list[Tensor]) -> Sequence[Tensor]:
        (d,) = values
        with model.bottleneck(lambda h: h.detach() + d.to(h)):
            D = denoise(model, x, sigma, c.expand(len(x)))
        return torch.autograd.grad((D - wanted).square().mean((1, 2, 3)).sum(), [d])

    (d,) = adam.fit([start], gradients, RATE, tries, [], lambda i, values: None)
    return d.detach()


def _bottleneck(model: LatentDiffusion, x: Tensor, sigma: float, c: Condition) -> Tensor:
    """h of a pass, float32 [N, C, h', w']."""
    found: list[Tensor] = []

    def keep(h: Tensor) -> Tensor:
        found.append(h.float())
        return h

    with model.bottleneck(keep):
        denoise(model, x, sigma, c.expand(len(x)))
    (h,) = found
    return h


def edit(
    source: Source,
    model: LatentDiffusion,
    moves: Sequence[Move],
    after_step: Callable[[Step], None],
    *,
    m_latent: Tensor | None = None,
) -> Tensor:
    """The edited clean latents [B, C, h, w]. Where no move acts, those of the source, bit for bit.

    Up to the first step in which a move acts, the edit is the source itself. A step in which one acts runs
    each row twice, with and without the change, in one pass; both have the same guidance.

    Args:
        source: the layer or new picture.
        model: that of the source.
        moves: their changes are added.
        after_step: called after each step; may raise to stop the run.
        m_latent: [1, 1, h, w] in [0, 1]; outside it the source stays, at every step. None: everywhere.
    """
    n = source.n
    first = next((i for i in range(n) if any(move.acts(i) for move in moves)), n)
    for i in range(first):
        sigma, sigma_next = source.sigmas[i : i + 2]
        after_step(Step(i, n, sigma, sigma_next, source.x(n) if source.is_layer else source.D(i)))
    x = source.x(first)
    for i in range(first, n):
        sigma, sigma_next = source.sigmas[i : i + 2]
        acting = [move for move in moves if move.acts(i)]
        D, D_changed = _predicted(source, model, x, i, acting)
        x = step(x, D, sigma, sigma_next, source.eta) + (D_changed - D)
        residual = source.residual(i)
        if residual is not None:
            x = x + residual
        if m_latent is not None:
            x = blend(x, source.x(i + 1), m_latent)
        after_step(Step(i, n, sigma, sigma_next, D_changed))
    return x


def _predicted(
    source: Source, model: LatentDiffusion, x: Tensor, i: int, moves: Sequence[Move]
) -> tuple[Tensor, Tensor]:
    """D(x; sigma) and D(x; sigma | Delta h) of step i, with the source's guidance, each [B, C, h, w]."""
    sigma, scale = source.sigmas[i], source.prompts.guidance
    conditions = [source.cond] if scale == 1.0 else [source.cond, source.uncond]
    rows = len(conditions) * len(x)
    c = cat([condition.expand(len(x)) for condition in conditions])
    if moves:
        deltas = [move.delta(i) for move in moves]
        delta = sum(deltas[1:], deltas[0]).expand(len(x), -1, -1, -1).repeat(len(conditions), 1, 1, 1)

        def change(h: Tensor) -> Tensor:
            return torch.cat([h[:rows], h[rows:] + delta.to(h)])

        with model.bottleneck(change):
            D = denoise(model, x.repeat(2 * len(conditions), 1, 1, 1), sigma, cat([c, c]))
        plain, changed = D.chunk(2)
    else:
        plain = changed = denoise(model, x.repeat(len(conditions), 1, 1, 1), sigma, c)
    if scale == 1.0:
        return plain, changed
    (D_c, D_u), (D_c_changed, D_u_changed) = (part.chunk(2) for part in (plain, changed))
    return guide(model, x, sigma, D_c, D_u, scale), guide(model, x, sigma, D_c_changed, D_u_changed, scale)
