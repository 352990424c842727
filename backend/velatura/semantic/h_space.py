"""Directions in the bottleneck of a U-Net ("h-space"), between two texts and without training.

Kwon, Jeong & Uh 2023, Diffusion Models Already Have a Semantic Latent Space (Asyrp), arXiv:2210.10960: the
output h_t of the U-Net's middle block is changed by Delta h_t in the predicted picture P_t alone, and the
direction D_t that leads back to x_t stays that of the unchanged network (section 3.2),

    x_{t-1} = sqrt(abar_{t-1}) P_t(eps(x_t | Delta h_t)) + D_t(eps(x_t)).

Divided by sqrt(abar_{t-1}), which is the variance-exploding form of `velatura.inversion.trajectory.step`:

    x' = step(x, D) + (D~ - D),   D = D(x; sigma),   D~ = D(x; sigma | Delta h).

Without the asymmetry x' = step(x, D~) = step(x, D) + (1 - sigma'/sigma) (D~ - D): the change would be nearly
undone in each step.

Asyrp trains a network for Delta h_t. Here it is the difference of the means of h_t with and without a trait,
as in Haas et al. 2023, Discovering Interpretable Directions in the Semantic Latent Space of Diffusion Models,
arXiv:2303.11073 (supervised discovery). Their two groups of pictures are here the same latents, read under
two captions, so that they differ in nothing but the texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from velatura.diffusion import noise
from velatura.diffusion.blending import blend
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.denoiser import denoise, guide
from velatura.diffusion.network import LatentDiffusion
from velatura.diffusion.samplers import Step
from velatura.inversion.trajectory import AfterStep, silent, step

from .source import Source

BASE_STEPS = 16
"""Steps of the run that an amount refers to. Each step adds its change whole, so a run of n steps scales
Delta h by BASE_STEPS / n (Asyrp, section 5.3)."""


@dataclass(frozen=True)
class Move:
    """A direction, and how far to go along it.

    Args:
        deltas: Delta h_t by step, each [1 or B, C, h, w] float32.
        amount: the multiple of them that is added; below 0 the other way.
        first, last: it acts in the steps i with first <= i < last.
    """

    deltas: Sequence[Tensor]
    amount: float
    first: int
    last: int

    def acts(self, i: int) -> bool:
        """Whether it changes step i."""
        return self.amount != 0.0 and self.first <= i < self.last


class _Read(Exception):
    """The bottleneck has been reached; the rest of the pass is not needed."""


def read(model: LatentDiffusion, x: Tensor, sigma: float, c: Condition) -> Tensor:
    """h of a pass, float32 [N, C, h', w']. The pass ends there.

    Args:
        model: a U-Net. Raises `unknown-model` if it is none.
        x: [N, C, h, w] at the noise level sigma.
        sigma: the noise level.
        c: a condition of N rows.
    """
    found: list[Tensor] = []

    def keep(h: Tensor) -> Tensor:
        found.append(h.float())
        raise _Read

    try:
        with model.bottleneck(keep):
            denoise(model, x, sigma, c)
    except _Read:
        pass
    (h,) = found
    return h


def between(model: LatentDiffusion, x: Tensor, sigma: float, away: Condition, toward: Condition) -> Tensor:
    """Delta h_t = h(x_t, toward) - h(x_t, away), [N, C, h', w']. x: [N, C, h, w]; texts: of one row each."""
    h_away, h_toward = read(
        model, x.repeat(2, 1, 1, 1), sigma, cat([away.expand(len(x)), toward.expand(len(x))])
    ).chunk(2)
    return h_toward - h_away


def along(
    source: Source,
    model: LatentDiffusion,
    away: Condition,
    toward: Condition,
    known: list[Tensor],
    after_step: AfterStep = silent,
) -> list[Tensor]:
    """Delta h_t by step along a source's own latents, each [B, C, h', w'].

    Args:
        source: a layer, or pictures of seeds.
        model: that of the source, a U-Net.
        away, toward: the texts that the direction leads between.
        known: of the first steps; the missing ones are appended, and it is the result.
        after_step: called after each.
    """
    for i in range(len(known), source.n):
        known.append(between(model, source.x(i), source.sigmas[i], away, toward))
        after_step(i + 1, source.n)
    return known


def average(
    model: LatentDiffusion,
    sigmas: Sequence[float],
    shape: Sequence[int],
    away: Condition,
    toward: Condition,
    seeds: Sequence[int],
    after_step: AfterStep = silent,
) -> list[Tensor]:
    """Delta h_t by step, the mean over pictures that the model makes of the text `away`, each
    [1, C, h', w'].

    Args:
        model: a U-Net.
        sigmas: N+1 levels.
        shape: [C, h, w] of a latent.
        away, toward: the texts.
        seeds: one a picture.
        after_step: called after each of the N steps.
    """
    x = noise.standard_normal(seeds, shape).to(model.device) * sigmas[0]
    c, found, n = away.expand(len(seeds)), list[Tensor](), len(sigmas) - 1
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        found.append(between(model, x, sigma, away, toward).mean(0, keepdim=True))
        x = step(x, denoise(model, x, sigma, c), sigma, sigma_next)
        after_step(i + 1, n)
    return found


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
        scaled = [move.amount * BASE_STEPS / source.n * move.deltas[i] for move in moves]
        delta = sum(scaled[1:], scaled[0]).expand(len(x), -1, -1, -1).repeat(len(conditions), 1, 1, 1)

        def change(h: Tensor) -> Tensor:
            return torch.cat([h[:rows], h[rows:] + delta.to(h)])

        with model.bottleneck(change):
            D = denoise(model, x.repeat(2 * len(conditions), 1, 1, 1), sigma, cat([c, c]))
        plain, changed = D.chunk(2)
    else:
        plain = changed = denoise(model, x.repeat(len(conditions), 1, 1, 1), sigma, c)
    if scale == 1.0:
        return plain, changed
    D, D_changed = (guide(model, x, sigma, *part.chunk(2), scale) for part in (plain, changed))
    return D, D_changed
