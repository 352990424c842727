"""The picture's negative, after steps without end: a job that is surely still running, on any machine."""

import os
import time
from pathlib import Path

from velatura.methods import fields
from velatura.methods.base import Inputs, Method, Parameters


class UntilToldParameters(Parameters):
    steps: int = fields.steps(16)
    context: float = fields.context(0.0)


class UntilTold(Method):
    """Ends when it is cancelled, or once `tests.more_methods.let_end` has been called."""

    id = "until-told"
    version = 1
    title = "Until told"
    summary = "Runs until it is told to end."
    source = "tests"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    Parameters = UntilToldParameters

    def run(self, inputs, params, context):
        told = Path(os.environ["VELATURA_STATE_DIR"]) / "let-end"
        self._fail(told.parent / "device-fails")
        if (told.parent / "quotes").exists():
            raise ValueError(f"no such words: {inputs.prompt}")
        done = 0
        while not told.exists():
            done = min(done + 1, params.steps - 1)
            context.step(done, params.steps, lambda: inputs.image)
            time.sleep(0.01)  # progress of 100 steps a second is enough
        context.step(params.steps, params.steps, lambda: inputs.image)
        return -inputs.image.expand(len(inputs.seeds), -1, -1, -1)

    def _fail(self, times):
        """Fails as a device does, as often as the file `times` says."""
        if times.exists() and (left := int(times.read_text())):
            import torch

            times.write_text(str(left - 1))
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
