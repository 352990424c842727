"""A method's form as the arguments of a GIMP procedure: names, labels with mnemonics, values.

Nothing here imports GIMP; `procedures` turns `Argument`s into typed arguments, `dialog` into widgets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from velatura_protocol import dials, sights
from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import MAX_INTEGER
from velatura_protocol.requests import MAX_PROMPT, MAX_SEED, MAX_VARIATIONS
from velatura_protocol.schema import Field
from velatura_protocol.sights import LAYER, TITLES, VISIBLE

#: The choice of the daemon's default model.
DEFAULT_MODEL = "default"

#: The argument for what the model is shown, and its choices.
SEES = "sees"
SIGHTS = tuple((sight, TITLES[sight]) for sight in (LAYER, VISIBLE))

#: Letters of the dialog's own: Help, Reset, Cancel, OK (which becomes Run), Load and Save settings, Advanced,
#: Preview.
_TAKEN_LETTERS = "hrcoulsvw"

#: Letters of the entries that stand beside the sections.
_MENU_LETTERS = "alv"

#: Arguments that every image procedure has, and a property of every configuration.
_TAKEN_NAMES = ("run-mode", "image", "drawables", "procedure")


@dataclass(frozen=True)
class Argument:
    """One argument. name: canonical for GIMP (lower case, digits, hyphens). label: with a mnemonic.
    field: its kind, bounds, default and description."""

    name: str
    label: str
    field: Field


def procedure_name(method: MethodInfo) -> str:
    """The name of a method's procedure."""
    return f"velatura-{method.id}"


def menu_path(menu: str, section: str) -> str:
    """The menu of a section: a sub-menu of `menu`, or that itself for no section."""
    title = _plain(section).replace("/", "\N{DIVISION SLASH}")
    return f"{menu}/{title}" if title else menu


def menu_label(method: MethodInfo, catalogue: Catalogue) -> str:
    """A method's entry in the menu of its section, where no other entry has its mnemonic."""
    siblings = [other for other in catalogue.offered if other.section == method.section]
    labels = mnemonics([other.title for other in siblings], "" if method.section else _MENU_LETTERS)
    return f"{labels[[other.id for other in siblings].index(method.id)]}…"


def arguments(method: MethodInfo, catalogue: Catalogue) -> list[Argument]:
    """All arguments of a method's procedure, in order: prompt, parameters, variations, seed,
    model, and what the model sees."""
    most = method.max_variations
    compared = any(field.source_prompt for field in method.fields)
    fields = [
        Field("prompt", "string", "Should be" if compared else "Prompt", "What should be there.", "",
              max_length=MAX_PROMPT, multiline=True),
        *method.form,
        Field("variations", "integer", "Variations", "How many different results to make, each on a layer.",
              1, minimum=1, maximum=most),
        Field("seed", "integer", "Seed", "The number that chance starts from; -1 takes a new one each time.",
              -1, minimum=-1, maximum=MAX_SEED),
        Field("model", "enum", "Model", "The model that paints.", DEFAULT_MODEL, advanced=True,
              choices=((DEFAULT_MODEL, "Default"), *((m.id, m.title) for m in catalogue.models))),
        Field(SEES, "enum", sights.TITLE, "The picture that the model sees. A result of the visible "
              "picture lies on top of all layers.", LAYER, choices=SIGHTS),
    ]  # fmt: skip
    names = _names(fields)
    labels = mnemonics([field.title for field in fields])
    return [Argument(*parts) for parts in zip(names, labels, fields, strict=True)]


def hidden(shown: Sequence[Argument], catalogue: Catalogue) -> list[str]:
    """The names of the arguments that offer no choice, so that a dialog leaves them out."""
    only = [a.name for a in shown if a.field.kind == "integer" and a.field.minimum == a.field.maximum]
    return [*only, *(["model"] if len(catalogue.models) < 2 else [])]


def checked_sees(value: str | None) -> str:
    """What the model is to be shown. Raises `bad-request` for anything that it cannot be."""
    if value in dict(SIGHTS):
        return value
    offered = " or ".join(f'"{choice}"' for choice, _ in SIGHTS)
    raise VelaturaError("bad-request", f"A model cannot be shown “{value}”; say {offered}.")


#: A seed and a number of variations that stand for the recipe's own.
RECORDED_SEED = -2
RECORDED_VARIATIONS = 0

