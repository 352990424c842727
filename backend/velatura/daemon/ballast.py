"""A file that only takes up room: a daemon that finds its disk full lets go of it, and can start.

Once it runs, it deletes jobs and blobs that it need not keep, and clients fetch and acknowledge the results.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

FILE = "ballast"
SIZE = 1024**2  # a daemon's start writes less: its lock, log, journal and connection file
AMPLE = 16 * SIZE  # free bytes at which the file is made


def let_go(folder: Path) -> None:
    """Removes the file where the disk has less room than it takes up."""
    with suppress(OSError):
        if shutil.disk_usage(folder).free < SIZE:
            (folder / FILE).unlink(missing_ok=True)


def take(folder: Path) -> None:
    """Makes the file, unless it is there or room is scarce."""
    path = folder / FILE
    with suppress(OSError):
        if not path.exists() and shutil.disk_usage(folder).free > AMPLE:
            path.write_bytes(bytes(SIZE))
