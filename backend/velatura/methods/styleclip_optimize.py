"""StyleCLIP's latent optimisation: one face is led to a text.

Patashnik et al. 2021, StyleCLIP: Text-Driven Manipulation of StyleGAN Imagery, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from . import clip_steered, facing, fields, shelving
from .base import Context, Inputs, Method, MethodInputs, Stage

if TYPE_CHECKING:
    from torch import Tensor

LEADING = Stage("Leading the face to the words", 0.9)


class StyleclipOptimizeParameters(facing.FaceParameters):
    amount: float = clip_steered.amount(
        100.0,
        "How much of the change is made, in per cent; above 100 it goes on the same way, below 0 it goes the "
        "other way. Once the change is found, moving this takes a moment only.",
    )
    near: float = fields.slider(
        0.008,
        0.0,
        0.1,
        0.002,
        "Stay close",
        "How firmly the whole face is held to what it is now. Low lets the words change more of it.",
    )
    person: float = clip_steered.person(0.0)
    keep_as: str = shelving.keep_as()
    steps: int = fields.whole(
        100, 5, 1000, "Steps", "How long the change is sought. More follows the words further.", advanced=True
    )
    rate: float = clip_steered.rate(0.1, 0.5)
    views: int = clip_steered.views(1)


class StyleclipOptimize(facing.OnFaces, Method):
    id = "styleclip-optimize"
    version = 1
    title = "Lead one face to words"
    summary = "Seeks the change that brings this face nearest to the prompt, step by step."
    source = "Patashnik et al. 2021, StyleCLIP, arXiv:2103.17249, section 4, equations 1 and 2"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    needs: ClassVar = "clip"
    reads_prompt: ClassVar = "clip"
    drafts = False  # it shows nothing that a person could judge before most of its steps are done
    place: ClassVar = 30
    Parameters = StyleclipOptimizeParameters

    def run(self, inputs: MethodInputs, params: StyleclipOptimizeParameters, context: Context) -> Tensor:
        from velatura.cache.keys import key_of
        from velatura.clip_guidance.loss import wanted
        from velatura.shelf import Dial
        from velatura.stylespace import optimisation
        from velatura.stylespace.clip_losses import d_clip

        title = context.shelf.check_room(params.keep_as) if params.keep_as.strip() else ""
        text = wanted(context.clip, inputs.prompt)
        face = facing.face(inputs, params, context)
        settings = optimisation.Settings(params.steps, params.rate, params.near, params.person)
        distance = d_clip(context.clip, text, params.views)

        def sought(begun: list[Any]) -> Tensor:
            def after_step(i: int, w: Tensor) -> None:
                def preview() -> Tensor:
                    return facing.put_back(face, inputs, face.made(w))

                context.step(i, settings.steps, preview, stage=LEADING)

            recogniser = clip_steered.recogniser(context)
            return optimisation.optimise(
                face.model, face.ws, distance, recogniser, settings, begun, after_step
            )

        key = key_of(
            face.model,
            styleclip=["optimise", params.steps, params.rate, params.near, params.person, params.views],
            ws=face.ws,
            unedited=face.unedited,
            text=text,
            eyes=clip_steered.eyes(face.model, context),
        )
        delta = context.kept(key, sought, on_disk=True) - face.ws
        if title:
            recipe = {
                "method": self.id,
                "version": self.version,
                "prompt": inputs.prompt,
                "parameters": params.model_dump(),
            }
            dial = Dial("", title, context.generator.digest, "vector", {"ws": delta[0]}, recipe)
            shelving.keep(context, dial)
        edited = facing.put_back(face, inputs, face.made(face.ws + params.amount / 100.0 * delta))
        return facing.finished(edited, inputs, context)
