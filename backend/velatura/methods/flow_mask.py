"""Select where another caption changes the layer: make the edit and select its visible changes.

FlowAlign (Kim et al. 2025); see `velatura.flow.change`."""

from __future__ import annotations

from typing import ClassVar

from . import flowing
from .base import Context, Inputs, Mask, Method, MethodInputs


class FlowMaskParameters(flowing.CaptionParameters):
    steps: int = flowing.steps(8)


class FlowMask(Method):
    id = "flow-mask"
    version = 1
    title = "Select where a caption changes it"
    summary = "Tries out a changed caption, and finds where it changes the layer."
    source = "Kim et al. 2025, arXiv:2505.23145 (FlowAlign)"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    result: ClassVar = "mask"
    max_variations = 1
    Parameters = FlowMaskParameters

    def check(self, prompt: str, params: FlowMaskParameters) -> None:
        """Raises `empty-prompt` without a caption of the layer, `bad-request` if both captions are equal."""
        flowing.changed_caption(flowing.caption(params.source_prompt), prompt)

    def run(self, inputs: MethodInputs, params: FlowMaskParameters, context: Context) -> list[Mask]:
        from velatura.flow.edit import Dial

        caption = flowing.caption(params.source_prompt)
        flow = flowing.Flow(inputs, params, context, caption)
        return [Mask("changes", flow.changed([Dial(caption, inputs.prompt, params.strength)], caption))]
