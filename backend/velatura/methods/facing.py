"""The common part of the methods that edit a face with a style-based generator.

The face is found in the layer, seen as the generator sees faces, and turned into its code; a method moves the
code; what this changes is put back into the layer. Nothing else of the layer changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from pydantic import Field
from pydantic.config import JsonDict

from velatura.generators.styles import STYLE
from velatura_protocol.errors import VelaturaError

from . import fields, naming
from .base import Compared, Context, MethodInputs, Parameters, Stage
from .sections import SectionName

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.generators.styles import Made, StyleGenerator
    from velatura.stylespace.frames import Frame
    from velatura.stylespace.framing import Framing

FINDING = Stage("Looking for the face", 0.05)
READING = Stage("Reading the face", 0.05)
REFINING = Stage("Refining the likeness", 0.4)
LEARNING = Stage("Learning this face", 0.4)

SEES = 4
"""Side of the pictures that these methods see, in sides of the model's (`Method.sees`)."""

UNREAD_STEPS = 200
"""Steps of refinement for a model without an encoder, whose refinement starts at the mean face."""

_SAMPLES = 16  # of the generator, in which its framing is measured
_SMALLEST = 8  # pixels of a selection that can hold a face
_LAST_BITS = 1e-5  # of a difference; batches of other sizes change the last bits of a picture
_NAME = "face"  # for the segmenter


def _last(place: int, *, advanced: bool = True) -> JsonDict:
    """The marks of a field that comes after those of the method itself."""
    return {"x-order": 100 + place, "x-advanced": advanced}


class FaceParameters(Parameters):
    """The fields of every method on a face. They come last in a form."""

    place: Literal["found", "selection"] = Field(
        "found",
        title="The face is",
        description="Whether the face is looked for in the layer, or is where the selection is: then select "
        "the head with some space around.",
        json_schema_extra={"x-enum-titles": ["Found", "Where the selection is"], **_last(0, advanced=False)},
    )
    refine: int = Field(
        0,
        ge=0,
        le=1000,
        title="Likeness",
        description="For how many steps the face is studied. More steps give a better likeness of this "
        "person and take longer, once a layer.",
        json_schema_extra=_last(1),
    )
    hold: float = fields.slider(
        0.1,
        0.0,
        1.0,
        0.05,
        "Caution",
        "How closely the study stays with faces that can be changed well. Matters only with “Likeness”.",
        marks=_last(2),
    )
    learn: int = Field(
        0,
        ge=0,
        le=1000,
        title="Learn this face",
        description="For how many steps the model itself learns this one face. It gives the best likeness "
        "and takes the longest, once a layer.",
        json_schema_extra=_last(3),
    )
    context: float = fields.slider(
        2.0,
        0.0,
        4.0,
        0.25,
        "Surroundings",
        "How far around the selection the face is sought, in sizes of the selection.",
        marks={"x-context": True, **_last(4)},
    )


class OnFaces:
    """What methods on a face have in common; a base beside `Method`, before it."""

    generator: ClassVar = STYLE
    section: ClassVar[SectionName | Literal[""]] = "faces"
    sees: ClassVar[int] = SEES
    max_variations: ClassVar[int] = 1  # the result follows from the layer

    def varies(self, params: Any) -> bool:
        """See `Method`: the result follows from the layer."""
        return False

    def compared_with(self, params: Any) -> Compared:
        """See `Method`: a result is the layer itself wherever the face did not change."""
        return "layer"


@dataclass(frozen=True)
class Face:
    """A face of a layer as a generator sees it. No tensor was made in inference mode.

    Args:
        model: the generator; it has learned the face if the person wished so.
        ws: the code, [1, num_ws, w_dim].
        frame: the face's square in the layer's picture.
        picture: the layer in this square, [1, 3, s, s] in [-1, 1].
        unedited: the generator's picture of the code, [1, 3, s, s].
        parts: the probabilities of its parts, [1, K, s, s]; None for a model without parts.
    """

    model: StyleGenerator
    ws: Tensor
    frame: Frame
    picture: Tensor
    unedited: Tensor
    parts: Tensor | None

    def made(self, ws: Tensor) -> Made:
        """The generator's pictures of codes [N, num_ws, w_dim]."""
        return self.model.synthesise(self.model.styles(ws))


def face(inputs: MethodInputs, params: FaceParameters, context: Context) -> Face:
    """The face of a layer. All costly parts are made once a layer (`Context.kept`).

    Raises:
        Cancelled: the person has cancelled the job.
        VelaturaError: `empty-mask` where no face is found, and for a selection too small for one;
            `unknown-model` without a segmenter.
    """
    import torch

    from velatura.cache.keys import key_of
    from velatura.stylespace import inversion, replacing

    model = cast("StyleGenerator", context.generator)
    frame = _frame(inputs, params, context, model)
    with torch.inference_mode(False), torch.no_grad():
        picture = frame.take(inputs.image.clone(), model.size)

        def shown(code: Tensor) -> Tensor:
            change = inversion.made(model, code) - picture
            return (inputs.image + frame.put(change, inputs.size)).clamp(-1.0, 1.0)

        def read(_: list[Any]) -> Tensor:
            return _normal(inversion.encoded(model, picture))

        ws = context.kept(key_of(model, face="encoded", picture=picture), read)
        context.step(1, 1, stage=READING)
        steps = params.refine or (0 if model.has_encoder else UNREAD_STEPS)
        code: dict[str, Any] = {"picture": picture, "refine": steps, "hold": params.hold if steps else 0.0}
        if steps:

            def refine(begun: list[Any]) -> Tensor:
                return inversion.refined(model, picture, ws, steps, params.hold, begun, study)

            def study(i: int, reached: Tensor) -> None:
                context.step(i, steps, lambda: shown(reached), stage=REFINING)

            ws = context.kept(key_of(model, face="refined", **code), refine, on_disk=True)
        if params.learn:

            def learn(begun: list[Any]) -> dict[str, Tensor]:
                return inversion.tuned(
                    model,
                    picture,
                    ws,
                    params.learn,
                    begun,
                    lambda i: context.step(i, params.learn, stage=LEARNING),
                )

            key = key_of(model, face="learned", learn=params.learn, **code)
            model = inversion.with_weights(model, context.kept(key, learn, on_disk=True))
        made = model.synthesise(model.styles(ws))
        parts = replacing.parts_of(model, made)

    return Face(model, ws, frame, picture, _normal(made.pictures), None if parts is None else _normal(parts))


