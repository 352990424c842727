"""Inversions published for rectified flows, for every denoising network.

With x = z0 + sigma n, as everywhere here, t = sigma / (1 + sigma) and z = x / (1 + sigma), a denoiser is a
flow (Liu et al. 2023): dz/dt = v(z, t) = n - D, where n = (x - D) / sigma and D = D(x; sigma). Each function
walks up the sampler's levels in z and t with steps h, and returns x; each calls the network once a level
(FireFlow once more), as DDIM inversion does.

They differ in the point at which v is taken for a step from t to t' = t + h. DDIM inversion takes z at the
time t', a point that is not on the path.

- Uni-Inv (Jiao et al. 2025, arXiv:2504.13109): the point at t' that the last step's v leads to, z + h v_last.
  This is the implicit Euler step that undoes the sampler's, with a guess in place of its fixed point.
- FireFlow (Deng et al. 2025, arXiv:2412.07517): the point halfway, z + h/2 v_last, where v_last is the v of
  the step before, so that a step of second order costs one pass. To follow it back a sampler has to take the
  same steps (`fireflow_sampled`).
- DNAEdit (Xie et al. 2025, arXiv:2506.01430): the point at t' that noise of a seed leads to,
  x + (sigma' - sigma) eps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

from velatura.diffusion import noise
from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import Denoiser, StepIndex, denoise, predict_noise
from velatura.diffusion.network import Network

from .trajectory import AfterStep, silent

Point = Callable[[int, list[Tensor]], tuple[Tensor, float]]
"""(i, z at the levels so far) -> the z and t at which v is taken for step i."""


def time(sigma: float) -> float:
    """t of a level."""
    return sigma / (1.0 + sigma)


def uni_inv(
    model: Network,
    z0: Tensor,
    c: Condition,
    sigmas: list[float],
    after_step: AfterStep = silent,
    known: list[Tensor] | None = None,
) -> list[Tensor]:
    """Uni-Inv. The arguments and the result are those of `ddim.ddim_inversion`."""
    times = _times(model, sigmas)

    def point(i: int, z: list[Tensor]) -> tuple[Tensor, float]:
        h = times[i + 1] - times[i]
        return (z[i] + h * _last_v(z, times), times[i + 1]) if i else (z[0], times[1])

    return _inverted(model, z0, c, times, point, after_step, known)


def fireflow(
    model: Network,
    z0: Tensor,
    c: Condition,
    sigmas: list[float],
    after_step: AfterStep = silent,
    known: list[Tensor] | None = None,
) -> list[Tensor]:
    """FireFlow. The arguments and the result are those of `ddim.ddim_inversion`."""
    times = _times(model, sigmas)

    def point(i: int, z: list[Tensor]) -> tuple[Tensor, float]:
        h = times[i + 1] - times[i]
        v = _last_v(z, times) if i else velocity(model, z[0], times[0], c.expand(len(z0)))
        return z[i] + h / 2.0 * v, times[i] + h / 2.0

    return _inverted(model, z0, c, times, point, after_step, known)


def dna(
    model: Network,
    z0: Tensor,
    c: Condition,
    sigmas: list[float],
    seeds: Sequence[int],
    after_step: AfterStep = silent,
    known: list[Tensor] | None = None,
) -> list[Tensor]:
    """DNAEdit's inversion, x [B, C, h, w] for B seeds of the noise. The other arguments and the result are
    those of `ddim.ddim_inversion`."""
    times = _times(model, sigmas)
    eps = noise.standard_normal(seeds, z0.shape[1:]).to(z0)
    z0 = z0.expand_as(eps)

    def point(i: int, z: list[Tensor]) -> tuple[Tensor, float]:
        t, t_next = times[i : i + 2]
        return z[i] + (t_next - t) / (1.0 - t) * (eps - z[i]), t_next

    return _inverted(model, z0, c, times, point, after_step, known)


def velocity(model: Network, z: Tensor, t: float, c: Condition) -> Tensor:
    """v(z, t) = n - D, [N, C, h, w]; at t = 0 its limit."""
    if t == 0.0:
        return predict_noise(model, z, 0.0, c) - z
    sigma = t / (1.0 - t)
    x = (1.0 + sigma) * z
    D = denoise(model, x, sigma, c)
    return (x - D) / sigma - D


def fireflow_sampled(D: Denoiser, x: Tensor, sigmas: list[float]) -> Tensor:
    """The picture's latents [N, C, h, w] from x at sigmas[0], by FireFlow's steps downwards."""
    times, z = [time(sigma) for sigma in sigmas], x / (1.0 + sigmas[0])
    last: Tensor | None = None
    n = len(times) - 1
    for i, (t, t_next) in enumerate(pairwise(times)):

        def v(z: Tensor, t: float, at: StepIndex) -> Tensor:
            return (z - D(z / (1.0 - t), t / (1.0 - t), at)) / t

        at, h = StepIndex(i, n), t_next - t
        last = v(z, t, at) if last is None else last
        last = v(z + h / 2.0 * last, t + h / 2.0, at)
        z = z + h * last
    return z


def _times(model: Network, sigmas: list[float]) -> list[float]:
    levels = sigmas[::-1]
    if model.prediction == "sample":  # as in `ddim_inversion`
        levels[0] = float(model.training_sigmas[0])
    return [time(sigma) for sigma in levels]


def _last_v(z: list[Tensor], times: list[float]) -> Tensor:
    """The v of the last step, from its ends: an inversion that was stopped needs nothing else to go on."""
    i = len(z) - 1
    return (z[i] - z[i - 1]) / (times[i] - times[i - 1])


def _inverted(
    model: Network,
    z0: Tensor,
    c: Condition,
    times: list[float],
    point: Point,
    after_step: AfterStep,
    known: list[Tensor] | None,
) -> list[Tensor]:
    """z' = z + h v, from `times[0]` up."""
    c = c.expand(len(z0))
    x = [] if known is None else known
    if not x:
        x.append(z0)
    n = len(times) - 1
    for i, (t, t_next) in enumerate(pairwise(times)):
        if i + 1 < len(x):
            continue
        z = [z0, *(one * (1.0 - at) for one, at in zip(x[1:], times[1:], strict=False))]
        z_next = z[i] + (t_next - t) * velocity(model, *point(i, z), c)
        x.append(z_next / (1.0 - t_next))
        after_step(i + 1, n)
    return x
