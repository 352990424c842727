"""What a method is: a typed parameter class, the inputs it needs, and `run`.

A method is one file of this package. It imports no torch when it is imported: the broker and the command
line read its form from it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from velatura.companions.table import COMPANIONS
from velatura.generators.protocol import DIFFUSION
from velatura_protocol.inputs import OWN, RasterInput
from velatura_protocol.kinds import RASTERS
from velatura_protocol.schema import Field as Understood
from velatura_protocol.schema import fields_from_schema

from .kinds import KINDS

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.cache.cache import Cache
    from velatura.companions.blip import Captioner
    from velatura.companions.clipseg import Segmenter
    from velatura.diffusion.network import LatentDiffusion
    from velatura.generators.protocol import Generator

Need = Literal["required", "optional", "none"]
_Value = TypeVar("_Value")


class Cancelled(Exception):
    """The person, or the client's death, has cancelled the job. Raised by `Context.step`."""


class Parameters(BaseModel):
    """Base of every method's parameters.

    A field is written `name: type = Field(default, ge=…, le=…, title=…, description=…)`; the types are str,
    int, float, bool, `Literal[…]` of strings (an enum) and `list` of a `Parameters` class (a group), whose
    own fields may also be `str | None` with `x-raster` (the name of one of `MethodInputs.rasters`). Further
    keys of the form in `json_schema_extra`: `x-advanced`, `x-multiline`, `x-enum-titles`, and the marks,
    which say what a field is for: `x-prompt` on any number of texts, and, on one field each at most,
    `x-words`, `x-source-prompt`, `x-dials` and `x-context` (`fields` has them ready).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def marked(self, mark: str) -> list[Any]:
        """The values of the fields that bear a mark ("x-prompt"), in their order, in groups too."""
        return [value for _, value in self.marked_with_titles(mark)]

    def marked_with_titles(self, mark: str) -> list[tuple[str, Any]]:
        """As `marked`, each value after its field's title."""
        found: list[tuple[str, Any]] = []
        for key, info in type(self).model_fields.items():
            value = getattr(self, key)
            if isinstance(info.json_schema_extra, dict) and mark in info.json_schema_extra:
                found.append((info.title or key, value))
            elif isinstance(value, list):
                found += [one for item in value for one in item.marked_with_titles(mark)]
        return found


@dataclass(frozen=True)
class Inputs:
    """Which inputs a method needs. 'optional' mask: without one the whole layer is edited. rasters: further
    ones, such as a painted segmentation, a scribble or a reference; a group's entries may have some too
    (`fields.raster`)."""

    source: Need = "required"
    mask: Need = "optional"
    prompt: Need = "required"
    rasters: tuple[RasterInput, ...] = ()

    def all_rasters(self) -> list[RasterInput]:
        """Every raster that is taken, the layer and the selection first."""
        own: list[RasterInput] = []
        if self.source != "none":
            own.append(RasterInput("source", "Layer", "The layer that is edited.", "picture", self.source))
        if self.mask != "none":
            own.append(
                RasterInput("mask", "Selection", "Where it is edited; white is edited.", "mask", self.mask)
            )
        return [*own, *self.rasters]


@dataclass(frozen=True)
class MethodInputs:
    """What a method gets, at the model's size.

    image: [1, 3, h, w] in [-1, 1]. mask: [1, 1, h, w] in [0, 1], 1 to edit, soft values between. prompt: text
    whose length has been checked. seeds: one a variation, each 0 … 2^31-1. rasters: the further ones that
    are given, [1, C, h, w] by name, in the crop of the image; `velatura.canvas.rasters` has C and the range
    of each kind.
    """

    image: Tensor
    mask: Tensor
    prompt: str
    seeds: list[int]
    rasters: Mapping[str, Tensor] = field(default_factory=dict)


class Mask(NamedTuple):
    """What a method of result 'mask' finds. name: for the person, mostly a word. map: [h, w] in [0, 1] at the
    size of the image that the method was given, 1 selected."""

    name: str
    map: Tensor


class Stage(NamedTuple):
    """A part of a run that the person waits for.

    Args:
        name: what is being done, in a painter's words ("Reading the layer"), as hosts show it; '': what the
            method does mostly, "Editing" or "Looking".
        share: about how much of the whole run it takes, in (0, 1]; the last stage takes what is left, also
            of stages that were not needed.
    """

    name: str = ""
    share: float = 1.0


WHOLE = Stage()
"""The stage of a method that has only one, and the last stage of others."""


