"""The lists of models in the state folder: models.json, which the person writes. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from velatura.companions.table import COMPANIONS
from velatura.weights.json_files import read_json
from velatura_protocol.errors import VelaturaError

FILE = "models.json"
FOUND = "found.json"  #: of `velatura models find`; only Velatura writes it
DTYPES = ("float32", "float16", "bfloat16")  # that a person may want for a model's networks
PREDICTIONS = ("epsilon", "v_prediction", "sample")  # that a person may say a UNet was trained for
MOST = 100  # models that a person may name, so that the list fits into a message
MOST_SKIPPED = 12  #: layers of a text encoder that may be left out: CLIP-L has twelve
_MOST_PARTS = 20

Item = dict[str, Any]
"""An entry of models.json: a JSON object, which may have keys that this version does not know."""


def read_found(state_dir: Path) -> list[Item]:
    """The entries of found.json; none where it cannot be read: the next `velatura models find` mends it."""
    try:
        return _read(state_dir, FOUND)
    except VelaturaError:
        return []


def read(state_dir: Path) -> list[Item]:
    """The entries of models.json. Raises `unknown-model` if it cannot be read."""
    return _read(state_dir, FILE)


def _read(state_dir: Path, file: str) -> list[Item]:
    try:
        items = read_json(state_dir / file)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise _unreadable(state_dir, str(error)) from error
    if not isinstance(items, list) or len(items) > MOST:
        raise _unreadable(state_dir, f"not a list of at most {MOST}")
    for item in items:
        if not isinstance(item, dict) or not is_whole(item):
            raise _unreadable(state_dir, f"{item!r:.80}")
    return [item | {"title": item.get("title") or item["id"]} for item in items]


def is_whole(item: Item) -> bool:
    """Whether an entry of models.json has all it needs, in lengths that fit into a message."""
    needed = _is_text(item.get("id"), 80) and _is_text(item.get("path"), 4096)
    texts = all(_is_text(item.get(name) or "", 4096) for name in COMPANIONS)
    texts = texts and _is_text(item.get("title") or "", 100) and _is_text(item.get("vae") or "", 4096)
    choices = (item.get("dtype") or "") in ("", *DTYPES) and (item.get("prediction") or "") in (
        "",
        *PREDICTIONS,
    )
    return needed and texts and choices and _is_guidance(item.get("guidance")) and _has_parts(item)


def _has_parts(item: Item) -> bool:
    """Whether the places of parts and the number of layers to leave out are possible values."""
    parts, skip = item.get("parts") or {}, item.get("clip_skip")
    if not isinstance(parts, dict) or len(parts) > _MOST_PARTS:
        return False
    named = all(_is_text(name, 80) and _is_text(place, 4096) for name, place in parts.items())
    return named and (skip is None or (type(skip) is int and 0 <= skip <= MOST_SKIPPED))


def _is_text(value: object, most: int) -> bool:
    """Whether it is a text of at most `most` characters that can be sent and can name a file."""
    if not isinstance(value, str) or len(value) > most or "\0" in value:
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_guidance(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 1.0 <= value <= 20.0


def _unreadable(state_dir: Path, detail: str) -> VelaturaError:
    return VelaturaError(
        "unknown-model",
        f"The list of models cannot be read; mend or delete {state_dir / FILE}.",
        detail=detail,
    )


def write(state_dir: Path, items: list[Item], file: str = FILE) -> None:
    """Replaces models.json, or another list of the same form, at once."""
    state_dir.mkdir(parents=True, exist_ok=True)
    new = state_dir / (file + ".new")
    new.write_text(json.dumps(items, indent=1), encoding="utf-8")
    new.replace(state_dir / file)
