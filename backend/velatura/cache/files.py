"""Values in a folder, one file each (`values`).

A file is written under a temporary name and then renamed. It is not synced: its digests reveal a file that a
power cut has damaged. Damaged files and a full disk are treated like missing files.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from velatura_protocol.messages import digest

from .values import pack, unpack

log = logging.getLogger(__name__)

_WHOLE, _PART = ".value", ".part"
_OF_OLD = (".trajectory", ".part")


class Files:
    """The folder, with at most `budget` bytes of files. Only files with our endings are read or removed.

    No method raises: a failure is logged, and the value counts as missing.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder, self._budget = folder, budget
        self._now = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            log.warning("nothing is kept on disk: %s", error)
        for path in _paths(folder, [_PART]):  # left by a process that was killed
            _remove(path)
        self._make_room(0)

    def read(self, key: str, device: torch.device | str = "cpu") -> Any:
        """The value, its tensors on the device; None if there is none. A damaged file, or one of another key
        or version, is removed."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        try:
            value = unpack(key, data, device)
        except Exception as error:  # a damaged file can raise almost any error
            log.warning("removing %s: %s", path.name, error)
            _remove(path)
            return None
        self.touch(key)
        return value

    def write(self, key: str, value: Any) -> None:
        """Makes room and writes the file; a no-op if the file is larger than the budget."""
        path = self._path(key)
        part = path.with_suffix(_PART)
        try:
            data = pack(key, value)
            if len(data) > self._budget:
                return
            self._make_room(len(data), but=path)
            part.write_bytes(data)
            os.replace(part, path)
        except Exception as error:  # the edit has its value: a failure to write it must not fail the edit
            log.warning("a value is not kept on disk: %s", error)
            _remove(part)
        self.touch(key)

    def remove(self, key: str) -> None:
        """Removes the file of a value."""
        _remove(self._path(key))

    def touch(self, key: str) -> None:
        """Marks the value as the most recently used, by a clock that is finer than the file system's."""
        self._now = max(time.time_ns(), self._now + 1)
        with suppress(OSError):
            os.utime(self._path(key), ns=(self._now, self._now))

    def clear(self) -> None:
        """Removes all values."""
        for path in _paths(self._folder, [_WHOLE]):
            _remove(path)

    def _make_room(self, needed: int, but: Path | None = None) -> None:
        """Removes the least recently used files until `needed` bytes fit. but: a file that is replaced."""
        files: list[tuple[int, int, Path]] = []
        for path in _paths(self._folder, [_WHOLE]):
            with suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime_ns, status.st_size, path))
        used = needed + sum(size for _, size, path in files if path != but)
        for _, size, path in sorted(files):
            if used <= self._budget:
                break
            if path != but:
                _remove(path)
                used -= size

    def _path(self, key: str) -> Path:
        return self._folder / (digest(key.encode()).removeprefix("blake2b:") + _WHOLE)


def remove_trajectories(folder: Path) -> None:
    """Removes the trajectory files from before protocol 1.5, and their folder if it is then empty.

    Trajectories are made again, under other names, when they are needed. Never raises.
    """
    for path in _paths(folder, _OF_OLD):
        _remove(path)
    with suppress(OSError):
        folder.rmdir()


def _paths(folder: Path, endings: Iterable[str]) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.suffix in endings]
    except OSError:
        return []


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
