"""The parameters of a method: a typed class, and the JSON Schema of its form. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, create_model
from pydantic.fields import FieldInfo

from velatura_protocol.kinds import RASTERS
from velatura_protocol.schema import Field as Understood
from velatura_protocol.schema import fields_from_schema


class Parameters(BaseModel):
    """Base of every method's parameters.

    A field is written `name: type = Field(default, ge=…, le=…, title=…, description=…)`. The types are str,
    int, float, bool, `Literal[…]` of strings (an enum) and `list` of a `Parameters` class (a group), whose
    own fields may also be `str | None` with `x-raster` (the name of one of `MethodInputs.rasters`). Further
    keys of the form stand in `json_schema_extra`: `x-advanced`, `x-multiline`, `x-enum-titles`, and the
    marks, which tell the purpose of a field: `x-prompt` on any number of texts; `x-words`,
    `x-source-prompt`, `x-thing`, `x-dials` and `x-context` on at most one field each. `fields` has such
    fields ready.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def marked(self, mark: str) -> list[Any]:
        """The values of the fields with a mark (such as "x-prompt"), in order, also in groups."""
        return [value for _, value in self.marked_with_titles(mark)]

    def marked_with_titles(self, mark: str) -> list[tuple[str, Any]]:
        """As `marked`, but pairs of a field's title and its value."""
        values: list[tuple[str, Any]] = []
        for key, info in type(self).model_fields.items():
            value = getattr(self, key)
            if isinstance(info.json_schema_extra, dict) and mark in info.json_schema_extra:
                values.append((info.title or key, value))
            elif isinstance(value, list):
                values += [one for item in value for one in item.marked_with_titles(mark)]
        return values


def with_group(
    parameters: type[Parameters], key: str, entries: type[Parameters], group: Any
) -> type[Parameters]:
    """The class of parameters with a group that every method of a kind gets.

    Args:
        parameters: of the method.
        key: of the group.
        entries: the class of its entries.
        group: the field, as `Field` makes it.

    Raises TypeError if the class has another field of that key.
    """
    has = parameters.model_fields.get(key)
    if has is not None:
        if has.annotation != list[entries]:
            raise TypeError(f"{parameters.__name__}.{key} is a group that every method gets")
        return parameters
    fields: dict[str, Any] = {key: (list[entries], group)}
    made = create_model(parameters.__name__, __base__=parameters, __module__=parameters.__module__, **fields)
    made.__doc__ = parameters.__doc__
    return made


def schema(parameters: type[Parameters], *, group: bool = False) -> dict[str, Any]:
    """The JSON Schema of a class of parameters, in the subset of the protocol (SPEC section 6).

    Raises TypeError for a field outside the subset, without title or description, or with a bad default.
    """
    properties = {
        key: _form(f"{parameters.__name__}.{key}", field, order, group=group)
        for order, (key, field) in enumerate(parameters.model_fields.items())
    }
    ordered = sorted(properties.values(), key=lambda property: property["x-order"])
    for order, property in enumerate(ordered):  # a field of a base class may say that it comes last
        property["x-order"] = order
    parameters()  # every field has a default, and pydantic finds it within its bounds
    form: dict[str, Any] = {"type": "object", "properties": properties}
    _check_marks(parameters.__name__, form, group=group)
    return form


_MARKS: dict[str, tuple[Callable[[Understood], object], str]] = {
    "x-prompt": (lambda f: f.prompt, "True, on a str"),
    "x-context": (lambda f: f.context, "True, on a float"),
    "x-thing": (lambda f: f.thing, "True, on a str"),
    "x-words": (lambda f: f.words, "'prompt', on a group whose items have a str `text` and an int `which`"),
    "x-source-prompt": (lambda f: f.source_prompt, "True, on a str"),
    "x-dials": (lambda f: f.dials, "True, on a group of a str `less`, a str `more` and a float `strength`"),
}


_OFTEN = {"x-prompt"}
"""Marks that several fields may have."""


def _check_marks(where: str, form: dict[str, Any], *, group: bool) -> None:
    """Raises TypeError for marks that a client would overlook, or find twice.

    group: whether `form` is that of a group's entries.
    """
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


def _form(where: str, field: FieldInfo, order: int, *, group: bool) -> dict[str, Any]:
    if not field.title or not field.description:
        raise TypeError(f"{where}: a field needs a title and a description")
    keys, annotation = field.json_schema_extra, cast(Any, field.annotation)
    extra: dict[str, Any] = dict(keys) if isinstance(keys, dict) else {}
    bounds = _bounds(field)
    form: dict[str, Any]
    if get_origin(annotation) is Literal:
        form = {"type": "string", "enum": list(get_args(annotation))}
        if len(extra.get("x-enum-titles", ())) != len(form["enum"]):
            raise TypeError(f"{where}: an enum needs as many x-enum-titles as values")
    elif get_origin(annotation) is list and not group:
        (item,) = get_args(annotation)
        form = {"type": "array", "items": schema(item, group=True)}
        form |= {k: bounds[k] for k in ("minItems", "maxItems") if k in bounds}
        if "maxItems" not in form:
            raise TypeError(f"{where}: a group needs max_length")
    elif group and annotation == (str | None) and extra.get("x-raster") in RASTERS:
        form = {"type": ["string", "null"]}
    elif annotation in _JSON_TYPES:
        form = {"type": _JSON_TYPES[annotation]} | bounds
        if form["type"] in ("integer", "number") and not {"minimum", "maximum"} <= form.keys():
            raise TypeError(f"{where}: a number needs ge and le")
    else:
        raise TypeError(f"{where}: {annotation} is not in the subset of the protocol")
    if "x-raster" in extra and form["type"] != ["string", "null"]:
        raise TypeError(f"{where}: x-raster is a kind of raster, on a str | None of a group's entries")
    default = field.get_default(call_default_factory=True)
    form |= {"title": field.title, "description": field.description, "default": default}
    return form | {"x-order": order, "x-advanced": False} | extra


def _bounds(field: FieldInfo) -> dict[str, Any]:
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
