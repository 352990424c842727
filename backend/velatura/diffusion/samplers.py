"""Solvers of the probability-flow ODE dx/dsigma = (x - D(x; sigma)) / sigma (Karras et al. 2022, eq. 1, 3).

Each takes a denoiser, a start x at level sigmas[0], the levels, and a hook. The sampler passes its current
step to the denoiser. The hook gets x after every step and returns the x for the next one; callers use it for
blending, progress and cancelling.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor

from .denoiser import Denoiser, StepIndex


class Step(NamedTuple):
    """Step i of n (from 0), from level sigma to sigma_next; denoised is D(x; sigma)."""

    i: int
    n: int
    sigma: float
    sigma_next: float
    denoised: Tensor


AfterStep = Callable[[Tensor, Step], Tensor]
Sampler = Callable[[Denoiser, Tensor, list[float], AfterStep], Tensor]


def euler(D: Denoiser, x: Tensor, sigmas: list[float], after_step: AfterStep) -> Tensor:
    """Euler's method in sigma, which is DDIM with eta = 0 (Song et al. 2021, eq. 13).

    Written as a step from D towards x, since x + (sigma' - sigma) dx/dsigma cancels badly at large sigma.
    """
    n = len(sigmas) - 1
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = D(x, sigma, StepIndex(i, n))
        x = denoised + (sigma_next / sigma) * (x - denoised)
        x = after_step(x, Step(i, n, sigma, sigma_next, denoised))
    return x


def dpmpp_2m(D: Denoiser, x: Tensor, sigmas: list[float], after_step: AfterStep) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022b, algorithm 2): second order, one call of D a step.

    With lambda = -log sigma and h = lambda' - lambda, D is extrapolated to the middle of the step from its
    last two values. The step to sigma = 0 has an infinite h, so it is of first order and ends on D.
    """
    n = len(sigmas) - 1
    D_last: Tensor | None = None
    h_last = 0.0
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        D_i = denoised = D(x, sigma, StepIndex(i, n))
        h = math.log(sigma / sigma_next) if sigma_next > 0.0 else math.inf
        if D_last is not None and sigma_next > 0.0:
            r = h_last / h
            D_i = (1.0 + 1.0 / (2.0 * r)) * denoised - 1.0 / (2.0 * r) * D_last
        x = D_i + (sigma_next / sigma) * (x - D_i)
        x = after_step(x, Step(i, n, sigma, sigma_next, denoised))
        D_last, h_last = denoised, h
    return x


SAMPLERS: dict[str, Sampler] = {"euler": euler, "dpmpp_2m": dpmpp_2m}