def put_back(face: Face, inputs: MethodInputs, made: Made) -> Tensor:
    """The layer with edited faces, [N, 3, h, w] in [-1, 1]: bitwise the layer wherever nothing was edited.

    The layer keeps its own detail, save where the edit shows another thing there; see
    `velatura.stylespace.replacing`.

    made: N edited pictures of `face.model`.
    """
    from velatura.stylespace import replacing

    change = made.pictures - face.unedited
    own = replacing.replaced(change, face.parts, replacing.parts_of(face.model, made))
    return put_changes(face, inputs, change, own)


def finished(pictures: Tensor, inputs: MethodInputs, context: Context) -> Tensor:
    """The pictures [N, 3, h, w] of a run; the result's note says if they are the layer wherever it is
    selected."""
    selected = inputs.mask > 0.0
    if not bool(((pictures != inputs.image) & selected).any()):
        context.remark("Nothing changes where it is selected; select more of the face, or ask for more.")
    return pictures


def put_changes(face: Face, inputs: MethodInputs, change: Tensor, own: Tensor) -> Tensor:
    """The layer with changes of the face, [N, 3, h, w] in [-1, 1].

    Args:
        face: the face.
        inputs: have the layer.
        change: [N, 3, s, s], to be added to the layer.
        own: [N, 1, s, s] in [0, 1], where the layer gives way to the generator's picture.
    """
    from velatura.stylespace import replacing

    change = change * (change.abs() > _LAST_BITS)
    return replacing.laid_in(inputs.image, face.frame, face.unedited, change, own).clamp(-1.0, 1.0)


def _frame(inputs: MethodInputs, params: FaceParameters, context: Context, model: StyleGenerator) -> Frame:
    """The square of the face. Raises `empty-mask` where there is none."""
    from velatura.cache.keys import key_of
    from velatura.stylespace import framing, inversion

    if params.place == "selection":
        frame = framing.selected(inputs.mask)
        if frame.side < _SMALLEST:
            raise VelaturaError(
                "empty-mask",
                "This is too small for a face; select a whole head with some space around it.",
            )
        return frame

    if (frame := _aligned(inputs, context, model)) is not None:
        context.step(1, 1, stage=FINDING)
        return frame

    def find(picture: Tensor) -> Tensor:
        return naming.find(context, picture, [_NAME])[0]

    def unlikely(picture: Tensor) -> float:
        made = inversion.made(model, inversion.encoded(model, picture))
        return float(inversion.difference(made, picture) / picture.var().clamp(min=1e-4))

    def sought(_: list[Any]) -> Frame:
        own = context.kept(key_of(model, face="framing"), lambda _: _framing(model, find), on_disk=True)
        frame = framing.found(
            find,
            inputs.image,
            inputs.mask,
            own,
            model.size,
            unlikely=unlikely if model.has_encoder else None,
            looked=lambda i, n: context.step(i, n, stage=FINDING),
        )
        if frame is None:
            raise VelaturaError(
                "empty-mask",
                "No face was found here; select the head with some space around it, and let “The face is” say"
                " “Where the selection is”.",
            )
        return frame

    key = key_of(model, face="frame", image=inputs.image, mask=inputs.mask)
    frame = context.kept(key, sought)
    context.step(1, 1, stage=FINDING)
    return frame


def _aligned(inputs: MethodInputs, context: Context, model: StyleGenerator) -> Frame | None:
    """The square of the face by its landmarks; None without their network, and where it sees no face."""
    from velatura.cache.keys import key_of
    from velatura.stylespace import alignment, inversion

    landmarks = context.landmarks
    if landmarks is None:
        return None

    def measure(_: list[Any]) -> list[alignment.Alignment]:
        codes = model.wplus(model.sample(range(_SAMPLES)))
        own = alignment.measured(landmarks.faces, inversion.made(model, codes).clamp(-1.0, 1.0))
        return [] if own is None else [own]

    own = context.kept(key_of(model, face="alignment"), measure, on_disk=True)
    return alignment.aligned(landmarks.faces, inputs.image, inputs.mask, own[0]) if own else None


def _framing(model: StyleGenerator, find: Callable[[Tensor], Tensor]) -> Framing:
    """Where the generator's own pictures have the face. Raises `unknown-model` where they have none."""
    from velatura.stylespace import framing, inversion

    codes = model.wplus(model.sample(range(_SAMPLES)))
    pictures = inversion.made(model, codes).clamp(-1.0, 1.0)
    measured = framing.measured(find, pictures)
    if measured is None:
        raise VelaturaError(
            "unknown-model",
            "This model makes no faces that could be looked for; select the thing to change with some space"
            " around it, and let “The face is” say “Where the selection is”.",
        )
    return measured


def _normal(x: Tensor) -> Tensor:
    """A copy that can take part in a gradient; to be called outside of inference mode."""
    return x.detach().clone()
