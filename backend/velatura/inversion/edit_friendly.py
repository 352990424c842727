"""Edit-friendly DDPM inversion: a picture's own noise for the ancestral sampler.

Huberman-Spiegelglas et al. 2024, An Edit Friendly DDPM Noise Space: Inversion and Manipulations, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from velatura.diffusion import noise
from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import StepIndex, guided_by
from velatura.diffusion.network import Network

from .trajectory import AfterStep, Trajectory, silent, step


def edit_friendly(
    model: Network,
    z0: Tensor,
    c: Condition,
    uncond: Condition,
    sigmas: list[float],
    seeds: Sequence[int],
    guidance: float = 3.5,
    after_step: AfterStep = silent,
) -> Trajectory:
    """One variation a seed: x_i = z0 + sigma_i n_i with independent noise at every level, and the residuals
    that lead the ancestral sampler through these x (the paper's z_t times sigma_up).

    The trajectory holds the residuals of all steps. The last step has one too, although the sampler adds no
    noise there: with it the source ends on z0, and not on the network's prediction of it.

    Args:
        model: predicts the clean latents.
        z0: [1, C, h, w], the picture's latents.
        c, uncond: the picture's prompt and the condition that guidance leads away from, one row each.
        sigmas: the sampler's levels, decreasing. A higher first level lets an edit change more (the paper
            skips 36 of 100 steps).
        seeds: one a variation.
        guidance: the source's scale; an edit may use a higher one.
        after_step: called after each step.
    """
    n = len(sigmas) - 1
    D = guided_by(model, c, uncond, guidance)
    drawn = noise.standard_normal(seeds, (n, *z0.shape[1:])).to(z0)
    x = [z0 + sigma * drawn[:, i] for i, sigma in enumerate(sigmas[:-1])]
    x.append(z0.repeat(len(seeds), 1, 1, 1))
    residuals: list[Tensor] = []
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        mean = step(x[i], D(x[i], sigma, StepIndex(i, n)), sigma, sigma_next, eta=1.0)
        residuals.append(x[i + 1] - mean)
        if i + 1 < n:  # exactly the x that the sampler reaches, so that errors do not add up
            x[i + 1] = mean + residuals[i]
        after_step(i + 1, n)
    return Trajectory(list(sigmas), x, residuals, eta=1.0)
