"""Which daemon owns a state directory: it holds one file locked, and a second file names it.

The kernel holds the lock, so it ends with the process, however that ends. The process id lies in a file of
its own, since a process that tries the lock may truncate the locked file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

LOCK_FILE, OWNER_FILE = "daemon.lock", "daemon.pid"
UNKNOWN = 0
_PATIENCE_S = 1.0  # others hold the lock for a moment when they look


@contextmanager
def held(folder: Path) -> Generator[None]:
    """Makes this process the daemon of a state directory.

    Raises `filelock.Timeout` if another process is that daemon, OSError.
    """
    with filelock.FileLock(folder / LOCK_FILE, timeout=_PATIENCE_S):
        name_owner(folder)
        yield


def name_owner(folder: Path) -> None:
    """Writes down that this process holds the lock. Raises OSError."""
    (folder / OWNER_FILE).write_text(f"{os.getpid()}\n", "ascii")


def owner(folder: Path) -> int | None:
    """The id of the process that holds the lock; `UNKNOWN` if its id cannot be read, None if no process does.

    Raises OSError if the lock cannot be looked at.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while not is_free(folder):
        pid = _named(folder)
        if pid != UNKNOWN or time.monotonic() > deadline:
            return pid
        time.sleep(0.05)  # it has just taken the lock, and not yet written its id
    return None


def is_free(folder: Path, timeout: float = 0.0) -> bool:
    """Whether no process holds the lock, now or within `timeout` seconds. Raises OSError."""
    if not (folder / LOCK_FILE).exists():
        return True
    try:
        with filelock.FileLock(folder / LOCK_FILE, timeout=timeout):
            return True
    except filelock.Timeout:
        return False


def _named(folder: Path) -> int:
    with suppress(OSError, ValueError):
        pid = int((folder / OWNER_FILE).read_text("ascii"))
        if 0 < pid < 2**31 and _is_alive(pid):
            return pid
    return UNKNOWN


def _is_alive(pid: int) -> bool:
    if os.name != "posix":  # on Windows `os.kill` would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
