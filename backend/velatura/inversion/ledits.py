"""LEDITS++'s inversion: a picture's own noise for the second-order SDE solver, and its exact replay.

Brack et al. 2024, LEDITS++: Limitless Image Editing using Text-to-Image Models, section 4.1, with
sde-dpmsolver++ of order 2 (Lu et al. 2022b, eq. 15, the multistep form).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from velatura.diffusion import noise
from velatura.diffusion.denoiser import Denoiser, StepIndex

from .trajectory import AfterStep, silent


@dataclass(frozen=True)
class Inverted:
    """A picture at the levels of a run of N steps, for B variations.

    Args:
        sigmas: N+1 levels, decreasing, the last 0.
        x: N+1 tensors [B, C, h, w]: z0 + sigma_i n_i, the last z0.
        D: N tensors [B, C, h, w], the predictions for the first N of them.
    """

    sigmas: list[float]
    x: list[Tensor]
    D: list[Tensor]

    @property
    def steps(self) -> int:
        """N."""
        return len(self.D)

    @property
    def z0(self) -> Tensor:
        """The clean latents, [B, C, h, w]."""
        return self.x[-1]

    def before(self, i: int) -> Tensor | None:
        """D of the step before step i; None before the first."""
        return self.D[i - 1] if i else None

    def next(self, i: int, x: Tensor, D: Tensor, D_last: Tensor | None) -> Tensor:
        """The x after step i of an edit: x_{i+1} + mean(edit) - mean(source), [B, C, h, w].

        This is the solver's step with the picture's own noise, since the noise is what the source's mean
        lacks, x_{i+1} - mean(source). In this order nothing is rounded where the edit equals the source, and
        the last step, at which the solver adds no noise, ends on z0.

        Args:
            i: the step, from 0.
            x: the edit's latents before it, [B, C, h, w].
            D: the edit's prediction for x.
            D_last: that of the step before; None at the first step.
        """
        of_source = mean(self.x[i], self.D[i], self.before(i), self.sigmas, i)
        return self.x[i + 1] + (mean(x, D, D_last, self.sigmas, i) - of_source)


def mean(x: Tensor, D: Tensor, D_last: Tensor | None, sigmas: Sequence[float], i: int) -> Tensor:
    """The mean of x after step i of sde-dpmsolver++: r^2 x + (1 - r^2) D*, with r = sigma'/sigma.

    D* is D, extrapolated to the middle of the step in lambda = -log sigma:
    D* = D + (D - D_last) h / (2 h_last). The noise around the mean has the deviation sigma' sqrt(1 - r^2).
    At the first step and at the one to sigma = 0, whose h is infinite, D* is D, and the step is that of the
    ancestral sampler (`trajectory.step` at eta 1).

    Args:
        x, D: [B, C, h, w], D = D(x; sigma).
        D_last: the prediction of the step before, or None.
        sigmas: the levels of the run.
        i: the step, from 0.
    """
    sigma, sigma_next = sigmas[i], sigmas[i + 1]
    middle = D
    if D_last is not None and sigma_next > 0.0:
        h_last, h = math.log(sigmas[i - 1] / sigma), math.log(sigma / sigma_next)
        middle = D + (h / (2.0 * h_last)) * (D - D_last)
    return middle + (sigma_next / sigma) ** 2 * (x - middle)


def noised(z0: Tensor, sigmas: Sequence[float], seed: int) -> list[Tensor]:
    """x_i = z0 + sigma_i n_i with independent noise at every level, as in edit-friendly inversion.

    z0: [1, C, h, w]. Returns one tensor of this shape a level; the last, at sigma = 0, is z0.
    """
    n = noise.standard_normal([seed], (len(sigmas) - 1, *z0.shape[1:])).to(z0)[0]
    return [*(z0 + sigma * n[i] for i, sigma in enumerate(sigmas[:-1])), z0]


def predictions(
    D: Denoiser, x: Sequence[Tensor], sigmas: Sequence[float], begun: list[Tensor], after_step: AfterStep
) -> list[Tensor]:
    """D(x_i; sigma_i) of each of the N steps, the part of the inversion that a network makes.

    Args:
        D: denoises as the edit will, without its concepts.
        x: N+1 tensors [B, C, h, w].
        sigmas: N+1 levels.
        begun: the first predictions, if they are known; finished ones are appended.
        after_step: called after each step that was not known.
    """
    n = len(sigmas) - 1
    for i in range(len(begun), n):
        begun.append(D(x[i], sigmas[i], StepIndex(i, n)))
        after_step(i + 1, n)
    return list(begun)


def invert(
    D: Denoiser,
    z0: Tensor,
    sigmas: Sequence[float],
    seeds: Sequence[int],
    kept: Callable[[int, Callable[[list[Tensor]], list[Tensor]]], list[Tensor]] | None = None,
    after_step: AfterStep = silent,
) -> Inverted:
    """The picture's inversion, one variation a seed. Each runs alone, so that its bits do not depend on the
    batch, and a further variation costs no more than its own.

    Args:
        D: denoises as the edit will, without its concepts.
        z0: [1, C, h, w], the picture's latents.
        sigmas: the levels, decreasing, the last 0.
        seeds: one a variation.
        kept: gets a seed and the function that makes its predictions, and may take them from a cache.
        after_step: called after each computed step, counted over all variations.
    """
    n = len(sigmas) - 1
    rows: list[tuple[list[Tensor], list[Tensor]]] = []
    for number, seed in enumerate(seeds):
        x = noised(z0, sigmas, seed)

        def make(begun: list[Tensor], x: list[Tensor] = x, before: int = number * n) -> list[Tensor]:
            return predictions(D, x, sigmas, begun, lambda i, n: after_step(before + i, n * len(seeds)))

        rows.append((x, make([]) if kept is None else kept(seed, make)))
    x = [torch.cat(level) for level in zip(*(x for x, _ in rows), strict=True)]
    return Inverted(list(sigmas), x, [torch.cat(level) for level in zip(*(D for _, D in rows), strict=True)])