class Context(Protocol):
    """A method's only door to models, what is kept, progress and cancellation."""

    @property
    def generator(self) -> Generator:
        """What to edit with, of the kind that the method names."""

    @property
    def model(self) -> LatentDiffusion:
        """The same for methods of the kind 'diffusion'."""

    @property
    def cache(self) -> Cache:
        """The store behind `kept`, for what grows while an edit runs along it."""

    @property
    def is_draft(self) -> bool:
        """Whether it is only a look at what would be, for who moves a slider. It has one seed."""

    @property
    def captioner(self) -> Captioner:
        """What says in words what a picture shows. Raises `unknown-model` if the model has none."""

    @property
    def segmenter(self) -> Segmenter:
        """What finds what words name. Raises `unknown-model` if the model has none."""

    @property
    def reconstruction(self) -> Tensor:
        """D(E(x)): what the autoencoder makes of the unedited picture, [1, 3, h, w] in [-1, 1]."""

    def kept(self, key: str, make: Callable[[list[Any]], _Value], *, on_disk: bool = False) -> _Value:
        """What costs much to make and is made once a layer: an inversion, fitted embeddings, tuned weights.
        It is made only where it is not kept from an edit before; see `velatura.cache.cache.Cache.kept`.

        Args:
            key: of `velatura.cache.keys.key_of`: it names the inputs and all parameters that matter.
            make: makes the value, on the model's device. It is given a list to which it adds what it has
                finished, as often as it likes; if the person cancels, it is given that list again next time.
            on_disk: whether it takes longer to make than to read from a disk. Dataclasses in it are to be
                `velatura.cache.values.storable`.
        """

    def step(
        self, i: int, n: int, preview: Callable[[], Tensor] | None = None, *, stage: Stage = WHOLE
    ) -> None:
        """Says that step i of n (from 1) of a stage is done. `preview` makes a picture of what is expected,
        [1, 3, h, w] in [-1, 1], if it is asked for one. Raises `Cancelled`."""

    def decode(self, z: Tensor) -> Tensor:
        """The finished latents [N, C, h, w] as pictures [N, 3, H, W]. Raises `Cancelled` between pictures:
        on a slow device a decoder takes as long as several steps."""


