"""StyleCLIP's global directions: a slider between two texts, for every face of a model.

Patashnik et al. 2021, StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery, section 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import Field

from velatura_protocol.errors import VelaturaError

from . import clip_steered, facing, fields, shelving
from .base import Context, Inputs, Method, MethodInputs, Stage

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.generators.styles import StyleGenerator
    from velatura.stylespace.directions import Relevance

MEASURING = Stage("Getting to know the model's faces", 0.02)
LOOKING = Stage("Looking at what each part of the model changes", 0.9)
CODES = 1000
"""Sampled codes of the deviations, whose error is then 2 % (published: 100,000)."""

_SAME = "The prompt and “Instead of” are the same; change a word."


class StyleclipDirectionParameters(facing.FaceParameters):
    amount: float = fields.slider(
        12.0,
        -15.0,
        15.0,
        0.1,
        "How much",
        "How far the face goes to the prompt; below 0 it goes the other way, at 0 nothing changes.",
    )
    only: float = fields.slider(
        0.25,
        0.0,
        0.9,
        0.01,
        "Only what belongs",
        "How much a feature must have to do with the words to change. Higher values leave more of the rest "
        "of the face alone; too high, and nothing changes.",
    )
    neutral: str = Field(
        "a face",
        max_length=500,
        title="Instead of",
        description="The prompt without its wish: “a face” where the prompt is “a face with a beard”. The "
        "slider leads from this to the prompt.",
    )
    keep_as: str = shelving.keep_as()
    phrases: bool = Field(
        True,
        title="In many phrases",
        description="Reads each text as a photo, a drawing, a sketch and so on, and takes the mean. The "
        "slider is steadier if the CLIP in use has seen all kinds of pictures.",
        json_schema_extra=fields.ADVANCED,
    )
    farthest: float = fields.slider(
        3.5,
        1.0,
        15.0,
        0.5,
        "Farthest",
        "How far any one feature may go, measured by how much faces differ in it. Low values look natural at "
        "any “How much”; high ones let it go beyond.",
        advanced=True,
    )
    faces: int = fields.whole(
        32,
        1,
        200,
        "Faces looked at",
        "On how many faces the parts of the model are tried out, once for each model. More is slower and "
        "surer.",
        advanced=True,
    )


class StyleclipDirection(facing.OnFaces, Method):
    id = "styleclip-direction"
    version = 2
    title = "Slide a face towards words"
    summary = "A slider from one description to another, for every face; its first use takes minutes."
    source = "Patashnik et al. 2021, StyleCLIP, arXiv:2103.17249, section 6; Wu et al. 2021, arXiv:2011.12799"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    needs: ClassVar = "clip"
    reads_prompt: ClassVar = "clip"
    place: ClassVar = 20
    Parameters = StyleclipDirectionParameters

    def check(self, prompt: str, params: StyleclipDirectionParameters) -> None:
        """Raises `empty-prompt` without a neutral text; `bad-request` where it is the prompt, and for a
        kept slider that leads nowhere."""
        if not params.neutral.strip():
            raise VelaturaError("empty-prompt", "Fill in “Instead of”, such as “a face”, to compare with.")
        if prompt.split() == params.neutral.split():
            raise VelaturaError("bad-request", _SAME)
        if params.keep_as.strip() and not params.amount:
            raise VelaturaError(
                "bad-request",
                "At 0 a kept slider would change nothing; set “How much” to another value, or leave the"
                " slider's name empty.",
            )

    def run(self, inputs: MethodInputs, params: StyleclipDirectionParameters, context: Context) -> Tensor:
        from velatura.shelf import Dial
        from velatura.stylespace import directions

        keep = bool(params.keep_as.strip()) and not context.is_draft
        title = context.shelf.check_room(params.keep_as) if keep else ""
        templates = directions.TEMPLATES if params.phrases else ()
        names = ("“Instead of”", "The prompt")
        texts = params.neutral.strip(), inputs.prompt
        delta_t = directions.text_direction(context.clip, *texts, templates, names)
        if not bool(delta_t.any()):  # the model reads no capitals, and phrases no articles
            raise VelaturaError("bad-request", _SAME)
        face = facing.face(inputs, params, context)
        relevance = _relevance(context, params.faces)
        delta_s = directions.direction(face.model, relevance, delta_t, params.only)
        if not (context.is_draft or any(bool(part.any()) for part in delta_s)):
            raise VelaturaError(
                "bad-request",
                "No feature of a face has that much to do with the prompt; lower “Only what belongs”.",
            )
        step = directions.step(delta_s, relevance.deviations, params.amount, params.farthest)
        if keep:
            recipe = {
                "method": self.id,
                "version": self.version,
                "prompt": inputs.prompt,
                "parameters": params.model_dump(),
            }
            whole = {f"s{place}": part for place, part in enumerate(step)}
            dial = Dial("", title, context.generator.digest, "direction", whole, recipe)
            shelving.keep(context, dial)
        context.step(1, 1)
        styles = directions.moved(face.model.styles(face.ws), step)
        edited = facing.put_back(face, inputs, face.model.synthesise(styles))
        return facing.finished(edited, inputs, context)


def _relevance(context: Context, faces: int) -> Relevance:
    """What each channel changes, measured once for a model (before it learns a face) and its CLIP."""
    import torch

    from velatura.cache.keys import key_of
    from velatura.stylespace import directions

    clip, model = context.clip, cast("StyleGenerator", context.generator)
    with torch.inference_mode(False), torch.no_grad():

        def sigma(_: list[Any]) -> list[Tensor]:
            return directions.deviations(model, CODES, lambda i, n: context.step(i, n, stage=MEASURING))

        deviations = context.kept(key_of(model, styleclip=["deviations", CODES]), sigma, on_disk=True)

        def measured(begun: list[Tensor]) -> Relevance:
            return directions.measure(
                model, clip, deviations, faces, begun, lambda i, n: context.step(i, n, stage=LOOKING)
            )

        key = key_of(model, styleclip=["relevance", CODES, faces], eyes=clip_steered.eyes(model, context)[:1])
        return context.kept(key, measured, on_disk=True)
