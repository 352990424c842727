"""The shared part of the methods that CLIP leads, and the run of those in which it guides diffusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from . import fields
from .base import Context, Inputs, MethodInputs, Parameters
from .sections import SectionName

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.clip_guidance.edit import Settings


def thorough(default: bool) -> Any:
    """Whether the gradient is taken through the network."""
    return Field(
        default,
        title="Thorough",
        description="Asks the model itself how each change of the picture would turn out. Takes about twice "
        "as long, and gives more natural results.",
        json_schema_extra=fields.ADVANCED,
    )


class LedByClip:
    """The declaration of a `Method` that CLIP leads to the prompt in a selection."""

    inputs: ClassVar[Inputs] = Inputs(source="required", mask="optional", prompt="required")
    section: ClassVar[SectionName | Literal[""]] = "critic"
    needs: ClassVar[str] = "clip"
    drafts: ClassVar[bool] = False


class ClipGuidedParameters(Parameters):
    strength: float = fields.strength(0.75, "How far the picture may move from what is there.")
    scale: float = fields.slider(
        5000.0,
        0.0,
        50000.0,
        500.0,
        "Critic's strength",
        "How strongly the critic pulls towards the prompt. Too much gives harsh patches instead of things.",
    )
    context: float = fields.context(1.0)
    sees_selection_only: bool = Field(
        False,
        title="Compare the selection only",
        description="Compares the selection with the prompt, and not the whole crop around it. Switch it off "
        "if the prompt describes the whole picture.",
    )
    thorough: bool = thorough(True)
    range: float = fields.slider(
        50.0,
        0.0,
        500.0,
        10.0,
        "Keep colours valid",
        "How strongly colours brighter than white or darker than black are avoided.",
        advanced=True,
    )
    steps: int = fields.steps(50)


def run(inputs: MethodInputs, settings: Settings, context: Context) -> Tensor:
    """The pictures [N, 3, h, w] in [-1, 1] of a diffusion model that CLIP guides."""
    from velatura.clip_guidance.edit import edited
    from velatura.diffusion.samplers import Step

    model = context.model

    def after_step(step: Step, expected: Tensor) -> None:
        context.step(step.i + 1, step.n, lambda: model.decode(expected))

    z = edited(
        model, context.clip, inputs.image, inputs.mask, inputs.prompt, inputs.seeds, settings, after_step
    )
    return context.decode(z)
