"""The interface to the networks: each network F is adapted to a denoiser D(x; sigma); samplers call only D.

D(x; sigma) is the expected clean latent given x = z + sigma n (Karras et al. 2022, eq. 7, table 1):
D(x; sigma) = c_skip x + c_out F(c_in x; t(sigma), c).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

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
        """The expected clean latent of x [N, C, h, w] float32 at noise level sigma, of the same shape.

        at: the sampler's current step, for guidance that changes from step to step; None outside of a run. A
        sampler that calls twice in a step passes the same value twice.
        """
        ...


def denoise(model: Network, x: Tensor, sigma: float, c: Condition, attend: Attend | None = None) -> Tensor:
    """D(x; sigma, c) of one model. x: [N, C, h, w]; c: of N rows. attend: see `Network`."""
    c_skip, c_out = _PREDICTIONS[model.prediction](sigma)
    hold = {} if attend is None else {"attend": attend}
    F = model.network(_input(model, x, sigma), _time(model, sigma), c, **hold)
    return c_skip * x + c_out * F


def _input(model: Network, x: Tensor, sigma: float) -> Tensor:
    """c_in x: of unit variance for a variance-preserving network, (1 - t) z + t n for a flow."""
    c_in = 1.0 / (1.0 + sigma if model.prediction == FLOW else math.sqrt(sigma**2 + 1.0))
    return c_in * x


def _time(model: Network, sigma: float) -> float:
    """The time that the network gets with the noise level: see `Network.network`."""
    if model.prediction != FLOW:
        return schedule.time(model.training_sigmas, sigma)
    return 1.0 if sigma >= model.training_sigmas[-1] else sigma / (1.0 + sigma)


def guided(model: Network, prompt: str, negative_prompt: str = "", scale: float = 1.0) -> Denoiser:
    """D with classifier-free guidance, see `guide`. Both halves run as one batch; at scale 1 there is only
    the conditional half."""
    cond = model.encode_prompt(prompt)
    return guided_by(model, cond, cond if scale == 1.0 else model.encode_prompt(negative_prompt), scale)


def guided_by(model: Network, cond: Condition, uncond: Condition, scale: float) -> Denoiser:
    """As `guided`, by conditions of one row each in place of prompts."""
    if scale == 1.0:
        return lambda x, sigma, at=None: denoise(model, x, sigma, cond.expand(len(x)))

    def D(x: Tensor, sigma: float, at: StepIndex | None = None) -> Tensor:
        c = cat([uncond.expand(len(x)), cond.expand(len(x))])
        D_u, D_c = denoise(model, torch.cat([x, x]), sigma, c).chunk(2)
        return guide(model, x, sigma, D_c, D_u, scale)

    return D


def guide(model: Network, x: Tensor, sigma: float, D_c: Tensor, D_u: Tensor, scale: float | Tensor) -> Tensor:
    """Classifier-free guidance (Ho & Salimans 2022, eq. 6): D_u + scale (D_c - D_u), [N, C, h, w].

    D is affine in F at given x, so guiding D is the same as guiding the network's prediction. A share phi of
    the guided prediction, the model's `guidance_rescale`, is rescaled to the standard deviation it has
    without guidance. Without this, guidance burns out the colours of models that are trained on pure noise
    (Lin et al. 2024, eq. 15 and 16).

    Args:
        model: gives phi and the prediction type.
        x: [N, C, h, w] at the noise level sigma.
        sigma: the noise level.
        D_c, D_u: the conditional and the unconditional D, each [N, C, h, w].
        scale: one number, or [N, 1, 1, 1].
    """
    D = D_u + scale * (D_c - D_u)
    if patch := getattr(model, "guidance_patch", 0):  # of models of pictures only
        pure = _PREDICTIONS[model.prediction](sigma)[0] * x
        norms, guided = (_norms(half - pure, patch) for half in (D_c, D))
        return pure + norms / guided * (D - pure)
    phi = model.guidance_rescale
    if not phi:
        return D
    pure = _PREDICTIONS[model.prediction](sigma)[0] * x  # D - pure is c_out F; c_out cancels below
    spread, guided = ((half - pure).std((1, 2, 3), keepdim=True) for half in (D_c, D))
    return pure + (phi * spread / guided + (1.0 - phi)) * (D - pure)


def _norms(F: Tensor, patch: int) -> Tensor:
    """The norm of F [N, C, h, w] within each square of `patch` x `patch` pixels, [N, 1, h, w]."""
    squares = avg_pool2d(F.square().sum(1, keepdim=True), patch)
    return squares.sqrt().repeat_interleave(patch, -1).repeat_interleave(patch, -2)


def predict_noise(
    model: Network, x: Tensor, sigma: float, c: Condition, time_of: float | None = None
) -> Tensor:
    """n = (x - D(x; sigma, c)) / sigma [N, C, h, w]; at sigma = 0 its limit, which does not exist for a
    network that predicts z.

    Args:
        model: a network of any prediction type.
        x: [N, C, h, w] at the noise level sigma.
        sigma: the noise level.
        c: a condition of N rows.
        time_of: the noise level whose training time the network gets; None: that of sigma.
    """
    c_x, c_F = _NOISES[model.prediction](sigma)
    F = model.network(_input(model, x, sigma), _time(model, sigma if time_of is None else time_of), c)
    return c_x * x + c_F * F


def training_target(model: Network, z: Tensor, n: Tensor, sigma: float) -> Tensor:
    """The F of a perfect network at x = z + sigma n, [N, C, h, w]: n, v, z or n - z, by the prediction.

    z, n: [N, C, h, w], or [1, C, h, w] for all rows.
    """
    of_z, of_n = _TARGETS[model.prediction](sigma)
    return of_z * z + of_n * n


def _epsilon(sigma: float) -> tuple[float, float]:
    """F predicts n: z = x - sigma n."""
    return 1.0, -sigma


def _velocity(sigma: float) -> tuple[float, float]:
    """F predicts v = (n - sigma z) / sqrt(sigma^2 + 1) (Salimans & Ho 2022, appendix D)."""
    return 1.0 / (sigma**2 + 1.0), -sigma / math.sqrt(sigma**2 + 1.0)


def _sample(_: float) -> tuple[float, float]:
    """F predicts z."""
    return 0.0, 1.0


def _flow(sigma: float) -> tuple[float, float]:
    """F predicts n - z, the velocity of (1 - t) z + t n at t = sigma / (1 + sigma) (Liu et al. 2023)."""
    return 1.0 / (1.0 + sigma), -sigma / (1.0 + sigma)


FLOW = "flow"
"""The prediction of a flow model. Its network gets (1 - t) z + t n and t in [0, 1]."""
_PREDICTIONS = {"epsilon": _epsilon, "v_prediction": _velocity, "sample": _sample, FLOW: _flow}
"""(c_skip, c_out) by the type of the network's prediction."""

_NOISES = {
    "epsilon": lambda sigma: (0.0, 1.0),
    "v_prediction": lambda sigma: (sigma / (sigma**2 + 1.0), 1.0 / math.sqrt(sigma**2 + 1.0)),
    "sample": lambda sigma: (1.0 / sigma, -1.0 / sigma),
    FLOW: lambda sigma: (1.0 / (1.0 + sigma), 1.0 / (1.0 + sigma)),
}
"""((1 - c_skip) / sigma, -c_out / sigma) likewise, simplified so that sigma = 0 is no division by 0."""

_TARGETS = {
    "epsilon": lambda sigma: (0.0, 1.0),
    "v_prediction": lambda sigma: (-sigma / math.sqrt(sigma**2 + 1.0), 1.0 / math.sqrt(sigma**2 + 1.0)),
    "sample": lambda sigma: (1.0, 0.0),
    FLOW: lambda sigma: (-1.0, 1.0),
}
"""The factors of z and n in the training target, likewise."""
