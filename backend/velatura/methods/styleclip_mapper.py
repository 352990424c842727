"""StyleCLIP's latent mapper: a change is learned from words once, and then it is a slider for every face.

Patashnik et al. 2021, StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery, section 5.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import Field

from velatura_protocol.errors import VelaturaError

from . import clip_steered, facing, fields, shelving
from .base import Context, Inputs, Method, MethodInputs, Stage

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.generators.styles import StyleGenerator

LEARNING = Stage("Learning the change", 0.95)

_LONGEST_TITLE = 60


def _moves(title: str, what: str) -> Any:
    return Field(
        True, title=title, description=f"Whether {what} may change.", json_schema_extra=fields.ADVANCED
    )


class StyleclipMapperParameters(facing.FaceParameters):
    amount: float = clip_steered.amount(
        100.0,
        "How much of the change is made, in per cent; below 0 it goes the other way. Once the change is "
        "learned, moving this takes a moment only.",
    )
    near: float = fields.slider(
        0.8,
        0.0,
        5.0,
        0.1,
        "Stay close",
        "How firmly faces are held to what they are. Changing it learns anew.",
    )
    person: float = clip_steered.person(0.1)
    keep_as: str = fields.text(
        "Name of the slider",
        "The learned change is kept under this name, for other layers and for “Sliders of a face”. Empty: "
        "under the prompt.",
        _LONGEST_TITLE,
    )
    steps: int = fields.whole(
        300,
        5,
        50000,
        "Lessons",
        "How long the change is learned. More is surer. Changing it learns anew.",
        advanced=True,
    )
    batch: int = fields.whole(
        4,
        1,
        32,
        "Faces in a lesson",
        "How many faces each lesson looks at. More is slower and steadier.",
        advanced=True,
    )
    coarse: bool = _moves("Shape", "the pose and the shape of the head")
    medium: bool = _moves("Features", "features and hair")
    fine: bool = _moves("Colours", "colours and surfaces")
    rate: float = clip_steered.rate(0.5, 5.0)
    views: int = clip_steered.views(1)


class StyleclipMapper(facing.OnFaces, Method):
    id = "styleclip-mapper"
    version = 1
    title = "Learn a change of faces"
    summary = (
        "Learns what a prompt means for any face, and keeps it as a slider. Learning takes minutes, once."
    )
    source = "Patashnik et al. 2021, StyleCLIP, arXiv:2103.17249, section 5, equations 3 to 5"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    needs: ClassVar = "clip"
    reads_prompt: ClassVar = "clip"
    place: ClassVar = 35
    Parameters = StyleclipMapperParameters

    def check(self, prompt: str, params: StyleclipMapperParameters) -> None:
        """Raises `bad-request` where nothing may change."""
        if not (params.coarse or params.medium or params.fine):
            raise VelaturaError(
                "bad-request", "Nothing may change; switch on “Shape”, “Features” or “Colours”."
            )

    def run(self, inputs: MethodInputs, params: StyleclipMapperParameters, context: Context) -> Tensor:
        from velatura.cache.keys import key_of
        from velatura.clip_guidance.loss import wanted
        from velatura.shelf import Dial
        from velatura.stylespace import mapper
        from velatura.stylespace.applying import offset
        from velatura.stylespace.clip_losses import d_clip

        model = cast("StyleGenerator", context.generator)
        text = wanted(context.clip, inputs.prompt)
        levels = tuple(name for name in mapper.LEVELS if getattr(params, name))
        settings = mapper.Settings(
            params.steps, params.batch, params.rate, params.near, params.person, levels
        )
        key = key_of(
            model,
            styleclip=["mapper", self.version, list(astuple(settings)), params.views],
            text=text,
            eyes=clip_steered.eyes(model, context),
        )
        recipe = {
            "method": self.id,
            "version": self.version,
            "prompt": inputs.prompt,
            "parameters": params.model_dump(),
            "learned": key,
        }
        tensors = _kept(context, key)
        title = params.keep_as.strip()
        if title and tensors is None:
            title = context.shelf.check_room(title)
        face = facing.face(inputs, params, context)

        def edited(tensors: dict[str, Tensor]) -> Tensor:
            step = offset(Dial("", title or inputs.prompt, model.digest, "mapper", tensors, {}), face.ws)
            return facing.put_back(face, inputs, face.made(face.ws + params.amount / 100.0 * step))

        if tensors is not None:
            if title and not context.is_draft:  # it may have another name
                shelving.keep(context, Dial("", title, model.digest, "mapper", tensors, recipe))
            return facing.finished(edited(tensors), inputs, context)
        distance = d_clip(context.clip, text, params.views)

        def learned(begun: list[Any]) -> dict[str, Tensor]:
            def after_step(i: int, now: dict[str, Tensor]) -> None:
                context.step(i, settings.steps, lambda: edited(now), stage=LEARNING)

            recogniser = clip_steered.recogniser(context)
            return mapper.train(model, distance, recogniser, settings, begun, after_step)

        tensors = context.kept(key, learned, on_disk=True)
        try:
            name = title or inputs.prompt[:_LONGEST_TITLE]
            shelving.keep(context, Dial("", name, model.digest, "mapper", tensors, recipe))
        except VelaturaError:
            if title:  # under the prompt it is kept where there is room, and else it stays in the cache
                raise
        return facing.finished(edited(tensors), inputs, context)


def _kept(context: Context, key: str) -> dict[str, Tensor] | None:
    """The tensors of the mapper that was learned under a key, from the shelf; None if it is not there."""
    for entry in context.shelf.entries(context.generator.digest):
        if entry.recipe.get("learned") == key:
            tensors = context.shelf.load(entry.id).tensors
            return {name: x.to(context.generator.device) for name, x in tensors.items()}
    return None
