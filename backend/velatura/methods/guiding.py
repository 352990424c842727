"""Guidance as the model has it: two passes of its network, an input of one pass, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from velatura.generators.protocol import DIFFUSION, Generator
from velatura.models.recognition import Found
from velatura_protocol.errors import VelaturaError

from .base import Parameters

if TYPE_CHECKING:
    from velatura.diffusion.network import LatentDiffusion

_Parameters = TypeVar("_Parameters", bound=Parameters)
_SCALE, _NEGATIVE = "guidance", "negative_prompt"
_STEPS = "steps"
_SCALES = (_SCALE, "source_guidance")


def check(found: Found | None, id: str, params: Parameters) -> None:
    """Raises `bad-request` for a negative prompt that a model cannot read.

    Args:
        found: the model's files; None where nothing is known of them yet.
        id: of the model.
        params: of a method.
    """
    if found is not None and not found.reads_negative:
        _check_negative(id, params)


def _check_negative(id: str, params: Parameters) -> None:
    fields = type(params).model_fields
    if _NEGATIVE in fields and getattr(params, _NEGATIVE).strip():
        raise VelaturaError(
            "bad-request",
            f"The model {id!r} cannot read what to avoid; empty “{fields[_NEGATIVE].title}” and say in"
            " the prompt what should be there.",
        )


def is_guided(model: LatentDiffusion) -> bool:
    """Whether classifier-free guidance, in two passes of the network, means anything to a model."""
    return model.takes_guidance and not model.embeds_guidance


def settled(generator: Generator, params: _Parameters) -> tuple[Generator, _Parameters]:
    """The model and the parameters with which a method runs.

    Its noise levels are those of the parameter `steps`, where they depend on it. A model that gets the scale
    of guidance as an input is used at the parameter `guidance`, and one that is
    trained to do without is used as it is. For both the method itself runs without guidance, in one pass.

    Raises `bad-request` for a negative prompt, which such a model cannot read.
    """
    if generator.kind != DIFFUSION:
        return generator, params
    model = generator = cast("LatentDiffusion", generator)
    if _STEPS in type(params).model_fields:
        model = generator = model.for_steps(int(getattr(params, _STEPS)))
    if is_guided(model):
        return generator, params
    _check_negative(model.id, params)
    fields = type(params).model_fields
    if _SCALE in fields and model.embeds_guidance:
        generator = model.at_guidance(float(getattr(params, _SCALE)))
    scales = {name: 1.0 for name in _SCALES if name in fields}
    return generator, params.model_copy(update=scales) if scales else params
