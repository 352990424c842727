"""Small JSON files under names that a person chose, in the state directory and in files that people share.

`presets` and `settings_presets` define and check their contents: a shared file is not trusted.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import uuid
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from unicodedata import category

from .dials import folded, one_line
from .errors import VelaturaError
from .reading import as_object, text_of

SUFFIX = ".json"
VERSION = 1  #: of a file
MAX_FILE = 1024 * 1024  #: bytes of a file
MAX_NAME = 60  #: characters of a name
MAX_FILES = 500


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        noun: the contents in the sentences for the person, in the plural. It is also the key of the contents
            and, after "velatura-", of the version.
        folder: in the state directory.
        holds: the JSON type of the contents: list or dict.
    """

    noun: str
    folder: str
    holds: type

    @property
    def kept(self) -> str:
        """The sentence after saving, for the name."""
        return f"These {self.noun} are kept as '{{}}'."

    @property
    def deleted(self) -> str:
        """The sentence after deleting, for the name."""
        return f"'{{}}' is deleted; the {self.noun} that you see stay as they are."

    @property
    def exported(self) -> str:
        """The sentence after exporting, for the file's name."""
        return f"The {self.noun} are in '{{}}'; others can import them."

    def file_name(self, name: str) -> str:
        """A file name to propose for contents that are exported."""
        return (re.sub(r"[^\w .-]+", "", name).strip(" .")[:MAX_NAME] or self.noun) + SUFFIX

    def read(self, path: Path) -> tuple[str, object]:
        """The name, and the contents, unchecked but for their type. Raises `bad-request`."""
        try:
            if not path.is_file():  # reading a pipe or a device would block
                raise OSError("no file")
            with open(path, "rb") as file:
                data = file.read(MAX_FILE + 1)
        except OSError as error:
            raise VelaturaError(
                "bad-request", f"The {self.noun} could not be read; choose another file.", detail=str(error)
            ) from error
        try:
            if len(data) > MAX_FILE:
                raise ValueError("too long")
            value = as_object(json.loads(data.decode("utf-8"))) or {}
            version, name = value.get(f"velatura-{self.noun}"), checked_name(text_of(value, "name"))
            contents = value.get(self.noun)
            if type(version) is not int or not isinstance(contents, self.holds):
                raise ValueError("not a preset")
        except (ValueError, RecursionError, VelaturaError) as error:
            raise VelaturaError(
                "bad-request",
                f"This file holds no {self.noun} that Velatura can read; choose one that was exported as"
                f" {self.noun}.",
                detail=f"{path.name}: {error}",
            ) from error
        if version != VERSION:
            raise VelaturaError(
                "bad-request",
                f"These {self.noun} were saved by another version of Velatura; update yours.",
                detail=str(version),
            )
        return name, contents

    def write(self, path: Path, name: str, contents: object, *, make_folder: bool = False) -> None:
        """Writes a file atomically. Raises `bad-request`."""
        value = {f"velatura-{self.noun}": VERSION, "name": name, self.noun: contents}
        try:
            data = json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8")
            if len(data) > MAX_FILE:
                raise VelaturaError(
                    "bad-request", f"These {self.noun} are too many for a preset; remove some."
                )
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
                f"The {self.noun} could not be written; choose another folder, or make room on the disk.",
                detail=str(error),
            ) from error


class NamedFiles:
    """The files of one kind in a state directory."""

    def __init__(self, state_dir: str | os.PathLike[str], kind: Kind) -> None:
        self.kind, self.folder = kind, Path(state_dir) / kind.folder

    def names(self) -> list[str]:
        """The names in alphabetical order. Damaged files are skipped."""
        names: list[str] = []
        for path in self._paths():
            with contextlib.suppress(VelaturaError):
                name, _contents = self.kind.read(path)
                if path == self.path(name):
                    names.append(name)
        return sorted(names, key=lambda name: (name.casefold(), name))

    def same(self, name: str, other: str) -> bool:
        """Whether one of these names would take the other's place."""
        return self.path(name) == self.path(other)

    def read(self, name: str) -> tuple[str, object]:
        """The name as it was saved, and the contents, unchecked. Raises `bad-request` where they are gone."""
        return self.kind.read(self.path(name))

    def write(self, name: str, contents: object) -> str:
        """Keeps the contents under that name, in place of earlier ones; returns the name.

        Raises `bad-request` for an invalid name, for too many files, and where nothing can be written.
        """
        name = checked_name(name)
        path = self.path(name)
        if not path.exists() and len(self._paths()) >= MAX_FILES:
            raise VelaturaError("bad-request", f"There are {MAX_FILES} presets; delete some to make room.")
        self.kind.write(path, name, contents, make_folder=True)
        return name

    def delete(self, name: str) -> None:
        """Deletes the file; no-op where there is none. Raises `bad-request`."""
        try:
            self.path(name).unlink(missing_ok=True)
        except OSError as error:
            raise VelaturaError(
                "bad-request",
                "The preset could not be deleted; look whether Velatura's folder can be written to.",
                detail=str(error),
            ) from error

    def add(self, name: str, contents: object) -> str:
        """Keeps the contents of a shared file under its name, with a number behind it where other contents
        have it; returns the name. Raises `bad-request` as `write`."""
        free, number = name, 1
        while self.path(free).exists() and self._contents(free) != contents:
            number += 1
            end = f" {number}"
            free = name[: MAX_NAME - len(end)].rstrip() + end
        return self.write(free, contents)

    def path(self, name: str) -> Path:
        """A file name that every file system takes; equal for names that differ in case only."""
        key = folded(one_line(name))
        readable = re.sub(r"[^a-z0-9]+", "-", key).strip("-")[:40] or self.kind.noun
        digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        return self.folder / f"{readable}-{digest}{SUFFIX}"

    def _contents(self, name: str) -> object:
        try:
            return self.read(name)[1]
        except VelaturaError:
            return None  # damaged, but somebody may still repair it

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*" + SUFFIX))[:MAX_FILES]


def checked_name(name: str) -> str:
    """The name in one line. Raises `bad-request` for an empty one and for one that is too long."""
    name = one_line(name)
    if not 0 < len(name) <= MAX_NAME or not is_plain(name):
        raise VelaturaError("bad-request", f"Give the preset a name of 1 to {MAX_NAME} characters.")
    return name


def is_plain(text: str) -> bool:
    """Whether it has no control characters and no surrogates: neither can be shown or sent."""
    return not any(category(character) in ("Cc", "Cs") for character in text)
