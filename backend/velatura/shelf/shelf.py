"""The shelf: dials are kept in files, each written whole or not at all."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from velatura.files.atomic import replacing
from velatura_protocol.errors import VelaturaError

from .dial import ENDING, LONGEST_TITLE, Dial, Entry, checked_title, described
from .listing import Listing

MOST = 200
"""Dials that a person can keep, so that the list fits into a message."""

_STALE_S = 3600.0  # the age of a part that a killed process has left


class Shelf(Listing):
    """A listing that reads dials whole, and keeps and changes them. No other process is locked out: files
    come and go whole, and the last writer of one wins. The folder is made when the first dial is kept.

    Loading torch waits until a dial is read or written.
    """

    def load(self, id: str) -> Dial:
        """The dial of this id, on the CPU. Raises `bad-request` if it is not there or is damaged."""
        from .packing import read

        entry = self.entry(id)
        try:
            return read(entry)
        except Exception as error:  # a damaged file can raise almost any error
            raise VelaturaError(
                "bad-request",
                f"The slider {entry.title!r} is damaged; remove it with `velatura dials delete {id}`.",
                detail=f"{entry.path}: {error}",
            ) from error

    def keep(self, dial: Dial) -> str:
        """Keeps a dial and returns its id; its file is on the disk when this returns.

        A dial that does the same as a kept one replaces it. The title of another one gets a number.

        Raises:
            VelaturaError: as `check_room`, and as `pack`.
            OSError: the disk is full, say.
        """
        from .packing import content_id, pack

        title = self.check_room(dial.title)
        assert self._folder is not None  # else there was no room
        id = content_id(dial.kind, dial.generator, dial.tensors)
        data = pack(replace(dial, id=id, title=self._free(title, id, dial.generator)))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._tidy(self._folder)
        with replacing(self._folder / f"{id}{ENDING}") as stream:
            stream.write(data)
        return id

    def same(self, dial: Dial) -> Entry | None:
        """The kept dial that does the same as this one; None where there is none."""
        from .packing import content_id

        id = content_id(dial.kind, dial.generator, dial.tensors)
        return next((entry for entry in self.entries() if entry.id == id), None)

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
                f"There are {MOST} sliders already; remove some with `velatura dials delete`.",
            )
        return title

    def rename(self, id: str, title: str) -> None:
        """Gives a dial another title. Raises `bad-request` for one that ships with a model, as well."""
        from .packing import pack

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
        entry = self.entry(id)
        with replacing(path) as stream, entry.path.open("rb") as source:
            shutil.copyfileobj(source, stream)

    def take(self, path: Path) -> str:
        """Keeps the dial in a file that another shelf has exported, and returns its id.

        Raises OSError; `bad-request` for other files.
        """
        from .packing import read

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

    def _tidy(self, folder: Path) -> None:
        """Removes the parts of files that killed processes have left."""
        for part in folder.glob(f".*{ENDING}.*.part"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > _STALE_S:
                    part.unlink()

    def _own(self, id: str) -> Entry:
        entry = self.entry(id)
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
