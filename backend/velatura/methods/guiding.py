"""Guidance as the model has it: two passes of its network, an input of one pass, or none."""

from __future__ import annotations

from typing import TypeVar, cast

from velatura.diffusion.network import LatentDiffusion
from velatura.generators.protocol import DIFFUSION, Generator
from velatura_protocol.errors import VelaturaError

from .base import Parameters

_Parameters = TypeVar("_Parameters", bound=Parameters)
_SCALE, _NEGATIVE = "guidance", "negative_prompt"


def settled(generator: Generator, params: _Parameters) -> tuple[Generator, _Parameters]:
    """The model and the parameters with which a method runs.

    A model that gets the scale of guidance as an input is used at the parameter `guidance`, and one that is
    trained to do without is used as it is. For both the method itself runs without guidance, in one pass.

    Raises `bad-request` for a negative prompt, which such a model cannot read.
    """
    if generator.kind != DIFFUSION:
        return generator, params
    model = cast(LatentDiffusion, generator)
    if model.takes_guidance and not model.embeds_guidance:
        return generator, params
    fields = type(params).model_fields
    if _NEGATIVE in fields and getattr(params, _NEGATIVE).strip():
        raise VelaturaError(
            "bad-request",
            f"The model {model.id!r} cannot read what to avoid; empty “{fields[_NEGATIVE].title}” and say in"
            " the prompt what should be there.",
        )
    if _SCALE not in fields:
        return generator, params
    if model.embeds_guidance:
        generator = model.at_guidance(float(getattr(params, _SCALE)))
    return generator, params.model_copy(update={_SCALE: 1.0})
