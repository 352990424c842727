"""The method of a campaign: the layer's negative, in a few steps that take a moment each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from velatura.methods import fields
from velatura.methods.base import Context, Inputs, MethodInputs, Parameters
from velatura.methods.base import Method as Base

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 4
STEP_S = 0.005


class NegativeParameters(Parameters):
    """See the fields."""

    steps: int = fields.steps(STEPS)
    context: float = fields.context(0.0)


class Negative(Base):
    """See `Method`. Its result depends on every pixel of the layer, and two layers never share one."""

    id = "soak-negative"
    version = 1
    title = "Negative"
    summary = "Turns the layer into its negative, slowly."
    source = "the campaign's own"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    Parameters = NegativeParameters

    def run(self, inputs: MethodInputs, params: Any, context: Context) -> Tensor:
        """See `Method`."""
        for step in range(1, params.steps + 1):
            context.step(step, params.steps, lambda: inputs.image)
            time.sleep(STEP_S)
        return -inputs.image.expand(len(inputs.seeds), -1, -1, -1)
