"""The daemon's methods and models, typed (SPEC section 4, `methods`).

This is the only reader of the daemon's answer. A malformed answer is refused whole, with `bad-message`: half
a list would hide methods silently. A newer daemon may send more than this version knows: unknown fields are
ignored, and a method with an unknown kind of result or input is left out, since no host could run it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeGuard, get_args

from .choices import raster_fields
from .dials import about_edit
from .errors import VelaturaError
from .inputs import OWN, RasterInput
from .kinds import RESULTS, ResultKind
from .reading import as_integer, as_list, as_object, text_of
from .requests import MAX_VARIATIONS, Edit
from .schema import Field, complete_fields, fields_from_schema, own_defaults

Need = Literal["required", "optional", "none"]
PROMPT = "prompt"  #: the one input that is no raster

_MOST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """A method as the daemon describes it.

    Attributes:
        id: its name in a request.
        version: 1 and up.
        title: for the person.
        summary: for the person.
        source: its publication.
        inputs: the need of the layer, the selection and the prompt, by name.
        result: a key of `kinds.RESULTS`.
        max_variations: 1 ... 64.
        fields: its parameters, in order; `form` has the further rasters too.
        further: the rasters that it takes beside the layer and the selection.
        drafts: whether it gives drafts; one that gives none is asked for none.
        from_nothing: whether it looks at nothing of the layer, which may then be empty.
        section: the title of its part of the list, for the person; '' where the daemon knows no sections.
        crops: whether the daemon takes a part of the layer for it; see `crops`.
    """

    id: str
    version: int
    title: str
    summary: str
    source: str
    inputs: Mapping[str, Need]
    result: str
    max_variations: int
    fields: tuple[Field, ...]
    further: tuple[RasterInput, ...] = ()
    drafts: bool = True
    from_nothing: bool = False
    section: str = ""
    crops: bool = False

    @classmethod
    def from_wire(cls, value: object) -> MethodInfo | None:
        """Reads one of the daemon's methods; None for one that this version cannot run.

        Raises `bad-message`.
        """
        method = _object(value, "a method")
        identifier = _text(method, "id", "a method")
        inputs = _object(method.get("inputs"), f"inputs of {identifier}")
        needs: dict[str, Need] = {name: need for name, need in inputs.items() if _is_need(need)}
        result = method.get("result", "layer")
        drafts, from_nothing = method.get("drafts", True), method.get("from_nothing", False)
        if not isinstance(result, str) or not all(isinstance(need, str) for need in inputs.values()):
            raise _bad(f"result or inputs of {identifier}")
        if not isinstance(drafts, bool) or not isinstance(from_nothing, bool):
            raise _bad(f"drafts or from_nothing of {identifier}")
        further = _further(method.get("rasters", []), identifier)
        if result not in RESULTS or len(needs) < len(inputs) or further is None:
            return None
        return cls(
            id=identifier,
            version=_integer(method, "version", 1, _MOST, identifier),
            title=_text(method, "title", identifier),
            summary=text_of(method, "summary"),
            source=text_of(method, "source"),
            inputs=needs,
            result=result,
            max_variations=_integer(method, "max_variations", 1, MAX_VARIATIONS, identifier),
            fields=_fields(method.get("parameters"), identifier),
            further=further,
            drafts=drafts,
            from_nothing=from_nothing,
            section=text_of(method, "section"),
            crops=method.get("crops") is True,
        )

    @property
    def rasters(self) -> dict[str, Need]:
        """The need of each raster that it takes, by name."""
        own: dict[str, Need] = {
            name: need for name, need in self.inputs.items() if name != PROMPT and need != "none"
        }
        further: dict[str, Need] = {raster.name: raster.need for raster in self.further}
        return own | further

    @property
    def kind(self) -> ResultKind:
        """How a host treats its result."""
        return RESULTS[self.result]

    @property
    def form(self) -> tuple[Field, ...]:
        """All fields that a person fills in beside the prompt: its further rasters, then its parameters."""
        return (*raster_fields(self.further), *(spec for spec in self.fields if not spec.around))

    def need(self, name: str) -> Need:
        """The need of the input of this name; `none` where it has no such input."""
        return self.inputs.get(name, "none")

    @property
    def words(self) -> Field | None:
        """The group whose entries are about words of the prompt."""
        return next((spec for spec in self.fields if spec.words), None)

    @property
    def dials(self) -> Field | None:
        """The group whose entries are dials."""
        return next((spec for spec in self.fields if spec.dials), None)

    @property
    def around(self) -> Field | None:
        """The group of seeds that the variations lie close to; None where it has no *more like this*."""
        return next((spec for spec in self.fields if spec.around and self.max_variations > 1), None)

    @property
    def thing(self) -> Field | None:
        """The text that names things in the source."""
        return next((spec for spec in self.fields if spec.thing), None)

    @property
    def caption(self) -> Field | None:
        """The text that is a caption of the source."""
        return next((spec for spec in self.fields if spec.source_prompt), None)

    def lacks_prompt(self, prompt: str) -> bool:
        """Whether it needs a prompt and this one is empty."""
        return self.need(PROMPT) == "required" and not prompt.strip()

    def about(self, prompt: str, parameters: Mapping[str, object]) -> str:
        """A description of an edit by it, in one line; see `dials.about_edit`."""
        return about_edit(self.fields, prompt, parameters)

    def complete(self, values: Mapping[str, object]) -> dict[str, object]:
        """The parameters with the defaults of the missing ones; raises as `schema.complete`."""
        return complete_fields(self.fields, values)

    def with_defaults(self, defaults: Mapping[str, object]) -> MethodInfo:
        """The method with a model's defaults (`own_defaults`); one out of its field's bounds is ignored."""
        own = own_defaults(defaults, self.id)
        return replace(self, fields=tuple(_with_default(spec, own) for spec in self.fields))

    def edit(
        self,
        prompt: str = "",
        parameters: Mapping[str, object] | None = None,
        *,
        model: str = "",
        seed: int = -1,
        variations: int = 1,
    ) -> Edit:
        """An edit by this version of the method; `Edit` explains the arguments."""
        return Edit(
            method=self.id,
            method_version=self.version,
            model=model,
            prompt=prompt,
            seed=seed,
            variations=variations,
            parameters=dict(parameters or {}),
        )


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as the daemon describes it.

    Attributes:
        id: its name in a request.
        title: for the person.
        kind: its file format.
        size: pixels of a side of its training pictures; 0 where the daemon gives none.
        defaults: its values in place of the methods' own defaults, by the field's key.
        lacks: ids of the methods that cannot run with it.
        is_size_known: whether `size` is certain before the model is loaded.
    """

    id: str
    title: str
    kind: str = ""
    size: int = 0
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    lacks: frozenset[str] = frozenset()
    is_size_known: bool = True

    @classmethod
    def from_wire(cls, value: object) -> ModelInfo:
        """Reads one of the daemon's models. Raises `bad-message`."""
        model = _object(value, "a model")
        identifier = _text(model, "id", "a model")
        lacks = as_list(model.get("lacks", []))
        if lacks is None:
            raise _bad(f"what {identifier} lacks")
        return cls(
            id=identifier,
            title=text_of(model, "title") or identifier,
            kind=text_of(model, "kind"),
            size=as_integer(model.get("size"), 1, _MOST) or 0,
            defaults=_object(model.get("defaults", {}), f"defaults of {identifier}"),
            lacks=frozenset(name for name in lacks if isinstance(name, str)),
            is_size_known=model.get("size_known") is not False,
        )


