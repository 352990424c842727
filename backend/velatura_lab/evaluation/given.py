"""Fills a method's form as a person who makes the edit would, by the names and kinds that it declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from velatura.methods.base import Method, schema
from velatura_protocol.choices import raster_fields, resolve
from velatura_protocol.rasters import Pixels
from velatura_protocol.schema import Field, fields_from_schema

from .cases import Case

#: Field of a group's entries -> its value. A dial leads from the source's caption to the target's, so that it
#: says the whole change, whatever words it takes.
IN_ENTRIES: dict[str, Callable[[Case], str]] = {
    "text": lambda case: _added(case) or _taken(case),
    "more": lambda case: case.target_prompt,
}
SIGNED = "scale"  #: field of an entry that adds its text above 0 and takes it away below

CHOSEN = "case"  #: in a form, stands for the fitting picture of the case


def filled(method: Method, case: Case, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Pixels]]:
    """The parameters to send, and the further rasters by name.

    An empty group gets an entry about the case's change, if it needs entries, or its entries are dials or
    have rasters. Where entries add a text or take it away, the target's words for the thing are added and the
    source's taken away. Required rasters, and the rasters of entries, come from the case; see `picture_of`.

    Args:
        method: whose form it is.
        case: the edit.
        values: the parameters; any text in the place of an entry's raster stands for the case's.
    """
    fields = fields_from_schema(schema(method.Parameters))
    form = [*raster_fields(method.inputs.rasters), *fields]
    shown: dict[str, Any] = dict(values)
    for field in form:
        if field.kind == "group" and not shown.get(field.key) and _wants_an_entry(field):
            shown[field.key] = _entries(field, case)
        elif field.kind == "raster" and field.required:
            shown[field.key] = CHOSEN
        elif field.source_prompt:
            shown[field.key] = case.source_prompt
        elif field.thing:
            shown[field.key] = case.thing
    parameters, wanted = resolve(method.title, form, shown)
    return parameters, {one.name: picture_of(case, one.kind) for one in wanted}


def _wants_an_entry(group: Field) -> bool:
    return group.min_items > 0 or group.dials or any(field.kind == "raster" for field in group.fields)


def _entries(group: Field, case: Case) -> list[dict[str, Any]]:
    """An entry; where entries add or take away and the change replaces one thing by another, one for each."""
    entry = {field.key: field.default for field in group.fields}
    entry |= {key: give(case) for key, give in IN_ENTRIES.items() if key in entry}
    entry |= {field.key: CHOSEN for field in group.fields if field.kind == "raster"}
    if not {"text", SIGNED} <= entry.keys() or not _taken(case):
        return [entry]
    away = entry | {"text": _taken(case), SIGNED: -entry[SIGNED]}
    return [entry, away] if _added(case) and group.max_items > 1 else [entry if _added(case) else away]


def _added(case: Case) -> str:
    return case.new_thing or case.target_words


def _taken(case: Case) -> str:
    return case.thing or case.source_words


def prompt_of(method: Method, case: Case, values: Mapping[str, Any]) -> str:
    """The prompt to send: none where the method takes none, and where it does not require one and a list of
    concepts or dials says the change already, unless the prompt's words are changed too.

    Args:
        method: whose form it is.
        case: the edit.
        values: the parameters that are sent; see `filled`.
    """
    if method.inputs.prompt == "none":
        return ""
    groups = [field for field in fields_from_schema(schema(method.Parameters)) if field.kind == "group"]
    said = any(_wants_an_entry(group) and values.get(group.key) for group in groups)
    if method.inputs.prompt == "optional" and said and not any(group.words for group in groups):
        return ""
    return case.target_prompt


def picture_of(case: Case, kind: str) -> Pixels:
    """The case's raster of a kind: 'mask' is the selection, 'labels' is the selection in red and the rest in
    blue, and any other kind is the source."""
    if kind == "mask":
        return pixels_of(case.mask[..., None], "A", "")
    if kind == "labels":
        inside = case.mask[..., None] >= 128
        return pixels_of(np.where(inside, (255, 0, 0), (0, 0, 255)).astype(np.uint8), "RGB", "sRGB")
    return pixels_of(case.source, "RGB", "sRGB")


def pixels_of(pixels: NDArray[np.uint8], channels: str, profile: str) -> Pixels:
    """Pixels uint8 [h, w, channels] as a raster at the corner of the canvas."""
    height, width = pixels.shape[:2]
    return Pixels(pixels.tobytes(), (0, 0, width, height), channels, "u8", profile)
