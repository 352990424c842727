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
    """A variation a seed: x_i = z0 + sigma_i n_i with noise of its own at every level, and the residuals that
    lead the ancestral sampler through them (the paper's z_t times `sigma_up`).

    z0: [1, C, h, w]; c, uncond: of one row. guidance: of the source; an edit's own may be higher. Where
    `sigmas` begin is how much may change (the paper skips 36 of 100 steps). The residuals of all steps are
    kept.

    The last step has a residual too, though the sampler adds no noise there: with it the source ends on z0,
    and not on the network's idea of it.
    """
    n = len(sigmas) - 1
    D = guided_by(model, c, uncond, guidance)
    drawn = noise.standard_normal(seeds, (n, *z0.shape[1:])).to(z0)
    x = [z0 + sigma * drawn[:, i] for i, sigma in enumerate(sigmas[:-1])]
    x.append(z0.repeat(len(seeds), 1, 1, 1))
    residuals = []
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        mean = step(x[i], D(x[i], sigma, StepIndex(i, n)), sigma, sigma_next, eta=1.0)
        residuals.append(x[i + 1] - mean)
        if i + 1 < n:  # what the sampler will reach, to the last bit: errors do not add up
            x[i + 1] = mean + residuals[i]
        after_step(i + 1, n)
    return Trajectory(list(sigmas), x, residuals, eta=1.0)
