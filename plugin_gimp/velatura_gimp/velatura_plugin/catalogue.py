"""`methods.json`, beside the plug-in: the methods and models that the daemon last offered.

It holds the daemon's answer to `methods` (SPEC section 4). GIMP registers procedures from it, so GIMP's start
never waits for the daemon. GIMP asks a plug-in for its procedures again only when the plug-in's file has
a new modification time; `remember` therefore touches it, and new methods are there at GIMP's next
start. Until then GIMP calls procedures as it knows them, so what was registered is kept in `registered.json`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from velatura_protocol.errors import VelaturaError
from velatura_protocol.schema import Field, fields_from_schema

FILE = "methods.json"
REGISTERED = "registered.json"
MAX_FILE = 4 * 1024 * 1024

#: GIMP refuses procedures with other names.
_PROCEDURE_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\Z")


@dataclass(frozen=True)
class MethodInfo:
    """What the plug-in has to know of a method. fields: of its form, in order. result: 'layer', 'mask' or
    'text'. needs_prompt: whether it does nothing without one."""

    id: str
    title: str
    summary: str
    source: str
    max_variations: int
    fields: tuple[Field, ...]
    result: str = "layer"
    needs_prompt: bool = True

    @property
    def words(self) -> Field | None:
        """The group whose entries are about words of the prompt."""
        return next((field for field in self.fields if field.words), None)

    @property
    def dials(self) -> Field | None:
        """The group whose entries are dials."""
        return next((field for field in self.fields if field.dials), None)


@dataclass(frozen=True)
class ModelInfo:
    """lacks: ids of the methods that cannot run with it."""

    id: str
    title: str
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Catalogue:
    """methods: in the daemon's order. models: the daemon's default first."""

    methods: tuple[MethodInfo, ...] = ()
    models: tuple[ModelInfo, ...] = ()

    @property
    def offered(self) -> tuple[MethodInfo, ...]:
        """The methods that an artist chooses from; those that only say something are not among them."""
        return tuple(method for method in self.methods if method.result != "text")

    def method(self, identifier: str) -> MethodInfo | None:
        """The method of this id that an artist can choose, or None."""
        return next((method for method in self.offered if method.id == identifier), None)

    def proposing(self) -> MethodInfo | None:
        """The method that proposes what a layer shows (SPEC section 4), or None."""
        return next((method for method in self.methods if method.result == "text"), None)

    def lacks(self, model: str, method: MethodInfo) -> bool:
        """Whether the model of this id cannot run the method. Empty: the daemon's default model."""
        chosen = [known for known in self.models if known.id == model] if model else self.models[:1]
        return any(method.id in known.lacks for known in chosen)

    def word_masks(self) -> MethodInfo | None:
        """The method that selects a word (SPEC section 4), or None."""
        return next((method for method in self.methods if method.result == "mask" and method.words), None)


def dialling(known: Catalogue) -> MethodInfo | None:
    """The first method that edits by dials, or None."""
    return next((m for m in known.offered if m.result == "layer" and m.dials), None)


def parse(answer: object) -> Catalogue:
    """The catalogue in an answer to `methods`. What cannot be read is left out; nothing is raised."""
    if not isinstance(answer, dict):
        return Catalogue()
    methods = tuple(filter(None, map(_method, _objects(answer.get("methods")))))
    models = tuple(map(_model, (m for m in _objects(answer.get("models")) if _is_text(m.get("id")))))
    return Catalogue(methods, models)


def register(folder: Path) -> Catalogue:
    """The newest catalogue in `folder`, to be registered with GIMP, and noted as that.

    An empty one where the file is absent or damaged.
    """
    value = _read(folder / FILE)
    with contextlib.suppress(OSError):  # a folder that cannot be written has no newer catalogue later either
        _write(folder / REGISTERED, value)
    return parse(value)


def registered(folder: Path) -> Catalogue:
    """The catalogue that GIMP knows."""
    return parse(_read(folder / REGISTERED) or _read(folder / FILE))


def newest(folder: Path) -> Catalogue:
    """What the daemon last offered, for what needs no procedure of its own."""
    return parse(_read(folder / FILE))


def remember(folder: Path, answer: dict, entry: Path) -> bool:
    """Writes the daemon's answer to `folder` and touches `entry`, the file GIMP watches, if anything is new.

    Returns whether GIMP's next start will offer something else. A folder that cannot be written changes
    nothing: the methods known so far stay.
    """
    kept = {key: answer[key] for key in ("digest", "methods", "models") if key in answer}
    if kept == _read(folder / FILE) or not parse(kept).offered:
        return False
    try:
        _write(folder / FILE, kept)
        # GIMP compares whole seconds: a file made within this second must not look unchanged.
        modified = max(int(time.time()), int(entry.stat().st_mtime) + 1)
        os.utime(entry, (modified, modified))
    except OSError:
        return False
    return True


def _read(path: Path) -> object:
    try:
        with open(path, "rb") as file:
            return json.loads(file.read(MAX_FILE).decode("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _write(path: Path, value: object) -> None:
    handle, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _method(value: dict) -> MethodInfo | None:
    identifier, most, inputs = value.get("id"), value.get("max_variations"), value.get("inputs")
    if not _is_text(identifier) or not _PROCEDURE_NAME.match(identifier):
        return None
    try:
        fields = fields_from_schema(value.get("parameters"))
    except VelaturaError:
        return None
    return MethodInfo(
        id=identifier,
        title=_text(value, "title") or identifier,
        summary=_text(value, "summary"),
        source=_text(value, "source"),
        max_variations=most if isinstance(most, int) and 1 <= most <= 64 else 1,
        fields=tuple(fields),
        result=value["result"] if value.get("result") in ("mask", "text") else "layer",
        needs_prompt=not isinstance(inputs, dict) or inputs.get("prompt", "required") == "required",
    )


def _model(value: dict) -> ModelInfo:
    lacks = value.get("lacks")
    names = frozenset(filter(_is_text, lacks)) if isinstance(lacks, list) else frozenset()
    return ModelInfo(value["id"], _text(value, "title") or value["id"], names)


def _objects(value: object) -> list[dict]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _text(value: dict, key: str) -> str:
    return value[key] if isinstance(value.get(key), str) else ""
