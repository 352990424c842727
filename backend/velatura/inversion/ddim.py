"""DDIM inversion, and the methods that build on it without an optimisation."""

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
    """x at every level from 0 up, N+1 tensors [B, C, h, w]: the sampler's steps backwards, without guidance.

    A step up needs the noise in x at the upper level, which is not known. The noise in x at the lower level
    stands for it, and the network gets the upper level's time (Mokady et al. 2023, in their code;
    DDIMInverseScheduler of diffusers). The error is that of Euler's method, and guidance multiplies it.

    Args:
        model: predicts the noise.
        z0: [B, C, h, w], the picture's latents.
        c: the picture's prompt, one row.
        sigmas: the sampler's levels, decreasing.
        after_step: called after each of the N steps.
        known: x at the first levels, from an earlier run of this inversion that was stopped. The missing
            levels are appended, and the list is the result.
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
        x.append(x[i] + (high - low) * predict_noise(model, x[i], low, c, time_of=high))
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
    """DDIM inversion alone (Song et al. 2021, section 4.3): only the noise is known. Without guidance,
    sampling from it comes near the picture; with guidance it does not. The arguments are those of
    `ddim_inversion`."""
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

    Then D_u = D_c, so the source's guided D is D_c at any scale, and sampling comes as near as `ddim` does
    without guidance. The arguments are those of `ddim_inversion`.
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

    After each step the paper adds the difference to the inverted latent, x*[i+1] - step(x*[i]), to the
    source's row. That sum is x*[i+1]; here it is used directly, with no step and no rounding. So the source
    ends on z0 exactly, for every guidance, network and error of the inversion; these affect the target's row
    only, which is stepped. The arguments are those of `ddim_inversion`.
    """
    return Trajectory(list(sigmas), [*reversed(ddim_inversion(model, z0, c, sigmas, after_step, known))])


def _from_noise(sigmas: list[float], x: Tensor) -> Trajectory:
    return Trajectory(list(sigmas), [x])
