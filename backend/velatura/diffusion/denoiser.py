"""The seam to the networks: a network F is adapted once to a denoiser D(x; sigma), and samplers see only D.

D(x; sigma) is the expected clean latent given x = z + sigma n (Karras et al. 2022, eq. 7, table 1):
D(x; sigma) = c_skip x + c_out F(c_in x; t(sigma), c).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from . import schedule
from .condition import Condition, cat
from .network import Network

if TYPE_CHECKING:
    from velatura.attention.places import Attend


class StepIndex(NamedTuple):
    """Step i of the n steps of a run, from 0."""

    i: int
    n: int


class Denoiser(Protocol):
    """D(x; sigma), which samplers call."""

    def __call__(self, x: Tensor, sigma: float, at: StepIndex | None = None) -> Tensor:
        """x [N, C, h, w] float32 at noise level sigma to the expected clean latent, same shape.

        at: the step that the sampler is in, for guidance that changes from step to step; None where there is
        no run. A sampler that asks twice in a step says the same twice.
        """
        ...


def denoise(model: Network, x: Tensor, sigma: float, c: Condition, attend: Attend | None = None) -> Tensor:
    """D(x; sigma, c) of one model. x: [N, C, h, w]; c: of N rows. attend: see `Network`."""
    c_skip, c_out = _PREDICTIONS[model.prediction](sigma)
    c_in = 1.0 / math.sqrt(sigma**2 + 1.0)  # a variance-preserving network wants unit variance
    hold = {} if attend is None else {"attend": attend}
    F = model.network(c_in * x, schedule.time(model.training_sigmas, sigma), c, **hold)
    return c_skip * x + c_out * F


def guided(model: Network, prompt: str, negative_prompt: str = "", scale: float = 1.0) -> Denoiser:
    """D with classifier-free guidance, see `guide`. Both halves run as one batch; at scale 1 there is no
    second half."""
    cond = model.encode_prompt(prompt)
    return guided_by(model, cond, cond if scale == 1.0 else model.encode_prompt(negative_prompt), scale)


def guided_by(model: Network, cond: Condition, uncond: Condition, scale: float) -> Denoiser:
    """`guided` by conditions of one row each, in place of prompts."""
    if scale == 1.0:
        return lambda x, sigma, at=None: denoise(model, x, sigma, cond.expand(len(x)))

    def D(x: Tensor, sigma: float, at: StepIndex | None = None) -> Tensor:
        c = cat([uncond.expand(len(x)), cond.expand(len(x))])
        D_u, D_c = denoise(model, torch.cat([x, x]), sigma, c).chunk(2)
        return guide(model, x, sigma, D_c, D_u, scale)

    return D


def guide(model: Network, x: Tensor, sigma: float, D_c: Tensor, D_u: Tensor, scale: float | Tensor) -> Tensor:
    """Classifier-free guidance (Ho & Salimans 2022, eq. 6): D_u + scale (D_c - D_u), each [N, C, h, w];
    scale: one, or [N, 1, 1, 1].

    D is affine in F at given x, so guiding D is the same as guiding what the network predicts. Of that, a
    share phi, the model's `guidance_rescale`, is brought back to the spread it has without guidance, which
    otherwise burns out the colours of models that know pure noise (Lin et al. 2024, eq. 15 and 16).
    """
    D = D_u + scale * (D_c - D_u)
    phi = model.guidance_rescale
    if not phi:
        return D
    pure = _PREDICTIONS[model.prediction](sigma)[0] * x  # D less this is c_out F; c_out cancels below
    spread, guided = ((half - pure).std((1, 2, 3), keepdim=True) for half in (D_c, D))
    return pure + (phi * spread / guided + (1.0 - phi)) * (D - pure)


def predict_noise(model: Network, x: Tensor, sigma: float, c: Condition, told: float | None = None) -> Tensor:
    """n = (x - D(x; sigma, c)) / sigma, and at sigma = 0 its limit, which a network that predicts z has not.

    c: of N rows. told: the noise level that the network is told instead of sigma.
    """
    c_x, c_F = _NOISES[model.prediction](sigma)
    c_in = 1.0 / math.sqrt(sigma**2 + 1.0)
    F = model.network(c_in * x, schedule.time(model.training_sigmas, sigma if told is None else told), c)
    return c_x * x + c_F * F


def _epsilon(sigma: float) -> tuple[float, float]:
    """F predicts n: z = x - sigma n."""
    return 1.0, -sigma


def _velocity(sigma: float) -> tuple[float, float]:
    """F predicts v = (n - sigma z) / sqrt(sigma^2 + 1) (Salimans & Ho 2022, appendix D)."""
    return 1.0 / (sigma**2 + 1.0), -sigma / math.sqrt(sigma**2 + 1.0)


def _sample(_: float) -> tuple[float, float]:
    """F predicts z."""
    return 0.0, 1.0


_PREDICTIONS = {"epsilon": _epsilon, "v_prediction": _velocity, "sample": _sample}
"""(c_skip, c_out) by what the network predicts."""

_NOISES = {
    "epsilon": lambda sigma: (0.0, 1.0),
    "v_prediction": lambda sigma: (sigma / (sigma**2 + 1.0), 1.0 / math.sqrt(sigma**2 + 1.0)),
    "sample": lambda sigma: (1.0 / sigma, -1.0 / sigma),
}
"""((1 - c_skip) / sigma, -c_out / sigma) of the same, in which sigma = 0 cancels."""
