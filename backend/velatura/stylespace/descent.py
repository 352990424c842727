"""Adam (Kingma & Ba 2015) on a few tensors, with a rate of its own for each step.

A descent that is stopped and resumed gives the same bytes as one that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from velatura.cache.values import storable

Loss = Callable[[int, list[Tensor]], Tensor]
"""loss(i, tensors): a number, differentiable, of the tensors before step i, from 0."""

AfterStep = Callable[[int, int, list[Tensor]], None]
"""after_step(i, n, tensors): called when step i of n, from 1, is done. It may raise to stop the descent."""


@storable("descent")
@dataclass(frozen=True)
class Descended:
    """The state after some steps: the tensors, and Adam's two moments of their gradients."""

    done: int
    values: list[Tensor]
    means: list[Tensor] = field(default_factory=list[Tensor])
    squares: list[Tensor] = field(default_factory=list[Tensor])


def descend(
    start: Sequence[Tensor],
    loss: Loss,
    rate: Callable[[float], float],
    steps: int,
    begun: list[Descended],
    after_step: AfterStep,
) -> list[Tensor]:
    """The tensors after `steps` steps.

    Call it outside of inference mode: a tensor made in it cannot take part in a gradient.

    Args:
        start: the tensors before the first step; they are not changed.
        loss: to be lowered.
        rate: Adam's, from the share of the steps that are done, in [0, 1).
        steps: of Adam, whose betas are the usual (0.9, 0.999).
        begun: empty, or as an earlier call left it that `after_step` stopped.
        after_step: called after each step.
    """
    state = begun[-1] if begun else Descended(0, list(start))
    values = [x.detach().clone().requires_grad_() for x in state.values]
    adam = torch.optim.Adam(values)
    for x, mean, square in zip(values, state.means, state.squares, strict=False):
        step = torch.tensor(float(state.done))
        adam.state[x] = {"step": step, "exp_avg": mean.clone(), "exp_avg_sq": square.clone()}
    for i in range(state.done, steps):
        adam.param_groups[0]["lr"] = rate(i / steps)
        with torch.enable_grad():
            gradients = torch.autograd.grad(loss(i, values), values)
        for x, gradient in zip(values, gradients, strict=True):
            x.grad = gradient
        adam.step()
        now = [x.detach() for x in values]
        moments = [adam.state[x] for x in values]
        means, squares = ([m[name] for m in moments] for name in ("exp_avg", "exp_avg_sq"))
        begun[:] = [Descended(i + 1, now, means, squares)]
        after_step(i + 1, steps, now)
    return [x.detach() for x in values]
