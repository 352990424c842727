"""`methods.json`, beside the plug-in: the methods and models that the daemon last offered.

It holds the daemon's answer to `methods` (SPEC section 4). GIMP registers procedures from it, so GIMP's start
never waits for the daemon. GIMP asks a plug-in for its procedures again only when the plug-in's file has
a new modification time; `remember` therefore touches it, and new methods are there at GIMP's next
start. Until then GIMP calls procedures as it knows them, so `registered.json` keeps the registered ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.errors import VelaturaError

FILE = "methods.json"
REGISTERED = "registered.json"
MAX_FILE = 4 * 1024 * 1024

#: GIMP refuses procedures with other names.
_PROCEDURE_NAME = re.compile(r"[a-z0-9][a-z0-9-]*\Z")


def parse(answer: object) -> Catalogue:
    """The methods of an answer that can be procedures in GIMP. Raises `bad-message`."""
    known = Catalogue.from_wire(answer)
    return replace(known, methods=tuple(m for m in known.methods if _PROCEDURE_NAME.match(m.id)))


def register(folder: Path) -> Catalogue:
    """The newest catalogue in `folder`, which is recorded as the registered one. Empty where the file is
    absent or damaged.
    """
    value = _read(folder / FILE)
    with contextlib.suppress(OSError):  # a folder that cannot be written has no newer catalogue later either
        _write(folder / REGISTERED, value)
    return _kept(value)


def registered(folder: Path) -> Catalogue:
    """The catalogue that GIMP knows."""
    return _kept(_read(folder / REGISTERED) or _read(folder / FILE))


def newest(folder: Path) -> Catalogue:
    """The daemon's last answer, for features without a procedure of their own."""
    return _kept(_read(folder / FILE))


def with_newest_choices(method: MethodInfo, newest: Catalogue) -> MethodInfo:
    """A registered method whose lists offer the choices that the daemon has now, such as a slider that was
    kept a moment ago. GIMP itself knows a list as a text only.
    """
    found = newest.method(method.id)
    groups = {spec.key: spec for spec in (found.fields if found else ()) if spec.kind == "group"}
    fields = (groups.get(spec.key, spec) if spec.kind == "group" else spec for spec in method.fields)
    return replace(method, fields=tuple(fields))


def remember(folder: Path, answer: dict, entry: Path) -> bool:
    """Writes the daemon's answer to `folder` and touches `entry`, the file that GIMP watches, if anything is
    new. Returns whether GIMP's next start will offer other methods. Where the folder cannot be written the
    known methods stay. Raises `bad-message` for an answer that cannot be read.
    """
    known = parse(answer)
    kept = {key: answer[key] for key in ("digest", "methods", "models") if key in answer}
    if kept == _read(folder / FILE) or not known.offered:
        return False
    try:
        _write(folder / FILE, kept)
        # GIMP compares whole seconds: a file made within this second must not look unchanged.
        modified = max(int(time.time()), int(entry.stat().st_mtime) + 1)
        os.utime(entry, (modified, modified))
    except OSError:
        return False
    return True


def _kept(value: object) -> Catalogue:
    """The catalogue in a file; empty where it is damaged, until the daemon's next answer."""
    try:
        return parse(value)
    except VelaturaError:
        return Catalogue()


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
