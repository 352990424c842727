"""The folder of kept dials: one file each, written whole or not at all."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from velatura.files.atomic import replacing
from velatura_protocol.errors import VelaturaError

from .dial import ENDING, LONGEST_TITLE, Dial, Entry, checked_title, content_id, described, is_id, pack, read

log = logging.getLogger(__name__)

FOLDER = "shelf"
"""Its name in the daemon's state directory."""

SHIPPED = "dials"
"""The folder of a model that has dials which ship with it."""

MOST = 200
"""Dials that a person can keep, so that the list fits into a message."""


class Broken(NamedTuple):
    """A file that could not be read. reason: for the person, 'it is cut off'."""

    path: Path
    reason: str


class Shelf:
    """Dials in a folder, and those in the folders of models. No other process is locked out: files come and
    go whole, and the last writer of one wins.

    Args:
        folder: is made when the first dial is kept; None: nothing can be kept.
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

    def load(self, id: str) -> Dial:
        """The dial of this id, on the CPU. Raises `bad-request` if it is not there or is damaged."""
        entry = self._entry(id)
        try:
            return read(entry)
        except Exception as error:  # a damaged file can raise almost any error
            raise VelaturaError(
                "bad-request",
                f"The slider {entry.title!r} is damaged; remove it with `velatura shelf remove {id}`.",
                detail=f"{entry.path}: {error}",
            ) from error

    def keep(self, dial: Dial) -> str:
        """Keeps a dial and returns its id; its file is on the disk when this returns.

        A dial that does the same as a kept one replaces it. The title of another one gets a number.

        Raises:
            VelaturaError: as `check_room`, and as `pack`.
            OSError: the disk is full, say.
        """
        title = self.check_room(dial.title)
        assert self._folder is not None  # else there was no room
        id = content_id(dial.kind, dial.generator, dial.tensors)
        data = pack(replace(dial, id=id, title=self._free(title, id, dial.generator)))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(self._folder / f"{id}{ENDING}") as stream:
            stream.write(data)
        return id

    def check_room(self, title: str) -> str:
        """The title as it will be shown. Methods call this before they begin to look for a dial.

        Raises `bad-request` for a title that cannot be shown, and where nothing more can be kept.
        """
        title = checked_title(title)
        if self._folder is None:
            raise VelaturaError("bad-request", "Nothing can be kept here; leave out the name of the slider.")
        if sum(1 for _ in self._paths()) >= MOST:
            raise VelaturaError(
                "bad-request",
                f"There are {MOST} sliders already; remove some with `velatura shelf remove`.",
            )
        return title

    def rename(self, id: str, title: str) -> None:
        """Gives a dial another title. Raises `bad-request` for one that ships with a model, as well."""
        title = checked_title(title)
        entry = self._own(id)
        dial = self.load(id)
        data = pack(replace(dial, title=self._free(title, id, dial.generator)))
        with replacing(entry.path) as stream:
            stream.write(data)

    def remove(self, id: str) -> None:
        """Removes a dial for good. Raises `bad-request` for one that is not there or ships with a model."""
        with suppress(FileNotFoundError):
            self._own(id).path.unlink()

    def export(self, id: str, path: Path) -> None:
        """Copies a dial's file to a path, for others. Raises OSError, `bad-request`."""
        entry = self._entry(id)
        with replacing(path) as stream, entry.path.open("rb") as source:
            shutil.copyfileobj(source, stream)

    def take(self, path: Path) -> str:
        """Keeps the dial in a file that another shelf has exported, and returns its id.

        Raises OSError; `bad-request` for other files.
        """
        try:
            dial = read(described(path))
        except OSError:
            raise
        except Exception as error:
            raise VelaturaError(
                "bad-request",
                f"{path} is no slider that Velatura has exported; choose another file.",
                detail=str(error),
            ) from error
        return self.keep(dial)

    def stamp(self) -> tuple[int, ...]:
        """Numbers that change whenever a dial was kept, renamed or removed."""
        stamps: list[int] = []
        for folder in self._folders():
            with suppress(OSError):
                stamps.append(os.stat(folder).st_mtime_ns)
        return tuple(stamps)

    def _folders(self) -> Iterator[Path]:
        if self._folder is not None:
            yield self._folder
        yield from self._shipped

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
                log.warning("left out %s: %s", path, read.reason)
                broken.append(read)
        return entries, broken

    def _paths(self) -> Iterator[Path]:
        if self._folder is not None:
            yield from _files(self._folder)

    def _shipped_paths(self) -> Iterator[Path]:
        for folder in self._shipped:
            yield from _files(folder)

    def _entry(self, id: str) -> Entry:
        for entry in self.entries():
            if is_id(id) and entry.id == id:
                return entry
        raise VelaturaError(
            "bad-request", f"There is no slider {id[:20]!r} any more; choose another one, or make it again."
        )

    def _own(self, id: str) -> Entry:
        entry = self._entry(id)
        if entry.shipped:
            raise VelaturaError(
                "bad-request", f"The slider {entry.title!r} belongs to a model and stays; choose another one."
            )
        return entry

    def _free(self, title: str, id: str, generator: str) -> str:
        """The title, with a number where another dial of the same generator has it."""
        taken = {e.title.casefold() for e in self.entries(generator) if e.id != id}
        number, free = 2, title
        while free.casefold() in taken:
            ending = f" ({number})"
            number, free = number + 1, title[: LONGEST_TITLE - len(ending)].rstrip() + ending
        return free


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
