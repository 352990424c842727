"""EditGAN: a face follows the repainted map of its parts.

Ling et al. 2021, EditGAN: High-Precision Semantic Image Editing; see `velatura.stylespace.editgan`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import Field

from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import RasterInput

from . import facing, fields, shelving
from .base import Context, Inputs, Method, MethodInputs, Stage

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.stylespace.editgan import Settings

FOLLOWING = Stage("Following the paint", 0.5)
PARTS = RasterInput(
    "parts",
    "Repainted parts",
    "The layer from “Show the parts of a face”, repainted with its own colours; its name says which "
    "colour is which part. Where it is transparent, the face stays as it was.",
    "labels",
)

COLOURS = RasterInput(
    "colours",
    "Colours",
    "A layer with the colours that repainted parts should have, such as a hat's. Where it is transparent, a "
    "part gets the colour that it has in the face, or any.",
    "picture",
    "optional",
)

_LEAST = 4  # changed pixels of the generator's picture
_STRANGE = 0.1  # the share of paint in strange colours that is still taken for brush marks


class EditGANParameters(facing.FaceParameters):
    amount: float = fields.slider(
        100.0,
        -100.0,
        200.0,
        5.0,
        "How much",
        "How far the face follows the paint, in per cent. Moving this later takes a moment only.",
    )
    near: bool = Field(
        True,
        title="Only near the paint",
        description="Leaves everything away from the paint exactly as it is. Switch it off to let light and "
        "shapes elsewhere adapt.",
    )
    elsewhere: float = fields.slider(
        1.0,
        0.0,
        5.0,
        0.25,
        "Hold the rest",
        "How firmly everything away from the paint is held. Lower lets light, hair and shape adapt more.",
    )
    keep_as: str = shelving.keep_as()
    steps: int = fields.whole(
        60, 1, 500, "Steps", "How long the change is sought. More follows the paint better.", advanced=True
    )
    reach: int = fields.whole(
        3,
        0,
        32,
        "Room around the paint",
        "How many of the model's pixels around the paint may change freely.",
        advanced=True,
    )
    person: float = fields.slider(
        0.0,
        0.0,
        2.0,
        0.1,
        "Same person",
        "How strongly the change is kept from making another person of the face. It matters only where the"
        " model can tell people apart.",
        advanced=True,
    )
    rate: float = fields.slider(0.05, 0.005, 0.2, 0.005, "Step size", "How far one step goes.", advanced=True)


class EditGAN(facing.OnFaces, Method):
    id = "editgan"
    version = 2
    title = "Repaint the parts of a face"
    summary = "Changes a face to fit its parts as you have repainted them: longer hair, a wider smile."
    source = "Ling et al. 2021, EditGAN, arXiv:2111.03186, section 3.2, equations 4 to 6"
    inputs = Inputs(source="required", mask="optional", prompt="none", rasters=(PARTS, COLOURS))
    place = 50
    Parameters = EditGANParameters

    def run(self, inputs: MethodInputs, params: EditGANParameters, context: Context) -> Tensor:
        from velatura.cache.keys import key_of
        from velatura.shelf import Dial
        from velatura.stylespace import editgan
        from velatura.stylespace.colours import wanted
        from velatura.stylespace.inversion import made

        keep = bool(params.keep_as.strip()) and not context.is_draft
        title = context.shelf.check_room(params.keep_as) if keep else ""
        face = facing.face(inputs, params, context)
        person = context.identity if params.person else None
        settings = _settings(params, 0.0 if person is None else params.person)
        likelihoods = editgan.likelihoods(face.model, face.ws)
        y = likelihoods.argmax(1)
        paint = _paint(inputs, face)
        y_edited = _wanted(inputs, face, likelihoods, paint)
        colours = wanted(face.picture, y, y_edited, paint)

        def shown(delta: Tensor, amount: float) -> Tensor:
            edited = made(face.model, face.ws + amount * delta)
            pictures = face.picture, face.unedited
            change, own = editgan.changes(
                pictures, edited - face.unedited, y, y_edited, amount, params.near, colours
            )
            return facing.put_changes(face, inputs, change, own)

        def sought(begun: list[Any]) -> Tensor:
            def after_step(i: int, delta: Tensor) -> None:
                context.step(i, settings.steps, lambda: shown(delta, 1.0), stage=FOLLOWING)

            def vectors(pictures: Tensor) -> Tensor:
                assert person is not None
                return person.images(pictures.clamp(-1.0, 1.0) / 2.0 + 0.5)

            alike = None if person is None else vectors
            return editgan.edit_vector(
                face.model, face.ws, y, y_edited, settings, begun, after_step, alike, colours
            )

        key = key_of(
            face.model,
            editgan=asdict(settings),
            ws=face.ws,
            unedited=face.unedited,
            wanted=y_edited,
            colours=[colours.wanted, colours.tolerance],
        )
        delta = context.kept(key, sought, on_disk=True)
        if keep:
            recipe = {"method": self.id, "version": self.version, "parameters": params.model_dump()}
            dial = Dial("", title, face.model.digest, "vector", {"ws": delta[0]}, recipe)
            shelving.keep(context, dial)
        return facing.finished(shown(delta, params.amount / 100.0), inputs, context)


def _settings(params: EditGANParameters, identity: float) -> Settings:
    from velatura.stylespace.editgan import Settings

    return Settings(
        steps=params.steps,
        rate=params.rate,
        reach=params.reach,
        pixels=Settings.pixels * params.elsewhere,
        features=Settings.features * params.elsewhere,
        identity=identity,
    )


def _paint(inputs: MethodInputs, face: facing.Face) -> Tensor | None:
    """The painted colours in the face's frame, [1, 4, s, s]; None where there are none."""
    if COLOURS.name not in inputs.rasters:
        return None
    return face.frame.take(inputs.rasters[COLOURS.name].clone(), face.model.size)


def _wanted(inputs: MethodInputs, face: facing.Face, likelihoods: Tensor, colours: Tensor | None) -> Tensor:
    """y_edited [1, s, s]. Raises `bad-request` for paint that says nothing.

    Args:
        inputs: have the paint.
        face: the face.
        likelihoods: of its parts, [1, K, s, s].
        colours: [1, 4, s, s], which say something too.
    """
    from velatura.stylespace import painted

    parts, frame = face.model.parts, face.frame
    paint = inputs.rasters[PARTS.name][:, 0]
    if painted.strange(paint, parts) > _STRANGE:
        raise VelaturaError(
            "bad-request",
            f"“{PARTS.title}” has colours of no part; pick colours from the layer of parts and repaint it"
            " with a hard brush.",
        )
    s = face.model.size
    y = likelihoods.argmax(1)
    shown = painted.in_frame(painted.in_picture(likelihoods, frame, inputs.size), frame, s)
    wanted = painted.repainted(y, shown, painted.in_frame(painted.labels_of(paint, parts), frame, s))
    coloured = 0 if colours is None else int((colours[:, 3] > 0.5).sum())
    if int((wanted != y).sum()) + coloured < _LEAST:
        raise VelaturaError(
            "bad-request",
            f"Nothing of the face differs in “{PARTS.title}”; paint over a part with another one's colour.",
        )
    return wanted
