"""The way of a picture through the noise levels, and the step that goes along it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from velatura.cache.values import storable
from velatura.diffusion.condition import Condition

AfterStep = Callable[[int, int], None]
"""after_step(i, n): part i of n, from 1, is done. May raise, to stop."""


def silent(i: int, n: int) -> None:
    """An `AfterStep` for who does not wait."""


@storable("trajectory")
@dataclass
class Trajectory:
    """x at every level of a run from noise to a picture, N steps, B variations.

    sigmas: N+1 levels, decreasing, the last 0 (`velatura.diffusion.schedule.sigmas`).
    x: N+1 of [B, C, h, w] float32, in the form x = z + sigma n. The first is always there; None: not known
        yet, and who samples along the trajectory writes it here.
    residuals: N of [B, C, h, w], added to the mean that `step` gives; None: nothing is added.
    eta: of `step`: 0 DDIM, 1 ancestral.
    uncond: N conditions of one row, what guidance leads away from in each step; None: the caller's own.
    """

    sigmas: list[float]
    x: list[Tensor | None]
    residuals: list[Tensor] | None = None
    eta: float = 0.0
    uncond: list[Condition] | None = None


def step(x: Tensor, D: Tensor, sigma: float, sigma_next: float, eta: float = 0.0) -> Tensor:
    """The mean of the next x: D + sigma_down (x - D) / sigma. x, D: [N, C, h, w], D = D(x; sigma).

    sigma_down^2 = sigma'^2 - sigma_up^2; noise of deviation `sigma_up` may be added. This is DDIM (Song et
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
