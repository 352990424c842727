"""Optimisation per picture (Avrahami et al. 2023, equations 1 and 2): of the latents, or of the decoder.

Both minimise ||D . m - x_hat . m|| + lambda ||D . (1 - m) - x . (1 - m)||, the norm being the mean squared
error and D the decoded picture: the edit inside the selection m, the layer x outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.diffusion.network import Decoder

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
        fit = _Fit.of({"z": z0.clone()}, begun)
        return fit.run(
            lambda p: decoder.picture(p["z"], weights),
            target.copy(),
            steps,
            rate,
            after_step,
        )["z"]


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
        z = z0.clone()
        fit = _Fit.of(decoder.weights, begun)
        return fit.run(lambda theta: decoder.picture(z, theta), target.copy(), steps, rate, after_step)


@dataclass(frozen=True)
class _Fit:
    """Adam (Kingma and Ba 2015, algorithm 1) whose state can be kept: values and moments by name, and the
    number of finished steps."""

    state: dict[str, Any]

    @staticmethod
    def of(start: Mapping[str, Tensor], begun: list[Any]) -> _Fit:
        """A fit from here, or the one that `begun` holds. The state stays in `begun`."""
        if not begun:
            moments = [{name: torch.zeros_like(x) for name, x in start.items()} for _ in range(2)]
            begun.append({"steps": 0, "values": {n: x.clone() for n, x in start.items()}, "moments": moments})
        return _Fit(begun[0])

    def run(
        self,
        picture: Callable[[Mapping[str, Tensor]], Tensor],
        target: Target,
        steps: int,
        rate: float,
        after_step: AfterStep,
    ) -> dict[str, Tensor]:
        """The values after so many steps in all."""
        state, (m, v) = self.state, self.state["moments"]
        b1, b2, epsilon = 0.9, 0.999, 1e-8
        while state["steps"] < steps:
            values = {name: x.detach().requires_grad_() for name, x in state["values"].items()}
            with torch.enable_grad():
                gradients = torch.autograd.grad(target.loss(picture(values)), list(values.values()))
            t = state["steps"] + 1
            for name, g in zip(values, gradients, strict=True):
                m[name].lerp_(g, 1.0 - b1)
                v[name].mul_(b2).addcmul_(g, g, value=1.0 - b2)
                spread = (v[name] / (1.0 - b2**t)).sqrt_().add_(epsilon)
                moved = values[name].detach() - rate / (1.0 - b1**t) * m[name] / spread
                state["values"][name] = moved
            state["steps"] = t
            after_step(t)
        return state["values"]
