"""Presets: dials under a name, in the state directory and in files that people share.

A shared file is not trusted: reading it gives dials that fit the form, or one sentence.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .dials import check, spoken, strings
from .errors import VelaturaError
from .named_files import MAX_NAME, SUFFIX, Kind, NamedFiles, checked_name, is_plain
from .schema import Field
from .words import Entry

__all__ = ["DELETED", "EXPORTED", "KEPT", "KIND", "MAX_NAME", "SUFFIX", "Preset", "Presets"]

KIND = Kind("dials", "dials", list)

# Sentences for the person once it is done
KEPT, DELETED, EXPORTED = KIND.kept, KIND.deleted, KIND.exported


@dataclass(frozen=True)
class Preset:
    """Dials under a name, 1 … `MAX_NAME` characters in one line."""

    name: str
    dials: list[Entry]


class Presets:
    """The presets in a state directory, one small file each. A preset is checked against the field when it is
    read."""

    def __init__(self, state_dir: str | os.PathLike[str]) -> None:
        self.files = NamedFiles(state_dir, KIND)

    def names(self) -> list[str]:
        """The names in alphabetical order. Damaged files are skipped."""
        return self.files.names()

    def same(self, name: str, other: str) -> bool:
        """Whether one of these names would take the other's place."""
        return self.files.same(name, other)

    def load(self, name: str, field: Field) -> list[Entry]:
        """The dials of that name. Raises `bad-request` where they do not fit the field or are gone."""
        return _fitting(*self.files.read(name), field).dials

    def save(self, name: str, entries: Sequence[Entry]) -> str:
        """Keeps the dials that have words under that name, in place of earlier ones; returns the name.

        Raises `bad-request` for an invalid name, for too many dials, and where nothing can be written.
        """
        return self.files.write(name, spoken(entries))

    def delete(self, name: str) -> None:
        """Deletes the preset; no-op where there is none. Raises `bad-request`."""
        self.files.delete(name)

    def add_from(self, path: str | os.PathLike[str], field: Field) -> Preset:
        """Keeps the dials of a shared file under its name, with a number behind it where other dials have it.

        Raises `bad-request` as `import_from` and `save`.
        """
        preset = import_from(path, field)
        return Preset(self.files.add(preset.name, preset.dials), preset.dials)


def export_to(path: str | os.PathLike[str], name: str, entries: Sequence[Entry]) -> None:
    """Writes the dials that have words to a file for others, atomically. Raises `bad-request`."""
    KIND.write(Path(path), checked_name(name), spoken(entries))


def import_from(path: str | os.PathLike[str], field: Field) -> Preset:
    """The preset in a shared file. Raises `bad-request`, in one sentence, for any file that is unusable."""
    return _fitting(*KIND.read(Path(path)), field)


def file_name(name: str) -> str:
    """A file name to propose for a preset that is exported."""
    return KIND.file_name(name)


def _fitting(name: str, dials: object, field: Field) -> Preset:
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
    if not all(is_plain(" ".join(text.split())) for text in texts):
        raise VelaturaError("bad-request", f"The dials '{name}' have characters that cannot be shown.")
    return Preset(name, spoken(entries))