class Method:
    """Base of every method. Subclasses set the class variables and define `Parameters` and `run`.

    result: the id of one of `kinds.KINDS`: 'layer', an edited picture a variation; 'mask', selections of the
    source, all in one variation; or 'text', what can be said about the source, likewise. needs: the companion
    of the model (`velatura.companions.table`) that does the work in its place, or ''. generator: the kind of
    model that it works with (`velatura.generators.kinds`), '' for any. drafts: whether a look at what it
    would give pays while a person moves a slider; no, where nothing can be shown before minutes have passed.
    place: in the list that a person chooses from, smallest first; the first of all is what they begin with.
    """

    id: ClassVar[str]
    version: ClassVar[int]
    title: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    inputs: ClassVar[Inputs] = Inputs()
    result: ClassVar[str] = "layer"
    needs: ClassVar[str] = ""
    drafts: ClassVar[bool] = True
    generator: ClassVar[str] = DIFFUSION
    max_variations: ClassVar[int] = 8
    place: ClassVar[int] = 100
    Parameters: ClassVar[type[Parameters]]

    def run(self, inputs: MethodInputs, params: Any, context: Context) -> Tensor | list[Mask] | list[str]:
        """The edited pictures, [N, 3, h, w] in [-1, 1], one a seed; of result 'mask', the masks, of 'text',
        the texts, the likeliest first; at least one. Raises `Cancelled`."""
        raise NotImplementedError

    def check(self, prompt: str, params: Any) -> None:
        """Raises VelaturaError for what can be seen to be wrong before a model is loaded."""

    def varies(self, params: Any) -> bool:
        """Whether another seed gives another result; else only one variation may be asked for."""
        return True

    def wanted(self, prompt: str, params: Any) -> str:
        """What the result should show, in the words that variations are ranked by: mostly the prompt."""
        return prompt

    def before(self, params: Parameters) -> str:
        """What the layer shows as it is, in words, as far as the parameters say it; else ''."""
        return next(iter(params.marked("x-source-prompt")), "").strip()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Raises TypeError where the class is not whole, so that a bad method fails at import."""
        super().__init_subclass__(**kwargs)
        for name in ("id", "version", "title", "summary", "source", "Parameters"):
            if name not in cls.__dict__:
                raise TypeError(f"{cls.__name__} does not say its {name}")
        if cls.id != cls.id.lower() or not cls.id.replace("-", "").isalnum():
            raise TypeError(f"{cls.__name__}.id: lower-case letters, digits and hyphens only, not {cls.id!r}")
        if not (inspect.isclass(cls.Parameters) and issubclass(cls.Parameters, Parameters)):
            raise TypeError(f"{cls.__name__}.Parameters is not a class of parameters")
        if "run" not in cls.__dict__:
            raise TypeError(f"{cls.__name__} does not say how to run")
        if cls.result not in KINDS:
            raise TypeError(f"{cls.__name__}.result is none of {', '.join(KINDS)}")
        KINDS[cls.result].check(cls)
        _check_rasters(cls.__name__, cls.inputs.rasters)
        if cls.needs not in ("", *COMPANIONS):
            raise TypeError(f"{cls.__name__}.needs is none of {', '.join(COMPANIONS)}")
        if not isinstance(cls.generator, str):
            raise TypeError(f"{cls.__name__}.generator is no kind of model; '' means any")
        schema(cls.Parameters)


def _check_rasters(where: str, rasters: Sequence[RasterInput]) -> None:
    """Raises TypeError for rasters that no client would understand, or that have one name."""
    names = [raster.name for raster in rasters]
    if len({*names, *OWN}) < len(names) + len(OWN):
        raise TypeError(f"{where}.inputs: two rasters have one name, or the name {' or '.join(OWN)}")
    for raster in rasters:
        if RasterInput.from_wire(raster.to_wire()) != raster or not raster.description:
            raise TypeError(f"{where}.inputs: {raster} is no raster that the protocol knows, or says nothing")


def schema(parameters: type[Parameters], *, group: bool = False) -> dict:
    """The JSON Schema of a class of parameters, in the subset of the protocol (SPEC section 6).

    Raises TypeError for a field outside the subset, without title or description, or with a bad default.
    """
    properties = {
        key: _form(f"{parameters.__name__}.{key}", field, order, group=group)
        for order, (key, field) in enumerate(parameters.model_fields.items())
    }
    parameters()  # every field has a default, and pydantic finds it within its bounds
    form = {"type": "object", "properties": properties}
    _check_marks(parameters.__name__, form, group=group)
    return form


_MARKS: dict[str, tuple[Callable[[Understood], object], str]] = {
    "x-prompt": (lambda f: f.prompt, "True, on a str"),
    "x-context": (lambda f: f.context, "True, on a float"),
    "x-words": (lambda f: f.words, "'prompt', on a group whose items have a str `text` and an int `which`"),
    "x-source-prompt": (lambda f: f.source_prompt, "True, on a str"),
    "x-dials": (lambda f: f.dials, "True, on a group of a str `less`, a str `more` and a float `strength`"),
}


_OFTEN = {"x-prompt"}
"""Marks that several fields may bear."""


def _check_marks(where: str, form: dict, *, group: bool) -> None:
    """Refuses marks that a client would overlook, or find twice. group: whether `form` is of its items."""
    fields = fields_from_schema(form)
    for mark, (is_understood, rule) in _MARKS.items():
        marked = {key for key, property in form["properties"].items() if mark in property}
        if marked and group and mark not in _OFTEN:
            raise TypeError(f"{where}: no item of a group may have {mark}")
        if len(marked) > 1 and mark not in _OFTEN:
            raise TypeError(f"{where}: only one field may have {mark}, not {', '.join(sorted(marked))}")
        if marked != {field.key for field in fields if is_understood(field)}:
            raise TypeError(f"{where}.{', '.join(sorted(marked))}: {mark} is {rule}")


_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _form(where: str, field: FieldInfo, order: int, *, group: bool) -> dict:
    if not field.title or not field.description:
        raise TypeError(f"{where}: a field needs a title and a description")
    extra = dict(field.json_schema_extra or {})
    bounds = _bounds(field)
    form: dict[str, Any]
    if get_origin(field.annotation) is Literal:
        form = {"type": "string", "enum": list(get_args(field.annotation))}
        if len(extra.get("x-enum-titles", ())) != len(form["enum"]):
            raise TypeError(f"{where}: an enum needs as many x-enum-titles as values")
    elif get_origin(field.annotation) is list and not group:
        (item,) = get_args(field.annotation)
        form = {"type": "array", "items": schema(item, group=True)}
        form |= {k: bounds[k] for k in ("minItems", "maxItems") if k in bounds}
        if "maxItems" not in form:
            raise TypeError(f"{where}: a group needs max_length")
    elif group and field.annotation == (str | None) and extra.get("x-raster") in RASTERS:
        form = {"type": ["string", "null"]}
    elif field.annotation in _JSON_TYPES:
        form = {"type": _JSON_TYPES[field.annotation]} | bounds
        if form["type"] in ("integer", "number") and not {"minimum", "maximum"} <= form.keys():
            raise TypeError(f"{where}: a number needs ge and le")
    else:
        raise TypeError(f"{where}: {field.annotation} is not in the subset of the protocol")
    if "x-raster" in extra and form["type"] != ["string", "null"]:
        raise TypeError(f"{where}: x-raster is a kind of raster, on a str | None of a group's entries")
    default = field.get_default(call_default_factory=True)
    form |= {"title": field.title, "description": field.description, "default": default}
    return form | {"x-order": order, "x-advanced": False} | extra


def _bounds(field: FieldInfo) -> dict:
    names = {"ge": "minimum", "le": "maximum", "multiple_of": "multipleOf"}
    if get_origin(field.annotation) is list:
        names |= {"min_length": "minItems", "max_length": "maxItems"}
    else:
        names |= {"max_length": "maxLength"}
    return {
        names[key]: getattr(constraint, key)
        for constraint in field.metadata
        for key in names
        if getattr(constraint, key, None) is not None
    }