#: The arguments of running a recipe again, for any method.
AGAIN_ARGUMENTS = (
    Argument("prompt", "_Prompt", Field(
        "prompt", "string", "Prompt", "What should be there; empty: the recipe's.", "",
        max_length=MAX_PROMPT, multiline=True)),
    Argument("parameters", "Para_meters", Field(
        "parameters", "string", "Parameters",
        'A JSON object of the parameters to change, such as {"strength": 0.5}; empty: the recipe\'s.', "",
        multiline=True, max_length=100_000)),
    Argument("variations", "Var_iations", Field(
        "variations", "integer", "Variations", "How many results to make; 0: as the recipe has it.",
        RECORDED_VARIATIONS, minimum=RECORDED_VARIATIONS, maximum=MAX_VARIATIONS)),
    Argument("seed", "S_eed", Field(
        "seed", "integer", "Seed", "The number that chance starts from; -1: a new one; -2: the recipe's.",
        RECORDED_SEED, minimum=RECORDED_SEED, maximum=MAX_SEED)),
)  # fmt: skip


def _names(fields: Iterable[Field]) -> list[str]:
    taken, names = set(_TAKEN_NAMES), []
    for field in fields:
        name = re.sub(r"[^a-z0-9-]", "-", field.key.lower())
        while name in taken or not name[:1].isalpha():
            name = "parameter-" + name
        taken.add(name)
        names.append(name)
    return names


def mnemonics(titles: Iterable[str], taken_letters: str = _TAKEN_LETTERS) -> list[str]:
    """The titles with an underscore before a letter that no other title of the dialog, or menu, has."""
    taken, labels = set(taken_letters), []
    for title in titles:
        for place, letter in enumerate(title.lower()):
            if letter.isascii() and letter.isalnum() and letter not in taken:
                taken.add(letter)
                labels.append(f"{_plain(title[:place])}_{_plain(title[place:])}")
                break
        else:
            labels.append(_plain(title))
    return labels


def _plain(text: str) -> str:
    return text.replace("_", "__")


def parameters(method_arguments: Iterable[Argument], read: Callable[[str], Any], method: MethodInfo) -> dict:
    """The values of the method's form (`MethodInfo.form`) from a procedure's configuration, with the choice
    for each raster; `choices.resolve` turns them into the request's `parameters`.

    read: the value of the argument of a name. Raises `bad-request` where a list is no JSON list.
    """
    own = [a for a in method_arguments if a.field in method.form]
    values = {a.field.key: from_gimp(a.field, read(a.name)) for a in own}
    return {**values, **{a.field.key: _spoken(a.field, values[a.field.key]) for a in own if a.field.dials}}


def from_gimp(field: Field, value: Any) -> Any:
    """A procedure's value as the request has it."""
    if field.kind == "string":
        return value or ""
    if field.kind == "enum":
        return field.default if value is None else value
    if field.kind == "raster":
        return value or None
    if field.kind != "group":
        return value
    try:
        items = json.loads(value or "[]")
    except (ValueError, RecursionError) as error:
        raise _no_list(field, str(error)) from None
    if not isinstance(items, list):
        raise _no_list(field, type(items).__name__)
    return items


def _spoken(field: Field, entries: list) -> list:
    """The dials that have words; the unchanged entries where one is invalid, for the daemon to refuse."""
    try:
        return dials.spoken(field.check(entries))
    except VelaturaError:
        return entries


def with_dials(field: Field, value: str, new: Sequence[dict]) -> tuple[str, list[dict]]:
    """A procedure's value of a group of dials with the new ones at its end, each pair of texts once; and
    the new ones that have no room."""
    try:
        entries = field.check(from_gimp(field, value))
    except VelaturaError:
        entries = []
    left = []
    for entry in new:
        if any(dials.same(entry, other) for other in entries):
            continue
        if dials.is_full(field, entries):
            left.append(entry)
        else:
            entries = dials.add(field, entries, entry)
    return json.dumps(entries), left


def without_rasters(field: Field, value: str) -> str:
    """A procedure's value of a raster, or of a group, with nothing chosen for any raster; a list that is half
    typed stays."""
    if field.kind == "raster":
        return ""
    inner = {part.key for part in field.fields if part.kind == "raster"}
    try:
        entries = from_gimp(field, value) if inner else None
    except VelaturaError:
        return value
    if not entries:
        return value
    empty = dict.fromkeys(inner)
    return json.dumps([{**entry, **empty} if isinstance(entry, dict) else entry for entry in entries])


def to_gimp(field: Field, value: Any) -> Any:
    """A request's value as the procedure has it; the default where it does not fit the field."""
    try:
        value = field.check(value)
    except VelaturaError:
        value = field.default
    if field.kind == "raster":
        return value or ""
    return json.dumps(value) if field.kind == "group" else value


def _no_list(field: Field, detail: str) -> VelaturaError:
    keys = ", ".join(f'"{part.key}": …' for part in field.fields)
    return VelaturaError(
        "bad-request", f"{field.title}: enter a JSON list such as [{{{keys}}}].", detail=detail
    )


def bounds(field: Field) -> tuple[int, int]:
    """An integer field's bounds, within those of GIMP's integers."""
    low, high = int(field.minimum or 0), int(field.maximum or MAX_INTEGER)
    return max(low, -(2**31)), min(high, 2**31 - 1)