class Section(NamedTuple):
    """A part of the list of methods. title: for the person; '' where the daemon knows no sections."""

    title: str
    methods: tuple[MethodInfo, ...]


def in_sections(methods: Iterable[MethodInfo]) -> tuple[Section, ...]:
    """The methods in their sections; both are in the order in which they first come."""
    found: dict[str, list[MethodInfo]] = {}
    for method in methods:
        found.setdefault(method.section, []).append(method)
    return tuple(Section(title, tuple(inner)) for title, inner in found.items())


@dataclass(frozen=True, slots=True)
class Catalogue:
    """methods: in the order in which a host offers them. models: the daemon's default first."""

    methods: tuple[MethodInfo, ...] = ()
    models: tuple[ModelInfo, ...] = ()

    @classmethod
    def from_wire(cls, answer: object) -> Catalogue:
        """Reads the daemon's answer to `methods`, or a file that holds one. Raises `bad-message`."""
        lists = _object(answer, "the answer")
        methods, models = (as_list(lists.get(key)) for key in ("methods", "models"))
        if methods is None or models is None:
            raise _bad("no lists of methods and models")
        known = (MethodInfo.from_wire(method) for method in methods)
        return cls(tuple(m for m in known if m is not None), tuple(map(ModelInfo.from_wire, models)))

    @property
    def offered(self) -> tuple[MethodInfo, ...]:
        """The methods that an artist chooses from; those of result `text` are not among them."""
        return tuple(method for method in self.methods if method.kind.chosen)

    @property
    def sections(self) -> tuple[Section, ...]:
        """The methods that an artist chooses from, in their sections."""
        return in_sections(self.offered)

    def method(self, identifier: str | None) -> MethodInfo | None:
        """The method of this id that an artist can choose, or None."""
        return next((method for method in self.offered if method.id == identifier), None)

    def model(self, identifier: str) -> ModelInfo | None:
        """The model of this id, or None. Empty: the daemon's default model."""
        return next((model for model in self.models if identifier in ("", model.id)), None)

    def lacks(self, model: str, method: MethodInfo) -> bool:
        """Whether the model of this id cannot run the method. Empty: the daemon's default model."""
        info = self.model(model)
        return info is not None and method.id in info.lacks

    def for_model(self, method: MethodInfo, model: str) -> MethodInfo:
        """The method with the defaults of the model of this id."""
        info = self.model(model)
        return method if info is None else method.with_defaults(info.defaults)

    @property
    def first_edit(self) -> MethodInfo | None:
        """The method that is chosen at first (SPEC section 4)."""
        return next((method for method in self.methods if method.kind.is_edit), None)

    @property
    def word_finder(self) -> MethodInfo | None:
        """The first method that selects words of the prompt (SPEC section 4)."""
        finders = (method for method in self.methods if method.kind.insert == "selections" and method.words)
        return next(finders, None)

    @property
    def proposer(self) -> MethodInfo | None:
        """The first method that captions a layer (SPEC section 4)."""
        return next((method for method in self.methods if method.kind.insert == "texts"), None)

    @property
    def dialler(self) -> MethodInfo | None:
        """The first method that edits by dials."""
        return next((method for method in self.methods if method.kind.is_edit and method.dials), None)


