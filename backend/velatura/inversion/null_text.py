"""Null-text inversion: the unconditional embedding of each step is fitted to the picture.

The fit changes the text states [1, L, d] of the unconditional condition. Its other parts (a pooled vector,
sizes, further channels) stay those of the empty prompt.

Mokady et al. 2023, Null-text Inversion for Editing Real Images using Guided Diffusion Models, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import denoise, guide
from velatura.diffusion.network import Network

from .ddim import ddim_inversion
from .trajectory import AfterStep, Trajectory, silent, step

INNER = 10
"""The largest number of optimiser steps for each step of the sampler."""

_PUBLISHED_STEPS = 50


def null_text(
    model: Network,
    z0: Tensor,
    c: Condition,
    uncond: Condition,
    sigmas: list[float],
    guidance: float,
    after_step: AfterStep = silent,
    known: list[Tensor] | None = None,
    fitted: list[tuple[Condition, Tensor]] | None = None,
) -> Trajectory:
    """Fits each step's unconditional embedding, so that the guided sampler stays near the inverted latents.

    The trajectory is known at every level: its x are those of the guided sampler with the fitted embeddings.
    The last is near z0 but not equal to it.

    Each step starts from the embedding of the step before. Adam's rate, 1e-2 (1 - i/100), and the error at
    which a step ends, 1e-5 + 2e-5 i, were published for 50 steps. Here i counts fiftieths of the run, because
    the rate would become negative at the end of a long run.

    Args:
        model: predicts the clean latents.
        z0: [1, C, h, w], the picture's latents.
        c, uncond: the picture's prompt and the empty prompt, one row each.
        sigmas: the sampler's levels, decreasing.
        guidance: the scale of classifier-free guidance.
        after_step: called after each of the `parts`.
        known: as in `ddim_inversion`.
        fitted: the condition of each finished step and the x that it leads to, from an earlier run of this
            fit that was stopped. The missing steps are appended.
    """
    N = len(sigmas) - 1
    n = parts(N)
    inverted = ddim_inversion(model, z0, c, sigmas, lambda i, _: after_step(i, n), known)
    fitted = [] if fitted is None else fitted
    # A tensor made in inference mode cannot take part in a gradient; a copy made outside of it can.
    with torch.inference_mode(False), torch.no_grad():
        pivots = [x.clone() for x in reversed(inverted)]
        c, start = c.clone(), (uncond.clone(), pivots[0])
        for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
            if i < len(fitted):
                continue
            before, x = fitted[-1] if fitted else start
            fiftieths = i * _PUBLISHED_STEPS / N
            here = _Step(model, x, denoise(model, x, sigma, c), sigma, sigma_next, guidance)
            done = N + i * INNER
            uncond_i = here.fitted(
                before,
                pivots[i + 1],
                rate=1e-2 * (1.0 - fiftieths / 100.0),
                enough=1e-5 + 2e-5 * fiftieths,
                after_inner=lambda j, done=done: after_step(done + j, n),
            )
            fitted.append((uncond_i, here.next(uncond_i)))
            after_step(done + INNER, n)
    unconds, x = zip(*fitted, strict=True)
    return Trajectory(list(sigmas), [pivots[0], *x], uncond=list(unconds))


def parts(n: int) -> int:
    """The number of parts that `null_text` reports for n sampler steps; the first n are the inversion's."""
    return n * (1 + INNER)


@dataclass(frozen=True)
class _Step:
    """A sampler step from x, as a function of the unconditional embedding. D_c: the prompt's prediction."""

    model: Network
    x: Tensor
    D_c: Tensor
    sigma: float
    sigma_next: float
    guidance: float

    def next(self, uncond: Condition) -> Tensor:
        D_u = denoise(self.model, self.x, self.sigma, uncond)
        D = guide(self.model, self.x, self.sigma, self.D_c, D_u, self.guidance)
        return step(self.x, D, self.sigma, self.sigma_next)

    def fitted(
        self,
        uncond: Condition,
        pivot: Tensor,
        rate: float,
        enough: float,
        after_inner: Callable[[int], None],
    ) -> Condition:
        """The condition with its states after at most `INNER` steps of Adam towards the pivot; it ends early
        when the mean squared error falls below `enough`. after_inner(j): called after step j, from 1, unless
        it was the last."""
        if self.guidance == 1.0:  # at scale 1 the unconditional prediction has no weight
            return uncond
        states = uncond.states.clone().requires_grad_()
        adam = torch.optim.Adam([states], lr=rate)
        for j in range(1, INNER + 1):
            with torch.enable_grad():
                difference = self.next(uncond.with_states(states)) - pivot
                # the thresholds were published for the scale of a variance-preserving network
                error = difference.square().sum() / (self.sigma_next**2 + 1.0)
            # the gradient of the sum: that of the mean would underflow in half precision
            (gradient,) = torch.autograd.grad(error, states)
            states.grad = gradient / self.x.numel()
            adam.step()
            if error.item() / self.x.numel() < enough:
                break
            if j < INNER:
                after_inner(j)
        return uncond.with_states(states.detach())
