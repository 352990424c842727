"""More or less: dials that lead a layer between two texts, without a selection and without training.

FlowSlider (arXiv:2604.02088), with the FlowEdit of Kulikov et al. 2025 beneath it; see
`velatura.flow.pull`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from velatura_protocol.errors import VelaturaError

from . import fields, flowing
from .base import Context, Inputs, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from torch import Tensor


class FlowSliderParameters(Parameters):
    source_prompt: str = fields.source_prompt(
        "A caption of the layer as it is now; the dials lead away from it."
    )
    dials: list[fields.DialSettings] = fields.dials(
        "Dials", "Each leads from one thing to another: short hair to long hair, nothing to a beard."
    )
    even: bool = Field(
        True,
        title="Even dials",
        description="Equal moves give about equal change, and at 100 the picture is about to break. "
        "The first look at a dial takes longer.",
    )
    only_changes: bool = flowing.only_changes()
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    start: float = flowing.start(0.9)
    held_to: str = flowing.held_to()
    zeta: float = flowing.zeta(0.0)
    self_until: float = flowing.self_until(0.0)
    noises: int = flowing.noises()
    steps: int = flowing.steps(16)


class FlowSlider(Method):
    id = "flow-slider"
    version = 1
    title = "More or less"
    summary = "Gives the layer more or less of what you name, by dials, and leaves the rest of it alone."
    source = "FlowSlider 2026, arXiv:2604.02088; Kulikov et al. 2025, arXiv:2412.08629"
    section = "degrees"
    place = 2
    inputs = Inputs(source="required", mask="optional", prompt="optional")
    Parameters = FlowSliderParameters

    def check(self, prompt: str, params: FlowSliderParameters) -> None:
        """Raises `empty-prompt` without a caption, `bad-request` for a dial without words."""
        caption = flowing.caption(params.source_prompt)
        for dial in params.dials:
            flowing.texts(caption, dial)
        if not prompt and not params.dials:
            raise VelaturaError("bad-request", "Add a dial, or write what the layer should show.")

    def wanted(self, prompt: str, params: FlowSliderParameters) -> str:
        """The prompt, or the caption that the strongest dial leads to."""
        caption = flowing.caption(params.source_prompt)
        return prompt or flowing.strongest(caption, params.dials)

    def run(self, inputs: MethodInputs, params: FlowSliderParameters, context: Context) -> Tensor:
        from velatura.flow.edit import Dial

        caption = flowing.caption(params.source_prompt)
        asked = [(flowing.texts(caption, dial), dial.strength / 100.0) for dial in params.dials]
        asked = [(texts, share) for texts, share in asked if share and texts.away != texts.toward]
        flow = flowing.Flow(inputs, params, context, caption)
        dials = [
            Dial(*texts, strength) for (texts, _), strength in zip(asked, flow.strengths(asked), strict=True)
        ]
        if inputs.prompt:
            dials.append(Dial(caption, inputs.prompt, flowing.WANTED))
        moves = any(dial.away != dial.toward for dial in dials)
        held_to = (params.held_to.strip() if moves else "") or caption
        return flow.edited(dials, held_to)
