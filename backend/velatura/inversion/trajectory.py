"""A picture's latents at every noise level, and the sampler's step between them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from velatura.cache.values import storable
from velatura.diffusion.condition import Condition

AfterStep = Callable[[int, int], None]
"""after_step(i, n): called when part i of n, from 1, is done. It may raise to stop the run."""


def silent(i: int, n: int) -> None:
    """An `AfterStep` that does nothing."""


@storable("trajectory")
@dataclass
class Trajectory:
    """x at the levels of a run from noise to a picture, in N steps, for B variations.

    Args:
        sigmas: N+1 levels, decreasing, the last 0 (`velatura.diffusion.schedule.sigmas`).
        x: x at the first levels, as far as they are known: 1 to N+1 tensors [B, C, h, w] float32, in the form
            x = z + sigma n. A run along the trajectory appends the missing ones.
        residuals: N tensors [B, C, h, w], each added to the mean that `step` returns; None: nothing is added.
        eta: as in `step`: 0 for DDIM, 1 for the ancestral sampler.
        uncond: the N conditions, each of one row, that guidance leads away from, one a step; None: the
            caller's own condition.
    """

    sigmas: list[float]
    x: list[Tensor]
    residuals: list[Tensor] | None = None
    eta: float = 0.0
    uncond: list[Condition] | None = None

    @property
    def is_known(self) -> bool:
        """Whether x is known at every level."""
        return len(self.x) == len(self.sigmas)

    @property
    def z0(self) -> Tensor | None:
        """The clean latents [B, C, h, w], x at the level 0; None while they are not known."""
        return self.x[-1] if self.is_known else None


def step(x: Tensor, D: Tensor, sigma: float, sigma_next: float, eta: float = 0.0) -> Tensor:
    """The mean of the next x: D + sigma_down (x - D) / sigma. x, D: [N, C, h, w], D = D(x; sigma).

    sigma_down^2 = sigma'^2 - sigma_up^2; noise of deviation sigma_up may be added. This is DDIM (Song et
    al. 2021, eq. 12) in the variance-exploding form. There, with a = abar(t), a' = abar(t-1),

        x_{t-1} = sqrt(a') z + sqrt(1 - a' - s^2) n + s e,  s^2 = eta^2 (1 - a')/(1 - a) (1 - a/a')  (eq. 16)

    Divide by sqrt(a') and put sigma^2 = (1 - a)/a: the factor of n is sqrt(sigma'^2 - s^2/a'), and

        s^2/a' = eta^2 (1 - a')/(1 - a) (1/a' - a/a'^2) = eta^2 (sigma'^2/sigma^2) (1/a - 1/a')
               = eta^2 sigma'^2 (sigma^2 - sigma'^2) / sigma^2 = sigma_up^2,

    where z is D and n = (x - D)/sigma. At eta 0 it is Euler's step, at eta 1 the ancestral one of DDPM.
    Written from D towards x, which loses nothing at large sigma.
    """
    r = sigma_next / sigma
    sigma_down = sigma_next * math.sqrt(1.0 - eta**2 * (1.0 - r**2))
    return D + (sigma_down / sigma) * (x - D)
