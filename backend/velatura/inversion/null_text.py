"""Null-text inversion: the unconditional embedding of each step is fitted to the picture.

Of an unconditional condition the text states [1, L, d] are fitted; all else that it holds (a pooled vector,
sizes, further channels) stays what it is for the empty prompt.

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
"""Steps of the optimiser, at most, for each step of the sampler."""

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

    z0: [1, C, h, w]; c, uncond: of one row. Every x of the trajectory is known: the guided sampler's own,
    with the fitted embeddings. The last is near z0 and not equal to it.

    A step begins with the embedding of the step before. Adam's rate, 1e-2 (1 - i/100), and the error that is
    small enough, 1e-5 + 2e-5 i, were published for 50 steps; here i counts fiftieths of the run, since the
    rate would be negative at the end of a long one.

    known: of `ddim_inversion`. fitted: of a fit of the same that was stopped, the condition of each step and
    the x that it leads to; it grows.
    """
    N = len(sigmas) - 1
    n = parts(N)
    inverted = ddim_inversion(model, z0, c, sigmas, lambda i, _: after_step(i, n), known)
    fitted = [] if fitted is None else fitted
    # Nothing that is made in inference mode can take part in a gradient; copies made outside of it can.
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
            found = here.fitted(
                before,
                pivots[i + 1],
                rate=1e-2 * (1.0 - fiftieths / 100.0),
                enough=1e-5 + 2e-5 * fiftieths,
                after_inner=lambda j, done=done: after_step(done + j, n),
            )
            fitted.append((found, here.next(found)))
            after_step(done + INNER, n)
    unconds, x = zip(*fitted, strict=True)
    return Trajectory(list(sigmas), [pivots[0], *x], uncond=list(unconds))


def parts(n: int) -> int:
    """Of how many parts `null_text` tells for n steps of the sampler; the inversion's n are the first."""
    return n * (1 + INNER)


@dataclass(frozen=True)
class _Step:
    """A step of the sampler from x, as a function of the unconditional embedding. D_c: of the prompt."""

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
        """The condition with its states after `INNER` steps of Adam towards the pivot, fewer if the mean
        squared error falls below `enough`. after_inner(j): step j, from 1, is done, and was not the last."""
        if self.guidance == 1.0:  # what guidance leads away from makes no difference
            return uncond
        states = uncond.states.clone().requires_grad_()
        adam = torch.optim.Adam([states], lr=rate)
        for j in range(1, INNER + 1):
            with torch.enable_grad():
                difference = self.next(uncond.with_states(states)) - pivot
                # in the scale of a variance-preserving network, for which the thresholds were published
                error = difference.square().sum() / (self.sigma_next**2 + 1.0)
            # of the sum: a mean's would be lost in half precision
            (gradient,) = torch.autograd.grad(error, states)
            states.grad = gradient / self.x.numel()
            adam.step()
            if error.item() / self.x.numel() < enough:
                break
            if j < INNER:
                after_inner(j)
        return uncond.with_states(states.detach())
