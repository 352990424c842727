"""`--set key=value`, typed by the method's schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from velatura_protocol.errors import VelaturaError
from velatura_protocol.presets import import_from
from velatura_protocol.schema import Field, complete, fields_from_schema


def parse_values(method: dict, assignments: Sequence[str]) -> dict[str, Any]:
    """Return the parameters that `assignments` give, checked against the method's schema.

    Groups are JSON; words may be a list with commas, and dials the file that they were exported to.
    Raises `bad-request` with a sentence that names the option.
    """
    fields = {field.key: field for field in fields_from_schema(method["parameters"])}
    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise VelaturaError("bad-request", f"--set {assignment} has no value; write --set key=value.")
        if key not in fields:
            names = ", ".join(fields) or "none"
            raise VelaturaError("bad-request", f"{method['title']} has no option {key!r}; it has: {names}.")
        values[key] = _value(fields[key], text)
    complete(method["parameters"], values)
    return values


def _value(field: Field, text: str) -> Any:
    try:
        if field.words and not text.lstrip().startswith("["):
            return [{"text": word.strip()} for word in text.split(",")]
        if field.dials and not text.lstrip().startswith("["):
            return import_from(Path(text).expanduser(), field).dials
        return READERS.get(field.kind, str)(text)
    except (ValueError, KeyError) as error:
        raise VelaturaError(
            "bad-request", f"--set {field.key}={text} is not of the kind {field.kind}."
        ) from error


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
