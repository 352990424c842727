"""Optimisation per picture (Avrahami et al. 2023, equations 1 and 2): of the latents, or of the decoder.

Both minimise ||D . m - x_hat . m|| + lambda ||D . (1 - m) - x . (1 - m)||, the norm being the mean squared
error and D the decoded picture: the edit inside the selection m, the layer x outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.diffusion.network import Decoder
from velatura.fitting.adam import fit, gradients_of

AfterStep = Callable[[int], None]


@dataclass(frozen=True)
class Target:
    """The picture to fit.

    Args:
        edited: x_hat, [1, 3, h, w] in [-1, 1].
        source: x, [1, 3, h, w] in [-1, 1].
        m: the selection, [1, 1, h, w] in [0, 1].
        background: lambda, the weight of the background.
    """

    edited: Tensor
    source: Tensor
    m: Tensor
    background: float

    def loss(self, picture: Tensor) -> Tensor:
        """Equation 1 or 2 of a decoded picture [1, 3, h, w]."""
        inside = F.mse_loss(picture * self.m, self.edited * self.m)
        outside = F.mse_loss(picture * (1.0 - self.m), self.source * (1.0 - self.m))
        return inside + self.background * outside

    def copy(self) -> Target:
        """With tensors that can take part in a gradient, even if these were made in inference mode."""
        return Target(self.edited.clone(), self.source.clone(), self.m.clone(), self.background)


def fitted_latents(
    decoder: Decoder,
    z0: Tensor,
    target: Target,
    steps: int,
    rate: float,
    after_step: AfterStep,
    begun: list[Any],
) -> Tensor:
    """z* of equation 1, [1, C, h, w], from z0 by Adam.

    Args:
        decoder: D, of which nothing is tuned.
        z0: [1, C, h, w], the edit's latents.
        target: the picture to fit.
        steps: of Adam.
        rate: of Adam.
        after_step: called after each step, from 1; it raises to cancel.
        begun: the state of a fit that was stopped, or empty; see `Context.kept`.
    """
    with torch.inference_mode(False), torch.no_grad():
        weights = {name: weight.clone() for name, weight in decoder.weights.items()}
        own = target.copy()
        loss = gradients_of(lambda _, x: own.loss(decoder.picture(x[0], weights)))
        return fit([z0], loss, rate, steps, begun, lambda i, _: after_step(i))[0]


def tuned_decoder(
    decoder: Decoder,
    z0: Tensor,
    target: Target,
    steps: int,
    rate: float,
    after_step: AfterStep,
    begun: list[Any],
) -> dict[str, Tensor]:
    """theta* of equation 2 by name, float32, from the decoder's own theta by Adam. Arguments as of
    `fitted_latents`."""
    with torch.inference_mode(False), torch.no_grad():
        z, own, theta = z0.clone(), target.copy(), decoder.weights
        loss = gradients_of(lambda _, x: own.loss(decoder.picture(z, dict(zip(theta, x, strict=True)))))
        fitted = fit(list(theta.values()), loss, rate, steps, begun, lambda i, _: after_step(i))
        return dict(zip(theta, fitted, strict=True))
