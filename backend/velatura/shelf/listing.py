"""The list of the dials in a folder, and in the folders of models. Imports no torch."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from velatura_protocol.errors import VelaturaError

from .dial import ENDING, Entry, described, is_id

log = logging.getLogger(__name__)

FOLDER = "shelf"
"""Its name in the daemon's state directory."""

SHIPPED = "dials"
"""The folder of a model that has dials which ship with it."""


class Broken(NamedTuple):
    """A file that could not be read. reason: for the person, 'it is cut off'."""

    path: Path
    reason: str


class Listing:
    """The kept dials, without their tensors.

    Args:
        folder: of the person's own dials; None: there is none.
        shipped: folders of dials that come with models.
    """

    def __init__(self, folder: Path | None, shipped: Sequence[Path] = ()) -> None:
        self._folder, self._shipped = folder, tuple(shipped)

    def entries(self, generator: str = "") -> list[Entry]:
        """The dials in the order of their titles, without their tensors.

        generator: the digest of a model, whose dials alone are listed, with those that ship; '' lists all.
        """
        found = {entry.id: entry for entry in reversed(self._read()[0])}
        fitting = [e for e in found.values() if generator in ("", e.generator) or e.shipped]
        return sorted(fitting, key=lambda entry: (entry.title.casefold(), entry.id))

    def broken(self) -> list[Broken]:
        """The files that cannot be read; `entries` leaves them out."""
        return self._read()[1]

    def entry(self, id: str) -> Entry:
        """The dial of this id. Raises `bad-request` if it is not there."""
        for entry in self.entries():
            if is_id(id) and entry.id == id:
                return entry
        raise VelaturaError(
            "bad-request",
            f"This model has no slider {id[:20]!r}; choose another slider, or the model it was made for.",
        )

    def _read(self) -> tuple[list[Entry], list[Broken]]:
        """What can be read and what cannot, the person's own first."""
        entries: list[Entry] = []
        broken: list[Broken] = []
        own = ((path, False) for path in self._paths())
        for path, shipped in [*own, *((path, True) for path in self._shipped_paths())]:
            read = _entry_or_fault(path, shipped)
            if isinstance(read, Entry):
                entries.append(read)
            elif read is not None:
                _tell(read)
                broken.append(read)
        return entries, broken

    def _paths(self) -> Iterator[Path]:
        if self._folder is not None:
            yield from _files(self._folder)

    def _shipped_paths(self) -> Iterator[Path]:
        for folder in self._shipped:
            yield from _files(folder)


@cache
def _tell(broken: Broken) -> None:
    """Logs a broken file, once."""
    log.warning("left out %s: %s", *broken)


def _entry_or_fault(path: Path, shipped: bool) -> Entry | Broken | None:
    """What a file describes, or why it cannot be read; None for one that was removed at this moment."""
    try:
        entry = described(path, shipped=shipped)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return Broken(path, str(error))
    if not shipped and path.name != f"{entry.id}{ENDING}":
        return Broken(path, "its name is that of another slider")
    return entry


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(ENDING) and path.name[0] != ".")
    except OSError:
        return []
