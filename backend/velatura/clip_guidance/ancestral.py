"""Ancestral sampling, by which guidance from pictures is published: each step adds fresh noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from velatura.diffusion.denoiser import Denoiser, StepIndex
from velatura.diffusion.samplers import AfterStep, Step


def ancestral(
    D: Denoiser, x: Tensor, sigmas: list[float], after_step: AfterStep, fresh: Callable[[], Tensor]
) -> Tensor:
    """DDPM sampling with the posterior's variance (Ho et al. 2020, eq. 6 and 7), for any spacing of levels.

    In the form x = z + sigma n, the posterior of the next level sigma' given x and z = D is

        N(z + (sigma'^2 / sigma^2) (x - z), sigma'^2 (1 - sigma'^2 / sigma^2)).

    Fresh noise hides the traces of earlier guidance from the network, so that it corrects them; the ODE keeps
    them.

    Args:
        D: denoises.
        x: the start at level sigmas[0], [N, C, h, w].
        sigmas: decreasing, 0 at the end.
        after_step: see `samplers`.
        fresh: makes the noise of a step, shaped as x.
    """
    n = len(sigmas) - 1
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = D(x, sigma, StepIndex(i, n))
        kept = (sigma_next / sigma) ** 2
        x = denoised + kept * (x - denoised)
        if sigma_next > 0.0:
            x = x + sigma_next * math.sqrt(1.0 - kept) * fresh()
        x = after_step(x, Step(i, n, sigma, sigma_next, denoised))
    return x
