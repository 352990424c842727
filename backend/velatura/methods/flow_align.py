"""Change what the caption says: edit a layer by another caption, without a selection.

FlowAlign (Kim et al. 2025), and FlowEdit (Kulikov et al. 2025) as the plain form; see
`velatura.flow.pull`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from . import fields, flowing
from .base import Context, Inputs, Method, MethodInputs

if TYPE_CHECKING:
    from torch import Tensor


class FlowAlignParameters(flowing.CaptionParameters):
    detail: fields.Detail = fields.detail()
    form: Literal["align", "plain"] = Field(
        "align",
        title="Way",
        description="Held to the layer at every step, or free, which changes more of the rest; Hold and "
        "Shapes kept are for the first.",
        json_schema_extra={**fields.ADVANCED, "x-enum-titles": ["Held to the layer", "Free"]},
    )


class FlowAlign(Method):
    id = "flow-align"
    version = 1
    title = "Change what the caption says"
    summary = "Edits the layer to match another caption, and leaves the rest of it alone."
    source = "Kim et al. 2025, arXiv:2505.23145 (FlowAlign); Kulikov et al. 2025, arXiv:2412.08629 (FlowEdit)"
    section = "words"
    place = 1
    inputs = Inputs(source="required", mask="optional", prompt="required")
    Parameters = FlowAlignParameters

    def check(self, prompt: str, params: FlowAlignParameters) -> None:
        """Raises `empty-prompt` without a caption of the layer."""
        flowing.caption(params.source_prompt)

    def run(self, inputs: MethodInputs, params: FlowAlignParameters, context: Context) -> Tensor:
        from velatura.flow.edit import Dial

        caption = flowing.caption(params.source_prompt)
        flow = flowing.Flow(inputs, params, context, caption)
        if params.form == "plain":
            return flow.plainly_edited(params.strength)
        dial = Dial(caption, inputs.prompt, params.strength)
        return flow.edited([dial], caption)
