"""What the daemon offers, typed: its methods and models (SPEC section 4, `methods`).

Everybody reads the daemon's answer here and nowhere else. An answer that is no such thing is refused whole,
with `bad-message`: half a list would hide methods without a word. A newer daemon may say more than this
version knows, which is no fault: unknown fields are passed over, and a method whose result or inputs are of
an unknown kind is left out, since nobody here could run it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeGuard, get_args

from .choices import raster_fields
from .dials import about_edit
from .errors import VelaturaError
from .inputs import OWN, RasterInput
from .kinds import RESULTS, ResultKind
from .reading import as_integer, as_list, as_object, text_of
from .requests import MAX_VARIATIONS, Edit
from .schema import Field, complete_fields, fields_from_schema

Need = Literal["required", "optional", "none"]
PROMPT = "prompt"  #: the one input that is no raster

_MOST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """A method as the daemon describes it.

    source: where it was published. inputs: what it needs of the layer, the selection and the prompt.
    further: the other rasters that it takes. result: a key of `kinds.RESULTS`. max_variations: 1 ... 64.
    fields: its parameters, in order; `form` has the further rasters too.
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

    @classmethod
    def from_wire(cls, value: object) -> MethodInfo | None:
        """Reads one of the daemon's methods; None for one that this version cannot run.

        Raises `bad-message`.
        """
        found = _object(value, "a method")
        identifier = _text(found, "id", "a method")
        inputs = _object(found.get("inputs"), f"inputs of {identifier}")
        needs: dict[str, Need] = {name: need for name, need in inputs.items() if _is_need(need)}
        result = found.get("result", "layer")
        if not all(isinstance(word, str) for word in (result, *inputs.values())):
            raise _bad(f"result or inputs of {identifier}")
        further = _further(found.get("rasters", []), identifier)
        if result not in RESULTS or len(needs) < len(inputs) or further is None:
            return None
        return cls(
            id=identifier,
            version=_integer(found, "version", 1, _MOST, identifier),
            title=_text(found, "title", identifier),
            summary=text_of(found, "summary"),
            source=text_of(found, "source"),
            inputs=needs,
            result=result,
            max_variations=_integer(found, "max_variations", 1, MAX_VARIATIONS, identifier),
            fields=_fields(found.get("parameters"), identifier),
            further=further,
        )

    @property
    def rasters(self) -> dict[str, Need]:
        """What it needs of each raster, without those that it takes none of."""
        own = {name: need for name, need in self.inputs.items() if name != PROMPT and need != "none"}
        return own | {raster.name: raster.need for raster in self.further}

    @property
    def kind(self) -> ResultKind:
        """What a host does with its result."""
        return RESULTS[self.result]

    @property
    def form(self) -> tuple[Field, ...]:
        """Everything that a person fills in beside the prompt: its further rasters, then its parameters."""
        return (*raster_fields(self.further), *self.fields)

    def need(self, name: str) -> Need:
        """What it needs of the input of this name; `none` where it does not say."""
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
    def caption(self) -> Field | None:
        """The text that says what the source shows now."""
        return next((spec for spec in self.fields if spec.source_prompt), None)

    def lacks_prompt(self, prompt: str) -> bool:
        """Whether it would be refused for this prompt, because it says nothing."""
        return self.need(PROMPT) == "required" and not prompt.strip()

    def about(self, prompt: str, parameters: Mapping[str, object]) -> str:
        """What an edit by it does, in one line; see `dials.about_edit`."""
        return about_edit(self.fields, prompt, parameters)

    def complete(self, values: Mapping[str, object]) -> dict[str, object]:
        """The parameters with defaults for those left out; raises as `schema.complete`."""
        return complete_fields(self.fields, values)

    def with_defaults(self, defaults: Mapping[str, object]) -> MethodInfo:
        """The method with other defaults for fields of these names: those of a model. One that is out of the
        field's bounds changes nothing."""
        return replace(self, fields=tuple(_with_default(spec, defaults) for spec in self.fields))

    def edit(
        self,
        prompt: str = "",
        parameters: Mapping[str, object] | None = None,
        *,
        model: str = "",
        seed: int = -1,
        variations: int = 1,
    ) -> Edit:
        """An edit by this version of the method; `Edit` says what each argument means."""
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

    size: pixels of a side that it was trained on; 0 where a daemon does not say. defaults: what it wants in
    place of the methods' own, by the field's key. lacks: ids of the methods that cannot run with it.
    """

    id: str
    title: str
    kind: str = ""
    size: int = 0
    defaults: Mapping[str, object] = field(default_factory=dict[str, object])
    lacks: frozenset[str] = frozenset()

    @classmethod
    def from_wire(cls, value: object) -> ModelInfo:
        """Reads one of the daemon's models. Raises `bad-message`."""
        found = _object(value, "a model")
        identifier = _text(found, "id", "a model")
        lacks = as_list(found.get("lacks", []))
        if lacks is None:
            raise _bad(f"what {identifier} lacks")
        return cls(
            id=identifier,
            title=text_of(found, "title") or identifier,
            kind=text_of(found, "kind"),
            size=as_integer(found.get("size"), 1, _MOST) or 0,
            defaults=_object(found.get("defaults", {}), f"defaults of {identifier}"),
            lacks=frozenset(name for name in lacks if isinstance(name, str)),
        )


