"""A method's parameters: fields of a form, defaults and bounds (SPEC section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import VelaturaError
from .kinds import RASTERS

MAX_LENGTH = 2000  # of a string without maxLength
MAX_ITEMS = 64  # of any group
MAX_NAME = 220  # characters of what is chosen for a raster
_MAX_INTEGER = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    kind: 'string', 'integer', 'number', 'boolean', 'enum', 'raster' or 'group'. default: valid within the
    field's own bounds. minimum, maximum, step: of the two kinds of numbers, inclusive; step None: any value.
    max_length: characters. choices: (value, title). fields, min_items, max_items: of a group, a list of
    objects with these fields. order: position in the form. words: 'prompt' for a group whose entries are
    about words of the prompt, by their fields `text` and `which`; else ''. source_prompt: whether the string
    says what the source shows now. prompt: whether the model reads the string as it reads the prompt.
    context: whether the number says how much of the surroundings the model sees. dials: whether the entries
    of a group are dials, by their fields `less`, `more` and `strength`. raster: what the raster is for, a key
    of `kinds.RASTERS`; its value is the name of one of the request's inputs, or None. required: whether a
    raster of the method itself has to be given.
    """

    key: str
    kind: str
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
    context: bool = False
    dials: bool = False
    raster: str = ""
    required: bool = False

    @property
    def takes_selection(self) -> bool:
        """Whether a selection serves as well as a layer, of a raster."""
        return self.kind == "raster" and not RASTERS[self.raster].colours

    def check(self, value: Any) -> Any:
        """The value as it is to be used. Raises `bad-request` with a sentence that names the title."""
        checked = _CHECKS[self.kind](self, value)
        if checked is _REFUSED:
            raise VelaturaError("bad-request", f"{self.title}: {_wanted(self)}.", detail=f"{value!r:.80}")
        return checked


def fields_from_schema(schema: object) -> list[Field]:
    """The fields of `parameters`, sorted by order. Forms that this version does not know are left out.

    Raises `bad-message` if it is no object schema at all.
    """
    properties = schema.get("properties", {}) if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        raise VelaturaError("bad-message", "A method's parameters could not be read; update Velatura.")
    return _fields(properties, groups=True)


def complete(schema: object, values: object) -> dict:
    """`values` with the defaults of what is left out, each within its bounds.

    Raises `bad-request`, in a sentence that names the field's title, for unknown keys, wrong types, values
    out of bounds, NaN; `bad-message` as `fields_from_schema`.
    """
    fields = fields_from_schema(schema)
    if not isinstance(values, dict):
        raise VelaturaError("bad-request", "The parameters are missing; fill in the form again.")
    return complete_fields(fields, values)


def complete_fields(fields: Sequence[Field], values: Mapping[str, object]) -> dict[str, object]:
    """As `complete`, of fields that have been read already."""
    unknown = sorted(str(key) for key in values.keys() - {field.key for field in fields})
    if unknown:
        raise VelaturaError("bad-request", f"This method has no parameter {unknown[0]!r:.60}; leave it out.")
    return {field.key: field.check(values.get(field.key, field.default)) for field in fields}


def with_defaults(schema: dict, defaults: dict) -> dict:
    """The schema with other defaults for the properties of these names (a model's, SPEC section 4)."""
    properties = {
        key: {**form, "default": defaults[key]} if key in defaults else form
        for key, form in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties}


def _fields(properties: dict, *, groups: bool) -> list[Field]:
    found = [_field(key, form, groups) for key, form in properties.items() if isinstance(form, dict)]
    return sorted((field for field in found if field is not None), key=lambda field: field.order)


def _field(key: str, form: dict, groups: bool) -> Field | None:
    """None where the form is not one of SPEC section 6."""
    if "$ref" in form or "anyOf" in form or "default" not in form:
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
        field.check(field.default)
    except VelaturaError:
        return None
    return field


def _limits(form: dict, groups: bool) -> dict | None:
    kind = form.get("type")
    if kind == "boolean":
        return {"kind": "boolean"}
    if kind == "string":
        return _choices(form) if "enum" in form else _string(form)
    if kind in ("integer", "number"):
        return _numbers(form, kind)
    if kind == "array" and groups:
        return _group(form)
    if kind == ["string", "null"] and not groups:
        return _raster(form)
    return None


