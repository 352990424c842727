"""Null-text inversion: the unconditional embedding of each step is fitted to the picture.

Mokady et al. 2023, Null-text Inversion for Editing Real Images using Guided Diffusion Models, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from velatura.diffusion.denoiser import Network, denoise, guide

from .ddim import ddim_inversion
from .trajectory import AfterStep, Trajectory, silent, step

INNER = 10
"""Steps of the optimiser, at most, for each step of the sampler."""

_PUBLISHED_STEPS = 50


def null_text(
    model: Network,
    z0: Tensor,
    c: Tensor,
    uncond: Tensor,
    sigmas: list[float],
    guidance: float,
    after_step: AfterStep = silent,
) -> Trajectory:
    """Fits each step's unconditional embedding, so that the guided sampler stays near the inverted latents.

    z0: [1, C, h, w]; c, uncond: [1, L, d]. Every x of the trajectory is known: the guided sampler's own, with
    the fitted embeddings. The last is near z0 and not equal to it.

    A step begins with the embedding of the step before. Adam's rate, 1e-2 (1 - i/100), and the error that is
    small enough, 1e-5 + 2e-5 i, were published for 50 steps; here i counts fiftieths of the run, since the
    rate would be negative at the end of a long one.
    """
    N = len(sigmas) - 1
    n = N * (1 + INNER)
    inverted = ddim_inversion(model, z0, c, sigmas, lambda i, _: after_step(i, n))
    # Nothing that is made in inference mode can take part in a gradient; copies made outside of it can.
    with torch.inference_mode(False), torch.no_grad():
        pivots = [x.clone() for x in reversed(inverted)]
        c, fitted = c.clone(), uncond.clone()
        x, unconds = [pivots[0]], []
        for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
            fiftieths = i * _PUBLISHED_STEPS / N
            here = _Step(model, x[i], denoise(model, x[i], sigma, c), sigma, sigma_next, guidance)
            done = N + i * INNER
            fitted = here.fitted(
                fitted,
                pivots[i + 1],
                rate=1e-2 * (1.0 - fiftieths / 100.0),
                enough=1e-5 + 2e-5 * fiftieths,
                after_inner=lambda j, done=done: after_step(done + j, n),
            )
            unconds.append(fitted)
            x.append(here.next(fitted))
            after_step(done + INNER, n)
    return Trajectory(list(sigmas), x, uncond=unconds)


@dataclass(frozen=True)
class _Step:
    """A step of the sampler from x, as a function of the unconditional embedding. D_c: of the prompt."""

    model: Network
    x: Tensor
    D_c: Tensor
    sigma: float
    sigma_next: float
    guidance: float

    def next(self, uncond: Tensor) -> Tensor:
        D_u = denoise(self.model, self.x, self.sigma, uncond)
        D = guide(self.model, self.x, self.sigma, self.D_c, D_u, self.guidance)
        return step(self.x, D, self.sigma, self.sigma_next)

    def fitted(
        self,
        uncond: Tensor,
        pivot: Tensor,
        rate: float,
        enough: float,
        after_inner: Callable[[int], None],
    ) -> Tensor:
        """The embedding after `INNER` steps of Adam towards the pivot, fewer if the mean squared error falls
        below `enough`. after_inner(j): step j, from 1, is done, and was not the last."""
        if self.guidance == 1.0:  # what guidance leads away from makes no difference
            return uncond
        uncond = uncond.clone().requires_grad_()
        adam = torch.optim.Adam([uncond], lr=rate)
        for j in range(1, INNER + 1):
            with torch.enable_grad():
                difference = self.next(uncond) - pivot
                # in the scale of a variance-preserving network, for which the thresholds were published
                error = difference.square().sum() / (self.sigma_next**2 + 1.0)
            # of the sum: a mean's would be lost in half precision
            (gradient,) = torch.autograd.grad(error, uncond)
            uncond.grad = gradient / self.x.numel()
            adam.step()
            if error.item() / self.x.numel() < enough:
                break
            if j < INNER:
                after_inner(j)
        return uncond.detach()
