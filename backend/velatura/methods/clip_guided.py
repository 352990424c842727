"""The shared part of the methods that CLIP guides: their common parameters, and their run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from . import fields
from .base import Context, MethodInputs

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.clip_guidance.edit import Settings


def scale(default: float) -> Any:
    """The scale of CLIP's distance."""
    return fields.slider(
        default,
        0.0,
        50000.0,
        500.0,
        "Critic's strength",
        "How strongly the critic pulls towards the prompt. Too much gives harsh patches instead of things.",
    )


def sees_selection_only(default: bool) -> Any:
    """Whether CLIP sees the inside of the mask alone."""
    return Field(
        default,
        title="Compare the selection only",
        description="Compares the selection with the prompt, and not the whole crop around it. Switch it off "
        "if the prompt describes the whole picture.",
    )


def thorough(default: bool) -> Any:
    """Whether the gradient is taken through the network."""
    return Field(
        default,
        title="Thorough",
        description="Asks the model itself how each change of the picture would turn out. Takes about twice "
        "as long, and gives more natural results.",
        json_schema_extra=fields.ADVANCED,
    )


def range_scale(default: float) -> Any:
    """The scale of the loss outside of valid colours."""
    return fields.slider(
        default,
        0.0,
        500.0,
        10.0,
        "Keep colours valid",
        "How strongly colours brighter than white or darker than black are avoided.",
        advanced=True,
    )


def run(inputs: MethodInputs, settings: Settings, context: Context) -> Tensor:
    """The edited pictures [N, 3, h, w] in [-1, 1]."""
    from velatura.clip_guidance.edit import edited
    from velatura.diffusion.samplers import Step

    model = context.model

    def after_step(step: Step, expected: Tensor) -> None:
        context.step(step.i + 1, step.n, lambda: model.decode(expected))

    z = edited(
        model, context.clip, inputs.image, inputs.mask, inputs.prompt, inputs.seeds, settings, after_step
    )
    return context.decode(z)
