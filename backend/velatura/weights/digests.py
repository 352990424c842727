"""Digests of models, by which recipes identify weights."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from .json_files import VOCABULARY, read_object

_BLOCK = 1 << 22
_BESIDE = ("README.md", "figures.json")
_DIALS = "dials"


class Digests:
    """Digests of files, cached by path, size and time of change.

    memory: a JSON file that caches them between runs, since gigabytes take seconds to hash; or None.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._known: dict[str, str] = {}
        if memory is not None:
            with suppress(OSError, ValueError):  # without the cache they are computed again
                known = read_object(memory, VOCABULARY)
                self._known = {key: value for key, value in known.items() if isinstance(value, str)}

    def of(self, files: list[Path], folder: Path | None = None) -> str:
        """`blake2b:` and 64 hexadecimal digits over the files' contents, in the order of `files`.

        folder: hash the names relative to it, too; None leaves the names out.
        """
        whole = hashlib.blake2b(digest_size=32)
        for file in files:
            name = file.relative_to(folder).as_posix() if folder else ""
            whole.update(f"{name}\0{self._file(file)}\n".encode())
        return f"blake2b:{whole.hexdigest()}"

    def known(self, files: list[Path], folder: Path | None = None) -> str:
        """As `of`, but '' where that would have to read a file, or a file is gone."""
        try:
            return self.of(files, folder) if all(_name(file) in self._known for file in files) else ""
        except OSError:
            return ""

    def _file(self, file: Path) -> str:
        key = _name(file)
        if key not in self._known:
            content = hashlib.blake2b(digest_size=32)
            with file.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    content.update(block)
            self._known[key] = content.hexdigest()
            self._remember()
        return self._known[key]

    def _remember(self) -> None:
        if self._memory is not None:
            new = self._memory.with_suffix(".new")
            with suppress(OSError):  # a full disk only costs the next run some seconds
                new.write_text(json.dumps(self._known), encoding="utf-8")
                new.replace(self._memory)


def contents(path: Path) -> tuple[list[Path], Path | None]:
    """All files of a model of an offered form on which its pictures depend, and its folder unless it is a
    single file. Its card and the dials that ship with it (`velatura.shelf`) are left out."""
    if path.is_file():
        return [path], None
    files = (file for file in path.rglob("*") if file.is_file() and file.name not in _BESIDE)
    return sorted(file for file in files if file.relative_to(path).parts[0] != _DIALS), path


def _name(file: Path) -> str:
    """The name of a file's state, under which its digest is cached. Raises OSError."""
    stat = file.stat()
    return f"{file.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
