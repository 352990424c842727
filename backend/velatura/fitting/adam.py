"""Adam on a few tensors; a fit that is stopped and resumed gives the same bytes as one that is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from velatura.cache.values import storable

Gradients = Callable[[int, list[Tensor]], Sequence[Tensor]]
"""gradients(i, x): the gradients of the tensors x in step i, from 0; called with gradients enabled."""

AfterStep = Callable[[int, list[Tensor]], None]
"""after_step(i, x): called when step i, from 1, is done, with the tensors after it. It may raise to stop."""

Rate = float | Callable[[int], float]
"""Adam's rate, or its rate in step i, from 0."""


@storable("fit")
@dataclass(frozen=True)
class State:
    """The tensors after `done` steps, and Adam's two moments of their gradients."""

    done: int
    values: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]


def fit(
    start: Sequence[Tensor],
    gradients: Gradients,
    rate: Rate,
    steps: int,
    begun: list[Any],
    after_step: AfterStep,
    *,
    within: Callable[[list[Tensor]], None] | None = None,
) -> list[Tensor]:
    """The tensors after `steps` steps of Adam (Kingma & Ba 2015, algorithm 1).

    It leaves inference mode. Tensors that were made in that mode can take part in no gradient: callers clone
    those that `gradients` uses.

    Args:
        start: the tensors before the first step, float32; they are not changed.
        gradients: of the tensors; see `gradients_of` for those of a loss.
        rate: Adam's.
        steps: in all.
        begun: empty, or as an earlier call left it that `after_step` stopped: the state after its last step.
        after_step: called after each step.
        within: changes the tensors in place after each step, to keep them in their range.
    """
    rate_of = rate if callable(rate) else lambda _: rate
    with torch.inference_mode(False), torch.no_grad():
        state = begun[0] if begun and isinstance(begun[0], State) else None
        done = 0 if state is None else state.done
        # Copies, since Adam writes in place and equal tensors that were read from a file are one tensor.
        x = [value.detach().clone().requires_grad_() for value in (start if state is None else state.values)]
        adam = torch.optim.Adam(x, lr=rate_of(done))
        if state is not None:
            for value, mean, square in zip(x, state.means, state.squares, strict=True):
                adam.state[value] = {
                    "step": torch.tensor(float(done)),
                    "exp_avg": mean.clone(),
                    "exp_avg_sq": square.clone(),
                }
        reached = [value.detach() for value in x]
        for i in range(done, steps):
            with torch.enable_grad():
                found = gradients(i, x)
            for value, gradient in zip(x, found, strict=True):
                value.grad = gradient
            adam.param_groups[0]["lr"] = rate_of(i)
            adam.step()
            if within is not None:
                within(reached)
            # Adam's own tensors and no copies, which would take as much memory again
            means, squares = ([adam.state[value][name] for value in x] for name in ("exp_avg", "exp_avg_sq"))
            begun[:] = [State(i + 1, reached, means, squares)]
            after_step(i + 1, reached)
        return reached


def gradients_of(loss: Callable[[int, list[Tensor]], Tensor]) -> Gradients:
    """The gradients of a loss [] of the step's number, from 0, and the tensors."""

    def gradients(i: int, x: list[Tensor]) -> Sequence[Tensor]:
        return torch.autograd.grad(loss(i, x), x)

    return gradients


def gradients_of_square(residual: Callable[[int, list[Tensor]], Tensor]) -> Gradients:
    """The gradients of the mean square of a residual of any shape; where half precision overflows, 0."""

    def gradients(i: int, x: list[Tensor]) -> Sequence[Tensor]:
        r = residual(i, x)
        # the gradient of the sum: that of the mean would underflow in half precision
        found = torch.autograd.grad(r.square().sum(), x)
        return [(gradient / r.numel()).nan_to_num(0.0, 0.0, 0.0) for gradient in found]

    return gradients
