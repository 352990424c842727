"""What a method is: a typed parameter class, the inputs it needs, and `run`.

A method is one file of this package. It imports no torch when it is imported: the broker and the command
line read its form from it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from velatura.companions.table import COMPANIONS
from velatura.generators.protocol import DIFFUSION
from velatura_protocol.schema import Field as Understood
from velatura_protocol.schema import fields_from_schema

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.companions.blip import Captioner
    from velatura.companions.clipseg import Segmenter
    from velatura.diffusion.network import LatentDiffusion
    from velatura.generators.protocol import Generator
    from velatura.inversion.cache import Memory

Need = Literal["required", "optional", "none"]


class Cancelled(Exception):
    """The person, or the client's death, has cancelled the job. Raised by `Context.step`."""


class Parameters(BaseModel):
    """Base of every method's parameters.

    A field is written `name: type = Field(default, ge=…, le=…, title=…, description=…)`; the types are str,
    int, float, bool, `Literal[…]` of strings (an enum) and `list` of a `Parameters` class (a group). Further
    keys of the form in `json_schema_extra`: `x-advanced`, `x-multiline`, `x-enum-titles`, and, on one field
    each at most, `x-words`, `x-source-prompt` and `x-dials` (`fields` has them ready).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Inputs:
    """Which inputs a method needs. 'optional' mask: without one the whole layer is edited."""

    source: Need = "required"
    mask: Need = "optional"
    prompt: Need = "required"


@dataclass(frozen=True)
class MethodInputs:
    """What a method gets, at the model's size.

    image: [1, 3, h, w] in [-1, 1]. mask: [1, 1, h, w] in [0, 1], 1 to edit, soft values between. prompt: text
    whose length has been checked. seeds: one a variation, each 0 … 2^31-1.
    """

    image: Tensor
    mask: Tensor
    prompt: str
    seeds: list[int]


class Mask(NamedTuple):
    """What a method of result 'mask' finds. name: for the person, mostly a word. map: [h, w] in [0, 1] at the
    size of the image that the method was given, 1 selected."""

    name: str
    map: Tensor


class Context(Protocol):
    """A method's only door to models, memory, progress and cancellation."""

    @property
    def generator(self) -> Generator:
        """What to edit with, of the kind that the method names."""

    @property
    def model(self) -> LatentDiffusion:
        """The same for methods of the kind 'diffusion'."""

    @property
    def memory(self) -> Memory:
        """What is kept of pictures from one edit to the next."""

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

    def step(self, i: int, n: int, preview: Callable[[], Tensor] | None = None) -> None:
        """Says that step i of n (from 1) is done. `preview` makes a picture [1, 3, h, w] in [-1, 1] of what
        is expected, if it is asked for one. Raises `Cancelled`."""

    def decode(self, z: Tensor) -> Tensor:
        """The finished latents [N, C, h, w] as pictures [N, 3, H, W]. Raises `Cancelled` between pictures:
        on a slow device a decoder takes as long as several steps."""


class Method:
    """Base of every method. Subclasses set the class variables and define `Parameters` and `run`.

    result: 'layer', an edited picture a variation; 'mask', selections of the source, all in one variation; or
    'text', what can be said about the source, likewise. needs: the companion of the model
    (`velatura.companions.table`) that does the work in its place, or ''. generator: the kind of model that it
    works with (`velatura.generators.kinds`), '' for any. place: in the list that a person
    chooses from, smallest first; the first of all is what they begin with.
    """

    id: ClassVar[str]
    version: ClassVar[int]
    title: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    inputs: ClassVar[Inputs] = Inputs()
    result: ClassVar[Literal["layer", "mask", "text"]] = "layer"
    needs: ClassVar[str] = ""
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

    def before(self, params: Any) -> str:
        """What the layer shows as it is, in words, as far as the parameters say it; else ''."""
        return getattr(params, "source_prompt", "").strip()

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
        if cls.result not in ("layer", "mask", "text"):
            raise TypeError(f"{cls.__name__}.result is neither 'layer' nor 'mask' nor 'text'")
        if cls.result != "layer" and cls.max_variations != 1:
            raise TypeError(f"{cls.__name__}.max_variations has to be 1 where the result is {cls.result!r}")
        if cls.result == "text" and cls.inputs != Inputs("required", "none", "none"):
            raise TypeError(f"{cls.__name__}.inputs has to be the source alone where the result is 'text'")
        if cls.needs not in ("", *COMPANIONS):
            raise TypeError(f"{cls.__name__}.needs is none of {', '.join(COMPANIONS)}")
        if not isinstance(cls.generator, str):
            raise TypeError(f"{cls.__name__}.generator is no kind of model; '' means any")
        schema(cls.Parameters)


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
    _check_marks(parameters.__name__, form)
    return form


_MARKS: dict[str, tuple[Callable[[Understood], object], str]] = {
    "x-words": (lambda f: f.words, "'prompt', on a group whose items have a str `text` and an int `which`"),
    "x-source-prompt": (lambda f: f.source_prompt, "True, on a str"),
    "x-dials": (lambda f: f.dials, "True, on a group of a str `less`, a str `more` and a float `strength`"),
}


def _check_marks(where: str, form: dict) -> None:
    """Refuses marks that a client would overlook, or find twice."""
    fields = fields_from_schema(form)
    for mark, (is_understood, rule) in _MARKS.items():
        marked = {key for key, property in form["properties"].items() if mark in property}
        if len(marked) > 1:
            raise TypeError(f"{where}: only one field may have {mark}, not {', '.join(sorted(marked))}")
        if marked != {field.key for field in fields if is_understood(field)}:
            raise TypeError(f"{where}.{marked.pop()}: {mark} is {rule}")


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
    elif field.annotation in _JSON_TYPES:
        form = {"type": _JSON_TYPES[field.annotation]} | bounds
        if form["type"] in ("integer", "number") and not {"minimum", "maximum"} <= form.keys():
            raise TypeError(f"{where}: a number needs ge and le")
    else:
        raise TypeError(f"{where}: {field.annotation} is not in the subset of the protocol")
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
