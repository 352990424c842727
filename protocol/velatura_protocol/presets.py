"""Presets: dials under a name, in the state directory and in files that people share.

A shared file is not trusted: reading it gives dials that fit the form, or one sentence.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from unicodedata import category

from .dials import check, folded, one_line, spoken, strings
from .errors import VelaturaError
from .reading import as_list, as_object, text_of
from .schema import Field
from .words import Entry

FOLDER = "dials"  #: in the state directory
SUFFIX = ".json"
VERSION = 1  #: of a preset's file
MAX_FILE = 1024 * 1024  #: bytes of a preset's file
MAX_NAME = 60  #: characters of a preset's name
MAX_PRESETS = 500

# Sentences for the person once it is done
KEPT = "These dials are kept as '{}'."
DELETED = "'{}' is deleted; the dials that you see stay as they are."
EXPORTED = "The dials are in '{}'; others can import them."


@dataclass(frozen=True)
class Preset:
    """Dials under a name, 1 … `MAX_NAME` characters in one line."""

    name: str
    dials: list[Entry]


class Presets:
    """The presets in a state directory, one small file each. A preset is checked against the field when it is
    read."""

    def __init__(self, state_dir: str | os.PathLike[str]) -> None:
        self.folder = Path(state_dir) / FOLDER

    def names(self) -> list[str]:
        """The names in alphabetical order. Damaged files are skipped."""
        names: list[str] = []
        for path in self._paths():
            with contextlib.suppress(VelaturaError):
                name, _dials = _read(path)
                if path == self._path(name):
                    names.append(name)
        return sorted(names, key=lambda name: (name.casefold(), name))

    def same(self, name: str, other: str) -> bool:
        """Whether one of these names would take the other's place."""
        return self._path(name) == self._path(other)

    def load(self, name: str, field: Field) -> list[Entry]:
        """The dials of that name. Raises `bad-request` where they do not fit the field or are gone."""
        return _fitting(*_read(self._path(name)), field).dials

    def save(self, name: str, entries: Sequence[Entry]) -> str:
        """Keeps the dials that have words under that name, in place of earlier ones; returns the name.

        Raises `bad-request` for an invalid name, for too many dials, and where nothing can be written.
        """
        name = checked_name(name)
        path = self._path(name)
        if not path.exists() and len(self._paths()) >= MAX_PRESETS:
            raise VelaturaError("bad-request", f"There are {MAX_PRESETS} presets; delete some to make room.")
        _write(path, Preset(name, spoken(entries)), make_folder=True)
        return name

    def delete(self, name: str) -> None:
        """Deletes the preset; no-op where there is none. Raises `bad-request`."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise VelaturaError(
                "bad-request",
                "The preset could not be deleted; look whether Velatura's folder can be written to.",
                detail=str(error),
            ) from error

    def add_from(self, path: str | os.PathLike[str], field: Field) -> Preset:
        """Keeps the dials of a shared file under its name, with a number behind it where other dials have it.

        Raises `bad-request` as `import_from` and `save`.
        """
        preset = import_from(path, field)
        name, number = preset.name, 1
        while (there := self._there(name)) is not None and there != preset.dials:
            number += 1
            end = f" {number}"
            name = preset.name[: MAX_NAME - len(end)].rstrip() + end
        return Preset(self.save(name, preset.dials), preset.dials)

    def _there(self, name: str) -> list[object] | None:
        path = self._path(name)
        if not path.exists():
            return None
        try:
            return _read(path)[1]
        except VelaturaError:
            return []  # damaged, but somebody may still repair it

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*" + SUFFIX))[:MAX_PRESETS]

    def _path(self, name: str) -> Path:
        """A file name that every file system takes; equal for names that differ in case only."""
        key = folded(one_line(name))
        readable = re.sub(r"[^a-z0-9]+", "-", key).strip("-")[:40] or "dials"
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        return self.folder / f"{readable}-{digest}{SUFFIX}"


def export_to(path: str | os.PathLike[str], name: str, entries: Sequence[Entry]) -> None:
    """Writes the dials that have words to a file for others, atomically. Raises `bad-request`."""
    _write(Path(path), Preset(checked_name(name), spoken(entries)))


def import_from(path: str | os.PathLike[str], field: Field) -> Preset:
    """The preset in a shared file. Raises `bad-request`, in one sentence, for any file that is unusable."""
    return _fitting(*_read(Path(path)), field)


def file_name(name: str) -> str:
    """A file name to propose for a preset that is exported."""
    return (re.sub(r"[^\w .-]+", "", name).strip(" .")[:MAX_NAME] or "dials") + SUFFIX


def checked_name(name: str) -> str:
    """The name in one line. Raises `bad-request` for an empty one and for one that is too long."""
    name = one_line(name)
    if not 0 < len(name) <= MAX_NAME or not _is_plain(name):
        raise VelaturaError("bad-request", f"Give the preset a name of 1 to {MAX_NAME} characters.")
    return name


def _is_plain(text: str) -> bool:
    """Whether it has no control characters and no surrogates: neither can be shown or sent."""
    return not any(category(character) in ("Cc", "Cs") for character in text)


def _read(path: Path) -> tuple[str, list[object]]:
    """The name, and the dials, unchecked. Raises `bad-request`."""
    try:
        if not path.is_file():  # reading a pipe or a device would block
            raise OSError("no file")
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise VelaturaError(
            "bad-request", "The dials could not be read; choose another file.", detail=str(error)
        ) from error
    try:
        if len(data) > MAX_FILE:
            raise ValueError("too long")
        value = as_object(json.loads(data.decode("utf-8"))) or {}
        version, name = value.get("velatura-dials"), checked_name(text_of(value, "name"))
        entries = as_list(value.get("dials"))
        if type(version) is not int or entries is None:
            raise ValueError("not a preset")
    except (ValueError, RecursionError, VelaturaError) as error:
        raise VelaturaError(
            "bad-request",
            "This file holds no dials that Velatura can read; choose one that was exported as dials.",
            detail=f"{path.name}: {error}",
        ) from error
    if version != VERSION:
        raise VelaturaError(
            "bad-request",
            "These dials were saved by another version of Velatura; update yours.",
            detail=str(version),
        )
    return name, entries


def _fitting(name: str, dials: list[object], field: Field) -> Preset:
    """The preset for the field, each entry complete. Raises `bad-request`; its hint says why."""
    try:
        entries = check(field, dials)
    except VelaturaError as error:
        raise VelaturaError(
            "bad-request",
            f"The dials '{name}' do not fit this method; choose others.",
            hint=error.message,
            detail=error.detail,
        ) from error
    texts = [str(entry[key]) for entry in entries for key in strings(field)]
    if not all(_is_plain(" ".join(text.split())) for text in texts):
        raise VelaturaError("bad-request", f"The dials '{name}' have characters that cannot be shown.")
    return Preset(name, spoken(entries))


def _write(path: Path, preset: Preset, *, make_folder: bool = False) -> None:
    """Raises `bad-request`."""
    value = {"velatura-dials": VERSION, "name": preset.name, "dials": preset.dials}
    try:
        data = json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8")
        if len(data) > MAX_FILE:
            raise VelaturaError("bad-request", "These dials are too many for a preset; remove some.")
        if make_folder:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.parent / f".{uuid.uuid4().hex}.part"
        try:
            with open(part, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except (OSError, UnicodeError) as error:
        raise VelaturaError(
            "bad-request",
            "The dials could not be written; choose another folder, or make room on the disk.",
            detail=str(error),
        ) from error
