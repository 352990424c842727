"""Decoding inside a mask, with the inverted latents outside of it."""

from __future__ import annotations

from torch import Tensor

from velatura.diffusion.blending import blend
from velatura.diffusion.denoiser import Denoiser
from velatura.diffusion.samplers import AfterStep, Step, euler

from .trajectory import Trajectory


def decode(D: Denoiser, trajectory: Trajectory, m: Tensor, after_step: AfterStep) -> Tensor:
    """z [N, C, h, w]: DDIM from the trajectory's noise, held to the trajectory outside the mask.

    After each step y <- M y + (1 - M) x at the level where the step arrives (Couairon et al. 2023, DiffEdit,
    section 3.2, step 3). The published code takes x at the level before the step.

    Args:
        D: of the prompt, with guidance.
        trajectory: an inversion of one picture, known at every level; `ddim.direct` gives one.
        m: [N, 1, h, w] in [0, 1], 1 to decode.
        after_step: called with the blended y; it returns the y for the next step.
    """

    def blended(y: Tensor, step: Step) -> Tensor:
        return after_step(blend(y, trajectory.x[step.i + 1], m), step)

    start = trajectory.x[0].expand(len(m), -1, -1, -1)
    return euler(D, start, list(trajectory.sigmas), blended)
