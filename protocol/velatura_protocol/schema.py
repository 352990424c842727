"""A method's parameters: fields of a form, defaults and bounds (SPEC section 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypedDict, TypeGuard

from .errors import VelaturaError
from .kinds import RASTERS
from .reading import JsonObject, as_list, as_object, is_number

MAX_LENGTH = 2000  # of a string without maxLength
MAX_ITEMS = 64  # of any group
MAX_CHOICE = 10_000  # characters of a choice for a raster, which may hold a layer's whole name
_MAX_INTEGER = 2**53 - 1

Kind = Literal["string", "integer", "number", "boolean", "enum", "raster", "group"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    Attributes:
        key: its name in a request's parameters.
        kind: decides which of the attributes below matter.
        title: for the person.
        description: for the person.
        default: a valid value, complete: `check` returns it unchanged.
        order: the position in the form.
        advanced: whether the form shows it only on demand.
        minimum: of the two kinds of numbers, inclusive.
        maximum: the same.
        step: of the two kinds of numbers; None: any value.
        max_length: characters of a string.
        multiline: whether a string may have several lines.
        choices: (value, title) of an enum.
        fields: of a group, which is a list of objects with these fields.
        min_items: of a group.
        max_items: of a group.
        words: 'prompt' for a group whose entries are about words of the prompt, by their fields `text` and
            `which`; else ''.
        source_prompt: whether the string is a caption of the source.
        prompt: whether the model reads the string as it reads the prompt.
        thing: whether the string names things in the source, read by a companion and not by the model.
        context: whether the number says how much of the surroundings the model sees.
        dials: whether the entries of a group are dials, by their fields `less`, `more` and `strength`.
        rest: the choice with which everything but the selection changes; '' where there is none.
        around: whether the entries of a group are seeds that the variations lie close to, by their fields
            `seed` and `distance`.
        raster: the raster's kind, a key of `kinds.RASTERS`; the value is the name of one of the request's
            inputs, or None.
        required: whether a raster of the method itself is required.
    """

    key: str
    kind: Kind
    title: str
    description: str
    default: Any
    order: int = 0
    advanced: bool = False
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    max_length: int = 0
    multiline: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    fields: tuple[Field, ...] = ()
    min_items: int = 0
    max_items: int = 0
    words: str = ""
    source_prompt: bool = False
    prompt: bool = False
    thing: bool = False
    context: bool = False
    rest: str = ""
    dials: bool = False
    around: bool = False
    raster: str = ""
    required: bool = False

    @property
    def takes_selection(self) -> bool:
        """Whether it is a raster for which a selection serves as well as a layer."""
        return self.kind == "raster" and not RASTERS[self.raster].colours

    def check(self, value: Any) -> Any:
        """The value, complete and of one type. Raises `bad-request` with a sentence that names the title."""
        checked = _CHECKS[self.kind](self, value)
        if checked is _REFUSED:
            raise VelaturaError("bad-request", f"{self.title}: {_wanted(self)}.", detail=f"{value!r:.80}")
        return checked


def fields_from_schema(schema: object) -> list[Field]:
    """The fields of `parameters`, sorted by order. Forms that this version does not know are left out.

    Raises `bad-message` if it is no object schema.
    """
    form = as_object(schema)
    properties = None if form is None else as_object(form.get("properties", {}))
    if properties is None:
        raise VelaturaError("bad-message", "A method's parameters could not be read; update Velatura.")
    return _fields(properties, groups=True)


def complete(schema: object, values: object) -> JsonObject:
    """`values` with the defaults of the missing ones, each within its bounds.

    Raises `bad-request`, in a sentence that names the field's title, for unknown keys, wrong types, values
    out of bounds, NaN; `bad-message` as `fields_from_schema`.
    """
    fields = fields_from_schema(schema)
    given = as_object(values)
    if given is None:
        raise VelaturaError("bad-request", "The parameters are missing; fill in the form again.")
    return complete_fields(fields, given)


def complete_fields(fields: Sequence[Field], values: Mapping[str, object]) -> JsonObject:
    """As `complete`, for fields that have been read already."""
    unknown = sorted(str(key) for key in values.keys() - {field.key for field in fields})
    if unknown:
        raise VelaturaError("bad-request", f"This method has no parameter {unknown[0]!r:.60}; leave it out.")
    return {field.key: field.check(values.get(field.key, field.default)) for field in fields}