@dataclass(frozen=True, slots=True)
class Catalogue:
    """methods: in the order in which a person is offered them. models: the daemon's default first."""

    methods: tuple[MethodInfo, ...] = ()
    models: tuple[ModelInfo, ...] = ()

    @classmethod
    def from_wire(cls, answer: object) -> Catalogue:
        """Reads the daemon's answer to `methods`, or a file that holds one. Raises `bad-message`."""
        found = _object(answer, "the answer")
        methods, models = (as_list(found.get(key)) for key in ("methods", "models"))
        if methods is None or models is None:
            raise _bad("no lists of methods and models")
        known = (MethodInfo.from_wire(method) for method in methods)
        return cls(tuple(m for m in known if m is not None), tuple(map(ModelInfo.from_wire, models)))

    @property
    def offered(self) -> tuple[MethodInfo, ...]:
        """The methods that an artist chooses from; those that only say something are not among them."""
        return tuple(method for method in self.methods if method.kind.chosen)

    def method(self, identifier: str | None) -> MethodInfo | None:
        """The method of this id that an artist can choose, or None."""
        return next((method for method in self.offered if method.id == identifier), None)

    def model(self, identifier: str) -> ModelInfo | None:
        """The model of this id, or None. Empty: the daemon's default model."""
        return next((model for model in self.models if identifier in ("", model.id)), None)

    def lacks(self, model: str, method: MethodInfo) -> bool:
        """Whether the model of this id cannot run the method. Empty: the daemon's default model."""
        found = self.model(model)
        return found is not None and method.id in found.lacks

    def for_model(self, method: MethodInfo, model: str) -> MethodInfo:
        """The method with the defaults that the model of this id wants."""
        found = self.model(model)
        return method if found is None else method.with_defaults(found.defaults)

    @property
    def first_edit(self) -> MethodInfo | None:
        """The method that a person begins with who has chosen none (SPEC section 4)."""
        return next((method for method in self.methods if method.kind.is_edit), None)

    @property
    def word_finder(self) -> MethodInfo | None:
        """The first method that selects words of the prompt (SPEC section 4)."""
        finders = (method for method in self.methods if method.kind.insert == "selections" and method.words)
        return next(finders, None)

    @property
    def proposer(self) -> MethodInfo | None:
        """The first method that says what a layer shows (SPEC section 4)."""
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
    """The further rasters that this version knows; None where one of another kind is required, or may be."""
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
    found = as_object(value)
    if found is None:
        raise _bad(what)
    return found


def _text(value: Mapping[str, object], key: str, what: str) -> str:
    found = text_of(value, key)
    if not found:
        raise _bad(f"{key} of {what}")
    return found


def _integer(value: Mapping[str, object], key: str, low: int, high: int, what: str) -> int:
    found = as_integer(value.get(key), low, high)
    if found is None:
        raise _bad(f"{key} of {what}")
    return found