def _with_default(spec: Field, defaults: Mapping[str, object]) -> Field:
    if spec.key not in defaults:
        return spec
    try:
        return replace(spec, default=spec.check(defaults[spec.key]))
    except VelaturaError:
        return spec


def _fields(schema: object, identifier: str) -> tuple[Field, ...]:
    try:
        return tuple(fields_from_schema(schema))
    except VelaturaError as error:
        raise _bad(f"parameters of {identifier}") from error


def _is_need(value: object) -> TypeGuard[Need]:
    return value in get_args(Need)


def _further(listed: object, identifier: str) -> tuple[RasterInput, ...] | None:
    """The further rasters that this version knows; None where an unknown one is required, or may be."""
    values = as_list(listed)
    if values is None:
        raise _bad(f"rasters of {identifier}")
    optional = [value for value in values if (as_object(value) or {}).get("need") == "optional"]
    read = [(value, RasterInput.from_wire(value)) for value in values]
    if any(raster is None and value not in optional for value, raster in read):
        return None
    return tuple(raster for _, raster in read if raster is not None and raster.name not in OWN)


def _bad(what: str) -> VelaturaError:
    sentence = "The daemon's list of methods could not be read; update Velatura and restart its daemon."
    return VelaturaError("bad-message", sentence, detail=what)


def _object(value: object, what: str) -> dict[str, object]:
    d = as_object(value)
    if d is None:
        raise _bad(what)
    return d


def _text(value: Mapping[str, object], key: str, what: str) -> str:
    text = text_of(value, key)
    if not text:
        raise _bad(f"{key} of {what}")
    return text


def _integer(value: Mapping[str, object], key: str, low: int, high: int, what: str) -> int:
    number = as_integer(value.get(key), low, high)
    if number is None:
        raise _bad(f"{key} of {what}")
    return number
