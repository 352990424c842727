"""DDIM inversion, and what is built on it without optimising anything."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor

from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import predict_noise
from velatura.diffusion.network import Network

from .trajectory import AfterStep, Trajectory, silent


def ddim_inversion(
    model: Network,
    z0: Tensor,
    c: Condition,
    sigmas: list[float],
    after_step: AfterStep = silent,
    known: list[Tensor] | None = None,
) -> list[Tensor]:
    """x at every level from 0 up, N+1 of [B, C, h, w]: the sampler's steps backwards, without guidance.

    z0: [B, C, h, w]; c: of one row. sigmas: the sampler's levels, downwards. A step up needs the noise in x
    at the upper level, which is not known; the noise in x at the lower level stands for it, and the network
    is told the upper level's time (Mokady et al. 2023, in their code; DDIMInverseScheduler of diffusers). The
    error is that of Euler's method, and guidance multiplies it.

    known: x at the first levels, of an inversion of the same that was stopped; it grows, and is the result.
    """
    levels = sigmas[::-1]
    if model.prediction == "sample":  # (z0 - F) / sigma has no limit at 0
        levels[0] = float(model.training_sigmas[0])
    c = c.expand(len(z0))
    x = [] if known is None else known
    if not x:
        x.append(z0)
    for i, (low, high) in enumerate(pairwise(levels)):
        if i + 1 < len(x):
            continue
        x.append(x[i] + (high - low) * predict_noise(model, x[i], low, c, told=high))
        after_step(i + 1, len(levels) - 1)
    return x


def ddim(
    model: Network,
    z0: Tensor,
    c: Condition,
    sigmas: list[float],
    after_step: AfterStep = silent,
    known: list[Tensor] | None = None,
) -> Trajectory:
    """DDIM inversion alone (Song et al. 2021, section 4.3): only the noise is known. Sampling from it comes
    near the picture without guidance, and not with it. known: of `ddim_inversion`."""
    return _from_noise(sigmas, ddim_inversion(model, z0, c, sigmas, after_step, known)[-1])


def negative_prompt(
    model: Network,
    z0: Tensor,
    c: Condition,
    sigmas: list[float],
    after_step: AfterStep = silent,
    known: list[Tensor] | None = None,
) -> Trajectory:
    """Negative-prompt inversion (Miyake et al. 2023): guidance leads away from the picture's own prompt.

    Then D_u = D_c, and the source's guided D is D_c at any scale: as near as `ddim` comes without guidance.
    known: of `ddim_inversion`.
    """
    trajectory = ddim(model, z0, c, sigmas, after_step, known)
    trajectory.uncond = [c] * (len(sigmas) - 1)
    return trajectory


def direct(
    model: Network,
    z0: Tensor,
    c: Condition,
    sigmas: list[float],
    after_step: AfterStep = silent,
    known: list[Tensor] | None = None,
) -> Trajectory:
    """Direct inversion (Ju et al. 2024): the source goes through the inverted latents themselves.

    The paper adds to the source's row, after each step, what it lacks of the inverted latent: x*[i+1] -
    step(x*[i]). That sum is x*[i+1]; here it is taken as it is, with no step and no rounding. So the source
    ends on z0 exactly, whatever the guidance, the network and the error of the inversion; only the target's
    row, which is stepped, feels them. known: of `ddim_inversion`.
    """
    return Trajectory(list(sigmas), [*reversed(ddim_inversion(model, z0, c, sigmas, after_step, known))])


def _from_noise(sigmas: list[float], x: Tensor) -> Trajectory:
    return Trajectory(list(sigmas), [x, *[None] * (len(sigmas) - 1)])