def _raster(form: dict) -> dict | None:
    raster = form.get("x-raster")
    return {"kind": "raster", "raster": raster} if isinstance(raster, str) and raster in RASTERS else None


def _string(form: dict) -> dict | None:
    length = form.get("maxLength", MAX_LENGTH)
    if not _is_integer(length) or length < 0:
        return None
    return {
        "kind": "string",
        "max_length": length,
        "multiline": form.get("x-multiline") is True,
        "source_prompt": form.get("x-source-prompt") is True,
        "prompt": form.get("x-prompt") is True,
    }


def _choices(form: dict) -> dict | None:
    values, titles = form["enum"], form.get("x-enum-titles")
    if not (_is_texts(values) and _is_texts(titles) and len(values) == len(titles) > 0):
        return None
    return {"kind": "enum", "choices": tuple(zip(values, titles, strict=True))}


def _numbers(form: dict, kind: str) -> dict | None:
    is_right = _is_integer if kind == "integer" else _is_number
    low, high, step = form.get("minimum"), form.get("maximum"), form.get("multipleOf")
    if not (is_right(low) and is_right(high) and low <= high):
        return None
    if step is not None and not (is_right(step) and step > 0):
        return None
    context = kind == "number" and form.get("x-context") is True
    return {"kind": kind, "minimum": low, "maximum": high, "step": step, "context": context}


def _group(form: dict) -> dict | None:
    items, low, high = form.get("items"), form.get("minItems", 0), form.get("maxItems")
    if not (isinstance(items, dict) and items.get("type") == "object"):
        return None
    properties = items.get("properties")
    if not (isinstance(properties, dict) and _is_integer(low) and _is_integer(high)):
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
    }


def _are_about_words(fields: list[Field]) -> bool:
    kinds = {field.key: field.kind for field in fields}
    return kinds.get("text") == "string" and kinds.get("which") == "integer"


def _are_dials(fields: list[Field]) -> bool:
    kinds = {field.key: field.kind for field in fields}
    return (kinds.get("less"), kinds.get("more"), kinds.get("strength")) == ("string", "string", "number")


_REFUSED = object()


def _check_string(field: Field, value: Any) -> Any:
    return value if isinstance(value, str) and len(value) <= field.max_length else _REFUSED


def _check_raster(_: Field, value: Any) -> Any:
    return value if value is None or (isinstance(value, str) and 0 < len(value) <= MAX_NAME) else _REFUSED


def _check_boolean(_: Field, value: Any) -> Any:
    return value if isinstance(value, bool) else _REFUSED


def _check_enum(field: Field, value: Any) -> Any:
    return value if isinstance(value, str) and value in dict(field.choices) else _REFUSED


def _check_integer(field: Field, value: Any) -> Any:
    if _is_number(value) and value == int(value):  # JSON does not tell 2 from 2.0
        value = int(value)
        if field.minimum <= value <= field.maximum and value % (field.step or 1) == 0:
            return value
    return _REFUSED


def _check_number(field: Field, value: Any) -> Any:
    return float(value) if _is_number(value) and field.minimum <= value <= field.maximum else _REFUSED


def _check_group(field: Field, value: Any) -> Any:
    if not isinstance(value, list) or not field.min_items <= len(value) <= field.max_items:
        return _REFUSED
    if not all(isinstance(item, dict) for item in value):
        return _REFUSED
    return [complete_fields(field.fields, item) for item in value]


_CHECKS = {
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
    bounds = (field.minimum, field.maximum)
    low, high = map(str, bounds) if field.kind == "integer" else (f"{value:g}" for value in bounds)
    return f"enter a {whole} from {low} to {high}{multiple}"


def _is_number(value: Any) -> bool:
    """A finite number that fits a double exactly enough to compare; bool is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= _MAX_INTEGER if isinstance(value, int) else value - value == 0.0


def _is_integer(value: Any) -> bool:
    return _is_number(value) and isinstance(value, int)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
