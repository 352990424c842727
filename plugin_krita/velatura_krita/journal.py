"""Jobs whose results are still to be inserted, one small file each, so that they outlive Krita."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .velatura_protocol.sights import LAYER

FOLDER = "krita"
SUFFIX = ".json"
#: Seconds after which a result that nobody came for is given up: as long as the daemon keeps it.
LIFETIME = 30 * 24 * 3600


@dataclass(frozen=True)
class Entry:
    """Where a job's result belongs.

    node and root are unique ids of the source layer and of its document's root; the root's is only good while
    the document stays open; node is empty where the person has chosen another picture.  file: the document's
    path, empty while it has none.  sketch: the layer as it was captured, see `placement.Sketch`.
    """

    job: str
    node: str
    root: str
    file: str
    title: str
    created: float
    document: str = ""  #: its name, for the person
    sketch: dict | None = None
    sees: str = LAYER  #: the picture that the model saw, one of `sights.TITLES`


KEYS = {field.name for field in fields(Entry)}


class Journal:
    """The entries in the state directory.  Each call raises OSError where the directory cannot be used."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / FOLDER

    def add(self, entry: Entry) -> None:
        """Note `entry`, whole or not at all."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(entry), file)
        os.replace(name, self._path(entry.job))

    def remove(self, job: str) -> None:
        self._path(job).unlink(missing_ok=True)

    def entries(self) -> list[Entry]:
        """All entries, oldest first; damaged and expired ones are deleted."""
        found = []
        for path in self.folder.glob("*" + SUFFIX):
            try:
                found_here = json.loads(path.read_text("utf-8"))
                entry = Entry(**{key: found_here[key] for key in found_here if key in KEYS})
                keep = path == self._path(entry.job) and time.time() - entry.created < LIFETIME
            except (ValueError, TypeError, RecursionError):
                keep = False
            if keep:
                found.append(entry)
            else:
                path.unlink(missing_ok=True)
        return sorted(found, key=lambda entry: entry.created)

    def _path(self, job: str) -> Path:
        return self.folder / (job + SUFFIX)
