"""The sampler that goes along a trajectory, the noise of its steps, and how far from the picture it ends."""

import math
from itertools import pairwise

from velatura.diffusion.denoiser import guided_by
from velatura.inversion.trajectory import step


def sampled(source, trajectory, guidance, rows=slice(None)):
    """What the source's own prompt makes from x[0], with the trajectory's residuals and embeddings."""
    x = trajectory.x[0][rows]
    for i, (sigma, sigma_next) in enumerate(pairwise(trajectory.sigmas)):
        uncond = source.uncond if trajectory.uncond is None else trajectory.uncond[i]
        D = guided_by(source.model, source.c, uncond, guidance)
        x = step(x, D(x, sigma), sigma, sigma_next, trajectory.eta)
        if trajectory.residuals is not None:
            x = x + trajectory.residuals[i][rows]
    return x


def sigma_up(sigma, sigma_next, eta):
    """Deviation of the noise that a step adds to its mean (see `step`)."""
    return eta * sigma_next * math.sqrt(1.0 - (sigma_next / sigma) ** 2)


def error(source, x):
    """Root of the mean squared difference to the picture's latents."""
    return float((x - source.z0).square().mean().sqrt())
