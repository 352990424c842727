"""Sliders of a face: kept directions, edits and mappers of a style-based generator, many at once.

Karras et al. 2020, StyleGAN2; Wu et al. 2021, StyleSpace Analysis; see `velatura.stylespace.applying`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from velatura_protocol.errors import VelaturaError

from . import facing, fields, shelving
from .base import Context, Inputs, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from torch import Tensor

MOST = 24  # sliders at once


class FaceDial(Parameters):
    """One slider."""

    dial: str = shelving.dial("Slider", "What changes.")
    amount: float = fields.slider(
        50.0,
        -100.0,
        100.0,
        5.0,
        "How much",
        "How far it goes, in per cent; below 0 it goes the other way, at 0 nothing changes.",
    )


class FaceDialsParameters(facing.FaceParameters):
    dials: list[FaceDial] = fields.group(
        "Sliders", "What changes in the face and how much; several add up.", MOST
    )
    reach: float = fields.slider(
        1.0,
        0.5,
        3.0,
        0.1,
        "Reach",
        "How far all sliders go at 100 per cent. Above 1 they go farther than they were made for.",
        advanced=True,
    )


class FaceDials(facing.OnFaces, Method):
    id = "face-dials"
    version = 1
    title = "Sliders of a face"
    place: ClassVar = 10
    summary = "Moves a face along sliders that you have kept, or that come with the model, several at once."
    source = "Karras et al. 2020, StyleGAN2, arXiv:1912.04958; Wu et al. 2021, arXiv:2011.12799, section 4"
    inputs = Inputs(source="required", mask="optional", prompt="none")
    max_variations = 1
    Parameters = FaceDialsParameters

    def check(self, prompt: str, params: FaceDialsParameters) -> None:
        """Raises `bad-request` where no slider is chosen."""
        if not any(entry.dial for entry in params.dials):
            raise VelaturaError("bad-request", "No slider is chosen; add one and choose what it changes.")

    def run(self, inputs: MethodInputs, params: FaceDialsParameters, context: Context) -> Tensor:
        from velatura.stylespace.applying import applied

        shelf, digest = context.shelf, context.generator.digest
        fitting = {entry.id for entry in shelf.entries(digest)}
        chosen = [(shelf.load(one.dial), one.amount) for one in params.dials if one.dial]
        for dial, _ in chosen:
            if dial.id not in fitting:
                raise VelaturaError(
                    "unknown-model",
                    f"The slider {dial.title!r} was made for another model; choose that one, or leave the"
                    " slider out.",
                )
        face = facing.face(inputs, params, context)
        moves = [(dial, params.reach * amount / 100.0) for dial, amount in chosen]
        made = face.model.synthesise(applied(face.model, face.ws, moves))
        context.step(1, 1)
        return facing.finished(facing.put_back(face, inputs, made), inputs, context)
