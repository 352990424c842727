"""The files by which others find the daemon: its directory, its lock, its name and its connection file."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from velatura.daemon.faults import Edge
from velatura.daemon.lock import LOCK_FILE, OWNER_FILE, name_owner
from velatura.daemon.sockets import DOMAINS, socket_file
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import CONNECTION_FILE

log = logging.getLogger(__name__)

EVERY_S = 1.0

Identity = tuple[int, ...]
"""Device, inode and kind of a file; for its content also size and time of the last write."""
UNKNOWN: Identity = ()


class Presence:
    """Watches the files by which others find this daemon. Used by the main thread.

    The lock, the journal and the sockets cannot be made again. If one of them is gone, or another file lies
    in its place, the daemon ends: otherwise it would acknowledge edits that are lost, or receive no messages,
    perhaps beside a second daemon. The files that only name the daemon are written again.
    """

    def __init__(self, folder: Path, announce: Callable[[], os.stat_result]) -> None:
        """announce: writes the connection file, and returns the status of what it wrote."""
        self._folder = folder
        self._announce = announce
        held = [folder / name for name in (LOCK_FILE, "jobs.sqlite", *map(socket_file, DOMAINS))]
        self._held = {path: known for path in held if (known := _identity(path)) is not None}
        self._connection: Identity | None = None
        self._looked = time.monotonic()
        self._edge = Edge(log, "the daemon's files")

    def announce(self) -> None:
        """Writes the connection file. Raises `unavailable` where that fails."""
        path = self._folder / CONNECTION_FILE
        try:
            written = self._announce()
        except OSError as error:
            raise VelaturaError(
                "unavailable",
                f"{path} is a folder; remove it and start the daemon again."
                if path.is_dir()
                else f"The daemon cannot write {path}; make its folder writable and start it again.",
                detail=str(error),
            ) from None
        self._connection = _identity_of(written, content=True)

    def look(self) -> None:
        """To be called often. Raises `unavailable` if a file that cannot be made again is not ours."""
        if time.monotonic() - self._looked < EVERY_S:
            return
        self._looked = time.monotonic()
        for path, known in self._held.items():
            if _identity(path) not in (known, UNKNOWN):
                raise VelaturaError(
                    "unavailable",
                    f"{path} was removed or replaced under the daemon, which ends; start it again.",
                )
        if _identity(self._folder / OWNER_FILE) is None:
            with self._edge.guarded(OWNER_FILE):
                name_owner(self._folder)
                log.warning("%s was gone, and is written again", OWNER_FILE)
        if self._connection is not None and not self._is_announced():
            with self._edge.guarded(CONNECTION_FILE):
                self.announce()
                log.warning("%s was gone or changed, and is written again", CONNECTION_FILE)

    def withdraw(self) -> None:
        """Removes the connection file, if it is ours: another daemon's stays. Raises OSError."""
        if self._connection is not None and self._is_announced():
            (self._folder / CONNECTION_FILE).unlink(missing_ok=True)
        self._connection = None

    def _is_announced(self) -> bool:
        return _identity(self._folder / CONNECTION_FILE, content=True) in (self._connection, UNKNOWN)


def _identity(path: Path, *, content: bool = False) -> Identity | None:
    """The identity of the file at a path; None if there is none, `UNKNOWN` where the system does not tell.

    Opens nothing. content: include size and time of the last write.
    """
    try:
        status = os.stat(path, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return UNKNOWN
    return _identity_of(status, content=content)


def _identity_of(status: os.stat_result, *, content: bool) -> Identity:
    written = (status.st_size, status.st_mtime_ns) if content else ()
    return status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode), *written
