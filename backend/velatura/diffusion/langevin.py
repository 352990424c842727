"""The unknown part of a picture, given the known one: Langevin steps between the steps of a sampler.

Zheng et al. 2025, LanPaint: Training-Free Diffusion Inpainting with Asymptotically Exact and Fast Conditional
Sampling, arXiv:2502.03491. The paper's x is sqrt(abar) times the x of this package, where
abar = 1 / (1 + sigma^2), and its dt is abar times the dt here; the equations below are the paper's after this
substitution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from . import noise
from .denoiser import Denoiser, StepIndex
from .samplers import Sampler, Step

AfterStep = Callable[[Step], None]
"""Called after each step of the sampler; it may raise to stop the run."""


class Thinking(NamedTuple):
    """The settings of the Langevin steps.

    Args:
        steps: N, their number at each noise level; 0 for none.
        size: eta, the length of one in units of sigma^2, above 0.
        pull: lambda, how much more the known part is drawn to its values than by its own noise; 0 or more.
        known: beta, the length of a step of the known part beside that of the unknown one.
        early: how many levels at the end have none.
    """

    steps: int = 2
    size: float = 0.6
    pull: float = 8.0
    known: float = 1.0
    early: int = 1


@dataclass(frozen=True)
class Conditional:
    """The distribution of latents whose known part is y by the paper's
    bidirectional guided (BiG) score.

    At a noise level sigma the score is (x* - x) / sigma^2, with x* = D in the unknown part and
    x* = y + lambda (y - D) in the known one: where the network disagrees with y, the known part is pulled
    beyond it, and the unknown part, which the network sees beside it, follows.

    Args:
        D: of the prompt, with guidance.
        y: the picture's latents, [1, C, h, w].
        free: where it is unknown, bool [1, 1, h, w].
        settings: of the steps.
    """

    D: Denoiser
    y: Tensor
    free: Tensor
    settings: Thinking

    def denoised(self, x: Tensor, sigma: float, at: StepIndex | None = None) -> Tensor:
        """D of the unknown part beside y, [N, C, h, w]."""
        return torch.where(self.free, self.D(x, sigma, at), self.y)

    def thought(self, x: Tensor, sigma: float, at: StepIndex, noises: Iterator[Tensor]) -> Tensor:
        """x after the Langevin steps of one noise level, [N, C, h, w].

        Each solves dx = (C - A x) dt + sqrt(2) dW exactly for the C of its start (an Ornstein-Uhlenbeck
        process). From the second on it is of second order: half a step, the change of C, half a step.

        Args:
            x: [N, C, h, w] at the level sigma.
            sigma: the level, above 0.
            at: the step, for guidance that changes.
            noises: of x's shape, as many as are taken.
        """
        eta, pull, beta = self.settings.size, self.settings.pull, self.settings.known
        # A dt, and the stationary deviation 1 / sqrt(A): A is 1 / sigma^2, (1 + lambda) / sigma^2 where known
        a = torch.where(self.free, eta, beta * eta * (1.0 + pull))
        deviation = torch.where(self.free, sigma, sigma / math.sqrt(1.0 + pull))

        def centre(x: Tensor) -> Tensor:  # C / A
            D = self.D(x, sigma, at)
            return torch.where(self.free, D, self.y + pull / (1.0 + pull) * (x - D))

        def moved(x: Tensor, c: Tensor, a: Tensor) -> Tensor:
            return c + torch.exp(-a) * (x - c) + deviation * torch.sqrt(-torch.expm1(-2.0 * a)) * next(noises)

        c: Tensor | None = None
        for _ in range(self.settings.steps):
            if c is None:
                c = centre(x)
                x = moved(x, c, a)
                continue
            x = moved(x, c, a / 2.0)
            changed = centre(x)
            x = moved(x + (changed - c) * a, c, a / 2.0)
            c = changed
        return x


def sample(
    conditional: Conditional,
    n: Tensor,
    sigmas: list[float],
    sampler: Sampler,
    seeds: Sequence[int],
    after_step: AfterStep,
) -> Tensor:
    """The picture with its unknown part made anew, [N, C, h, w]; y itself in the known part.

    Args:
        conditional: the known part and its network.
        n: the noise of the start, [N, C, h, w].
        sigmas: the levels, decreasing, the last 0.
        sampler: one of `samplers`.
        seeds: of the Langevin steps' noise, one a row.
        after_step: called after each step of the sampler.
    """
    steps = len(sigmas) - 1
    noises = (drawn.to(n) for drawn in noise.stream(seeds, n.shape[1:]))
    last = steps - conditional.settings.early

    def thought(x: Tensor, sigma: float, i: int) -> Tensor:
        return conditional.thought(x, sigma, StepIndex(i, steps), noises) if i < last else x

    def after(x: Tensor, step: Step) -> Tensor:
        after_step(step)
        return thought(x, step.sigma_next, step.i + 1)

    return sampler(conditional.denoised, thought(conditional.y + sigmas[0] * n, sigmas[0], 0), sigmas, after)
