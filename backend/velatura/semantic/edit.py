"""The run of an edit by concepts, on a layer or on a picture that a seed makes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from velatura.diffusion.blending import blend
from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import StepIndex
from velatura.diffusion.samplers import Step
from velatura.guidance.term import Look, guided
from velatura.inversion.trajectory import step

from .guidance import Semantic
from .source import Source

AfterStep = Callable[[Step], None]


def edit(
    source: Source,
    semantic: Semantic,
    after_step: AfterStep,
    *,
    m_latent: Tensor | None = None,
    wanted: Condition | None = None,
) -> Tensor:
    """The edited clean latents [B, C, h, w]. Where no concept acts, those of the source, bit for bit.

    Up to the first step in which a concept acts, that step's predictions included, the edit is the source
    itself, whose predictions are kept. From there on each step is one pass: a row for the prompt, one for the
    unconditional prompt if guidance or a concept needs it, and one for each concept that the step needs.

    Args:
        source: the layer or new picture.
        semantic: the concepts, fresh for this run.
        after_step: called after each step; may raise to stop the run.
        m_latent: [1, 1, h, w] in [0, 1]; outside it the source stays, at every step. None: everywhere.
        wanted: the condition of a prompt in place of the source's, one row: then the edit differs from the
            source in the first step already. None: the source's.
    """
    n = source.n
    first = 0 if wanted is not None else min(semantic.begin, n)
    for i in range(first):
        if semantic.momentum.scale and semantic.concepts:
            _change(source, semantic, i)
        sigma, sigma_next = source.sigmas[i : i + 2]
        after_step(Step(i, n, sigma, sigma_next, source.x(n) if source.is_layer else source.D(i)))
    x = source.x(first)
    cond = source.cond if wanted is None else wanted
    for i in range(first, n):
        sigma, sigma_next = source.sigmas[i : i + 2]
        if i == first and wanted is None:
            denoised = source.D(i) + _change(source, semantic, i)
        else:
            D = guided(source.model, cond, source.uncond, source.prompts.guidance, [semantic.at(i)])
            denoised = D(x, sigma, StepIndex(i, n))
        x = step(x, denoised, sigma, sigma_next, source.eta)
        residual = source.residual(i)
        if residual is not None:
            x = x + residual
        if m_latent is not None:
            x = blend(x, source.x(i + 1), m_latent)
        after_step(Step(i, n, sigma, sigma_next, denoised))
    return x


def _change(source: Source, semantic: Semantic, i: int) -> Tensor:
    """The change of D at the source's own latents, from kept predictions."""
    term = semantic.at(i)
    rows = source.rows(i, semantic.conditions)
    D_u = source.D_u(i) if term.needs_unconditional else None
    look = Look(source.x(i), source.sigmas[i], StepIndex(i, source.n), source.x(i), D_u, rows)
    return term.of(look, semantic.conditions)