def with_defaults(schema: Mapping[str, Any], defaults: Mapping[str, Any], method: str = "") -> JsonObject:
    """The schema with other defaults for the properties of these names (a model's, SPEC section 4).

    method: the id of the schema's method, see `own_defaults`.
    """
    defaults = own_defaults(defaults, method)
    properties: JsonObject = {
        key: {**form, "default": defaults[key]} if key in defaults else form
        for key, form in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def own_defaults(defaults: Mapping[str, Any], method: str) -> JsonObject:
    """A model's defaults for one method, by names of parameters. Those with the method's id before a point
    (`flow-align.steps`) take the place of those without."""
    start = f"{method}."
    of_all = {key: value for key, value in defaults.items() if "." not in key}
    of_one = {key.removeprefix(start): value for key, value in defaults.items() if key.startswith(start)}
    return {**of_all, **of_one}


class _Kind(TypedDict):
    kind: Kind


class _Limits(_Kind, total=False):
    """The attributes of a `Field` that depend on its kind."""

    minimum: float
    maximum: float
    step: float | None
    max_length: int
    multiline: bool
    choices: tuple[tuple[str, str], ...]
    fields: tuple[Field, ...]
    min_items: int
    max_items: int
    words: str
    source_prompt: bool
    prompt: bool
    thing: bool
    context: bool
    rest: str
    dials: bool
    around: bool
    raster: str


def _fields(properties: Mapping[str, object], *, groups: bool) -> list[Field]:
    fields = (_field(key, form, groups) for key, form in properties.items())
    return sorted((field for field in fields if field is not None), key=lambda field: field.order)


def _field(key: str, value: object, groups: bool) -> Field | None:
    """None where the form is not one of SPEC section 6."""
    form = as_object(value)
    if form is None or "$ref" in form or "anyOf" in form or "default" not in form:
        return None
    limits = _limits(form, groups)
    if limits is None:
        return None
    title, description, order = form.get("title"), form.get("description"), form.get("x-order")
    field = Field(
        key=key,
        title=title if isinstance(title, str) and title else key,
        description=description if isinstance(description, str) else "",
        default=form["default"],
        order=order if _is_integer(order) else 0,
        advanced=form.get("x-advanced") is True,
        **limits,
    )
    try:
        return replace(field, default=field.check(field.default))
    except VelaturaError:
        return None


def _limits(form: JsonObject, groups: bool) -> _Limits | None:
    kind = form.get("type")
    if kind == "boolean":
        return {"kind": "boolean"}
    if kind == "string":
        return _choices(form) if "enum" in form else _string(form)
    if kind == "integer" or kind == "number":
        return _numbers(form, kind)
    if kind == "array" and groups:
        return _group(form)
    if kind == ["string", "null"] and not groups:
        return _raster(form)
    return None


def _raster(form: JsonObject) -> _Limits | None:
    raster = form.get("x-raster")
    return {"kind": "raster", "raster": raster} if isinstance(raster, str) and raster in RASTERS else None


def _string(form: JsonObject) -> _Limits | None:
    length = form.get("maxLength", MAX_LENGTH)
    if not _is_integer(length) or length < 0:
        return None
    return {
        "kind": "string",
        "max_length": length,
        "multiline": form.get("x-multiline") is True,
        "source_prompt": form.get("x-source-prompt") is True,
        "prompt": form.get("x-prompt") is True,
        "thing": form.get("x-thing") is True,
    }


def _choices(form: JsonObject) -> _Limits | None:
    values, titles = form["enum"], form.get("x-enum-titles")
    if not (_is_texts(values) and _is_texts(titles) and len(values) == len(titles) > 0):
        return None
    rest = form.get("x-rest")
    return {
        "kind": "enum",
        "choices": tuple(zip(values, titles, strict=True)),
        "rest": rest if isinstance(rest, str) and rest in values else "",
    }


def _numbers(form: JsonObject, kind: Literal["integer", "number"]) -> _Limits | None:
    low, high = _bound(form.get("minimum"), kind), _bound(form.get("maximum"), kind)
    step = _bound(form.get("multipleOf"), kind)
    if low is None or high is None or low > high:
        return None
    if form.get("multipleOf") is not None and (step is None or step <= 0):
        return None
    context = kind == "number" and form.get("x-context") is True
    return {"kind": kind, "minimum": low, "maximum": high, "step": step, "context": context}


def _bound(value: object, kind: Literal["integer", "number"]) -> float | None:
    is_right = _is_integer(value) if kind == "integer" else _is_number(value)
    return value if is_right and is_number(value) else None


def _group(form: JsonObject) -> _Limits | None:
    items, low, high = as_object(form.get("items")), form.get("minItems", 0), form.get("maxItems")
    if items is None or items.get("type") != "object":
        return None
    properties = as_object(items.get("properties"))
    if properties is None or not (_is_integer(low) and _is_integer(high)):
        return None
    if not 0 <= low <= high <= MAX_ITEMS:
        return None
    fields = _fields(properties, groups=False)
    words = form.get("x-words") == "prompt" and _are_about_words(fields)
    dials = form.get("x-dials") is True and _are_dials(fields)
    return {
        "kind": "group",
        "fields": tuple(fields),
        "min_items": low,
        "max_items": high,
        "words": "prompt" if words else "",
        "dials": dials,
        "around": form.get("x-around") is True and _are_around(fields),
    }


def _are_about_words(fields: list[Field]) -> bool:
    kinds = {field.key: field.kind for field in fields}
    return kinds.get("text") == "string" and kinds.get("which") == "integer"


def _are_dials(fields: list[Field]) -> bool:
    kinds = {field.key: field.kind for field in fields}
    return (kinds.get("less"), kinds.get("more"), kinds.get("strength")) == ("string", "string", "number")


def _are_around(fields: list[Field]) -> bool:
    return {field.key: field.kind for field in fields} == {"seed": "integer", "distance": "number"}


_REFUSED = object()  # no JSON value


def _check_string(field: Field, value: object) -> object:
    return value if isinstance(value, str) and len(value) <= field.max_length else _REFUSED


def _check_raster(_: Field, value: object) -> object:
    return value if value is None or (isinstance(value, str) and 0 < len(value) <= MAX_CHOICE) else _REFUSED


def _check_boolean(_: Field, value: object) -> object:
    return value if isinstance(value, bool) else _REFUSED


def _check_enum(field: Field, value: object) -> object:
    return value if isinstance(value, str) and value in dict(field.choices) else _REFUSED


def _check_integer(field: Field, value: object) -> object:
    if _is_number(value) and value == int(value):  # JSON does not tell 2 from 2.0
        whole = int(value)
        if _is_within(field, whole) and whole % (field.step or 1) == 0:
            return whole
    return _REFUSED


def _check_number(field: Field, value: object) -> object:
    return float(value) if _is_number(value) and _is_within(field, value) else _REFUSED


def _is_within(field: Field, value: float) -> bool:
    return field.minimum is not None and field.maximum is not None and field.minimum <= value <= field.maximum


def _check_group(field: Field, value: object) -> object:
    items = as_list(value)
    if items is None or not field.min_items <= len(items) <= field.max_items:
        return _REFUSED
    entries = [as_object(item) for item in items]
    if any(entry is None for entry in entries):
        return _REFUSED
    return [complete_fields(field.fields, entry) for entry in entries if entry is not None]


_CHECKS: dict[Kind, Callable[[Field, object], object]] = {
    "string": _check_string,
    "boolean": _check_boolean,
    "enum": _check_enum,
    "integer": _check_integer,
    "number": _check_number,
    "raster": _check_raster,
    "group": _check_group,
}


def _wanted(field: Field) -> str:
    if field.kind == "string":
        return f"enter at most {field.max_length} characters"
    if field.kind == "boolean":
        return "choose on or off"
    if field.kind == "enum":
        return "choose one of " + ", ".join(title for _, title in field.choices)
    if field.kind == "raster":
        return "choose a layer" if RASTERS[field.raster].colours else "choose a layer or the selection"
    if field.kind == "group":
        return f"enter a list of {field.min_items} to {field.max_items} entries"
    multiple = f" that is a multiple of {field.step}" if field.kind == "integer" and field.step else ""
    whole = "whole number" if field.kind == "integer" else "number"
    bounds = (field.minimum or 0, field.maximum or 0)
    low, high = (str(value) if field.kind == "integer" else f"{value:g}" for value in bounds)
    return f"enter a {whole} from {low} to {high}{multiple}"


def _is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a finite number, and no integer beyond the range in which a double is exact."""
    if not is_number(value):
        return False
    return abs(value) <= _MAX_INTEGER if isinstance(value, int) else value - value == 0.0


def _is_integer(value: object) -> TypeGuard[int]:
    return _is_number(value) and isinstance(value, int)


def _is_texts(value: object) -> TypeGuard[list[str]]:
    items = as_list(value)
    return items is not None and all(isinstance(item, str) for item in items)
