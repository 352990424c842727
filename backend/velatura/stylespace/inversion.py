"""From a picture to the code of a generator: its encoder, refinement of the code, and of the generator.

- Encoder: one pass (Tov et al. 2021, Designing an Encoder for StyleGAN Image Manipulation; Richardson et al.
  2021, Encoding in Style).
- Refinement in W+ (Abdal et al. 2019, Image2StyleGAN, equation 1), held near the encoder's code, since edits
  work best there (Tov et al. 2021, section 3).
- Pivotal tuning (Roich et al. 2022, Pivotal Tuning for Latent-based Editing of Real Images, equation 3): the
  code stays, and the synthesis learns the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.fitting.adam import fit, gradients_of
from velatura.generators.styles import StyleGenerator, TunedGenerator

AfterStep = Callable[[int, Tensor], None]
"""after_step(i, ws): called when step i, from 1, is done. It may raise to stop."""

RATE = 0.02
"""Of refinement, in units of w."""

TUNING_RATE = 1e-3
"""Of pivotal tuning."""

LEVELS = 3
"""Sizes at which pictures are compared: the whole, a half, a quarter."""


def encoded(model: StyleGenerator, picture: Tensor) -> Tensor:
    """The encoder's W+ [1, num_ws, w_dim] of a picture [1, 3, s, s]; without an encoder, the mean code."""
    if model.has_encoder:
        return model.encode(picture)
    return model.wplus(model.w_avg[None])


def made(model: StyleGenerator, ws: Tensor) -> Tensor:
    """The pictures [N, 3, s, s] of W+ codes, with a gradient."""
    return model.synthesise(model.styles(ws)).pictures


def difference(pictures: Tensor, picture: Tensor) -> Tensor:
    """Mean square difference of pictures [1, 3, s, s], as the mean over their sizes s, s/2, s/4.

    The smaller ones weigh colours and shapes in the right place more than texture.
    """
    total = torch.zeros((), device=picture.device)
    for level in range(LEVELS):
        if level:
            pictures, picture = F.avg_pool2d(pictures, 2), F.avg_pool2d(picture, 2)
        total = total + F.mse_loss(pictures, picture)
    return total / LEVELS


def refined(
    model: StyleGenerator,
    picture: Tensor,
    ws: Tensor,
    steps: int,
    hold: float,
    begun: list[Any],
    after_step: AfterStep,
) -> Tensor:
    """W+ codes [1, num_ws, w_dim] whose picture is nearer to a given one.

    Minimises `difference` + hold mean((w - w_0)^2), the second in units of the code's own spread.

    Args:
        model: the generator; none of its weights changes.
        picture: [1, 3, s, s] in [-1, 1].
        ws: w_0, where to start.
        steps: of Adam. The rate falls to 0 in the last quarter.
        hold: weight of the second term, at least 0.
        begun: see `velatura.fitting.adam.fit`.
        after_step: called after each step.
    """
    with torch.inference_mode(False), torch.no_grad():
        picture, w0 = picture.clone(), ws.clone()
        spread = (w0 - model.w_avg).square().mean().clamp(min=1e-6)

    def loss(_: int, x: list[Tensor]) -> Tensor:
        (w,) = x
        return difference(made(model, w), picture) + hold * (w - w0).square().mean() / spread

    return fit(
        [w0], gradients_of(loss), _falling(RATE, steps), steps, begun, lambda i, x: after_step(i, x[0])
    )[0]


def tuned(
    model: StyleGenerator,
    picture: Tensor,
    ws: Tensor,
    steps: int,
    begun: list[Any],
    after_step: Callable[[int], None],
) -> dict[str, Tensor]:
    """The weights of `TunedGenerator.weights` with which the code's picture is the given one.

    Args:
        model: the generator, which stays as it is.
        picture: [1, 3, s, s] in [-1, 1].
        ws: the pivot, [1, num_ws, w_dim].
        steps: of Adam.
        begun: see `velatura.fitting.adam.fit`.
        after_step: called with the number of each step, from 1.
    """
    with torch.inference_mode(False), torch.enable_grad():
        own = model.tuned()
        picture, ws = picture.clone(), ws.clone()
        parameters = own.parameters()

        def gradients(_: int, x: list[Tensor]) -> list[Tensor]:
            _set(parameters, x)
            return list(torch.autograd.grad(difference(made(own, ws), picture), parameters))

        fitted = fit(
            parameters, gradients, _falling(TUNING_RATE, steps), steps, begun, lambda i, _: after_step(i)
        )
        _set(parameters, fitted)
        return {name: weight.detach().clone() for name, weight in own.weights().items()}


def with_weights(model: StyleGenerator, weights: dict[str, Tensor]) -> TunedGenerator:
    """The generator with weights that `tuned` gave."""
    with torch.inference_mode(False):
        own = model.tuned()
        own.load_weights(weights)
        return own


def _falling(rate: float, steps: int) -> Callable[[int], float]:
    """A rate that falls evenly in the last quarter, so that the last steps settle."""
    return lambda i: rate * min(1.0, (steps - i) / max(steps / 4.0, 1.0))


@torch.no_grad()
def _set(parameters: list[Tensor], values: list[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)
