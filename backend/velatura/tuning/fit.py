"""Adam on a few tensors; a fit that is stopped and resumed gives the same bytes as one that is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

AfterStep = Callable[[int, int], None]
"""after_step(i, n): called when step i of n, from 1, is done. It may raise to stop the fit."""


def fit(
    start: Sequence[Tensor],
    residual: Callable[[int, list[Tensor]], Tensor],
    rate: float,
    steps: int,
    begun: list[Any],
    after_step: AfterStep,
) -> list[Tensor]:
    """The tensors after `steps` steps of Adam (Kingma & Ba 2015) on the mean square of a residual.

    Call it outside of inference mode: a tensor made in it cannot take part in a gradient.

    Args:
        start: the tensors before the first step, float32; they are not changed.
        residual: the residual, of any shape, from the number of a step, from 0, and the tensors before it.
        rate: Adam's.
        steps: of Adam.
        begun: empty, or as an earlier call left it that `after_step` stopped: the state after its last step.
        after_step: called after each step.
    """
    done, values, moments = begun[0] if begun else (0, start, {})
    # Copies, since Adam writes in place and equal tensors that were read from a file are one tensor.
    fitted = [x.clone().requires_grad_() for x in values]
    moments = {i: {name: x.clone() for name, x in entry.items()} for i, entry in moments.items()}
    adam = torch.optim.Adam(fitted, lr=rate)
    adam.load_state_dict({"state": moments, "param_groups": adam.state_dict()["param_groups"]})
    for i in range(done, steps):
        with torch.enable_grad():
            r = residual(i, fitted)
            error = r.square().sum()
            # the gradient of the sum: that of the mean would underflow in half precision
            gradients = torch.autograd.grad(error, fitted)
        for x, gradient in zip(fitted, gradients, strict=True):
            # where half precision overflows, the value rests for one step
            x.grad = (gradient / r.numel()).nan_to_num(0.0, 0.0, 0.0)
        adam.step()
        begun[:] = [(i + 1, [x.detach() for x in fitted], adam.state_dict()["state"])]
        after_step(i + 1, steps)
    return [x.detach() for x in fitted]
