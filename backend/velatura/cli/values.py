"""Reads `--set key=value` and `--dial from=>to:n` with the types of the method's schema, and `--out`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from velatura.client.settings import choice
from velatura.files.writing import ENDINGS, NAMES
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.choices import resolve
from velatura_protocol.dials import check
from velatura_protocol.errors import VelaturaError
from velatura_protocol.schema import Field

STANDARD = "-"
"""Standard input, or output, in place of a file's name."""


def parse_values(
    method: MethodInfo,
    assignments: Sequence[str],
    dials: Sequence[dict[str, Any]] = (),
    items: Sequence[tuple[Field, dict[str, str]]] = (),
) -> dict[str, Any]:
    """Return the parameters of the options, checked against the method's schema.

    Groups are JSON; words may be a list with commas. A raster in a group's entry is and stays the name of a
    file; `choices.resolve` makes the parameters to send.

    Args:
        method: as the daemon offers it.
        assignments: texts "key=value".
        dials: entries for the method's group of dials, appended to those of `assignments`.
        items: entries for other groups, as texts by key, appended likewise.

    Raises `bad-request`, which names the option.
    """
    fields = {field.key: field for field in method.fields}
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise VelaturaError("bad-request", f"--set {assignment} has no value; write --set key=value.")
        if key not in fields:
            names = ", ".join(fields) or "none"
            raise VelaturaError("bad-request", f"“{method.title}” has no option {key!r}; it has: {names}.")
        values[key] = _value(fields[key], text, f"--set {key}")
    for field, entry in items:
        parts = {part.key: part for part in field.fields}
        read = {key: _value(parts[key], text, f"--item {field.key}:{key}") for key, text in entry.items()}
        listed = values.get(field.key, [])
        values[field.key] = [*listed, read] if isinstance(listed, list) else listed
    group = need_dials(method) if dials else method.dials
    if group is not None and (dials or group.key in values):
        listed = values.get(group.key, [])
        values[group.key] = [*listed, *dials] if isinstance(listed, list) else listed
        check(group, values[group.key])
    method.complete(resolve(method.title, method.fields, values)[0])
    return values


def need_dials(method: MethodInfo) -> Field:
    """The method's group of dials. Raises `bad-request` where it has none."""
    group = method.dials
    if group is None:
        raise VelaturaError("bad-request", f"“{method.title}” has no dials; leave out --dial and --dials.")
    return group


def parse_dial(option: str) -> dict[str, Any]:
    """The dial of "from=>to:n", "to:n" or "to". Raises `bad-request`, which names the option."""
    if option.count("=>") > 1:
        raise VelaturaError(
            "bad-request",
            f'--dial {option} has more than one =>; give one --dial for each, as in --dial "short=>long:60".',
        )
    texts, colon, number = option.rpartition(":")
    less, arrow, more = (texts if colon else number).partition("=>")
    dial = {"less": less.strip(), "more": more.strip()} if arrow else {"less": "", "more": less.strip()}
    if not (dial["less"] or dial["more"]):
        raise VelaturaError(
            "bad-request", f'--dial {option} has no words; write --dial beard:60 or --dial "short=>long:60".'
        )
    try:
        return {**dial, "strength": float(number)} if colon else dial
    except ValueError as error:
        raise VelaturaError(
            "bad-request", f"--dial {option} does not end in a number; write one, as in --dial beard:-60."
        ) from error


def parse_adapter(method: MethodInfo, option: str) -> tuple[Field, dict[str, str]]:
    """The entry of "name:n" or "name" for the method's adapters. Raises `bad-request`, which names the
    option."""
    group = next((field for field in method.fields if field.key == "adapters"), None)
    if group is None:
        raise VelaturaError(
            "bad-request",
            f"“{method.title}” has no adapters to choose from. Look for them with `velatura models find`; if"
            " it takes none, choose a method that edits with a diffusion model.",
        )
    (files,) = [field for field in group.fields if field.kind == "enum"]
    name, colon, number = option.rpartition(":")
    if not colon or not _is_number(number):
        name, number = option, ""
    chosen = _adapter(files, name)
    if chosen not in dict(files.choices):
        titles = ", ".join(title for value, title in files.choices if value)
        raise VelaturaError("bad-request", f"There is no adapter {name!r}; there are: {titles:.300}.")
    name = name if choice(files, name) == chosen else chosen
    return group, {files.key: name, **({"strength": number} if number else {})}


def _adapter(files: Field, name: str) -> str:
    """The choice of a name: its title in forms, or the file's name, which stands behind the id."""
    chosen = choice(files, name)
    if chosen in dict(files.choices):
        return chosen
    named = (value for value, _ in files.choices if value.partition(":")[2].casefold() == name.casefold())
    return next(filter(None, named), name)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _value(field: Field, text: str, option: str) -> Any:
    try:
        if field.words and not text.lstrip().startswith("["):
            return [{"text": word.strip()} for word in text.split(",")]
        if field.kind == "enum":
            return choice(field, text)
        return READERS.get(field.kind, str)(text)
    except (ValueError, KeyError) as error:
        raise VelaturaError("bad-request", f"{option}={text} is not of the kind {field.kind}.") from error


def out_path(text: str) -> Path:
    """The path of a result, for argparse; `-` stands for standard output."""
    path = Path(text)
    if text != STANDARD and path.suffix.lower() not in ENDINGS:
        raise argparse.ArgumentTypeError(f"the result's name must end in {NAMES}")
    return path


def _boolean(text: str) -> bool:
    return {
        "true": True,
        "yes": True,
        "on": True,
        "1": True,
        "false": False,
        "no": False,
        "off": False,
        "0": False,
    }[text.lower()]


READERS: dict[str, Callable[[str], Any]] = {
    "integer": int,
    "number": float,
    "boolean": _boolean,
    "group": json.loads,
}
