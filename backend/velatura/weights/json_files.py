"""Reads JSON from untrusted files, such as those of models.

A file may be an endless pipe, as large as the disk, nested without end, or hold numbers beyond a double's
range. All these raise ValueError here, before anything is computed from them.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from velatura_protocol.errors import VelaturaError
from velatura_protocol.reading import as_list, as_object

MiB = 1024 * 1024
CONFIGURATION = 1 * MiB  # published ones have a few KiB
VOCABULARY = 64 * MiB  # of a tokenizer; published ones have up to 20 MiB
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
_PASSING = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


@contextmanager
def told_if_it_passes() -> Generator[None]:
    """Raises `unavailable` for a fault of the moment, which says nothing of the file that is being opened."""
    try:
        yield
    except OSError as error:
        if error.errno not in _PASSING:
            raise
        raise VelaturaError(
            "unavailable",
            "Velatura has too many files open or no memory left; close other programs and try again.",
            retryable=True,
            detail=str(error),
        ) from error


def read_json(path: Path, most: int = CONFIGURATION) -> Any:
    """The JSON value in a file of at most `most` bytes.

    Raises OSError where there is no such file. Raises ValueError where it is no regular file, is too long, or
    is not JSON with finite numbers, integers within +-(2^53 - 1) and at most 32 levels.
    """
    return parse_json(read_file(path, most))


def read_object(path: Path, most: int = CONFIGURATION) -> dict[str, Any]:
    """The JSON object in a file. Raises as `read_json`, and ValueError for any other JSON value."""
    value = as_object(read_json(path, most))
    if value is None:
        raise ValueError("not an object")
    return value


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a file.

    Raises OSError; ValueError for no regular file or for more than `most` bytes; `unavailable` where the
    process may open no further file.
    """
    with told_if_it_passes():
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:  # O_NONBLOCK opens a pipe without waiting for its writer; a pipe is not read
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("not a file")
        with open(handle, "rb", closefd=False) as file:
            data = file.read(most + 1)
    finally:
        os.close(handle)
    if len(data) > most:
        raise ValueError(f"more than {most} bytes")
    return data


def parse_json(data: bytes) -> Any:
    """The JSON value of some bytes. Raises ValueError as `read_json` does."""
    try:
        value = json.loads(data, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"more than {MAX_DEPTH} levels") from None
    _check(value)
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise ValueError(f"{text:.20} is beyond the range of a double")
    return value


def _check(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if any(type(item) is int and abs(item) > MAX_INTEGER for item in level):
            raise ValueError("an integer beyond 2^53 - 1")
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise ValueError(f"more than {MAX_DEPTH} levels")


def _children(value: object) -> list[object]:
    entries = as_object(value)
    return list(entries.values()) if entries is not None else as_list(value) or []


_MOST_LAYERS, _MOST_IN_A_LIST, _LARGEST = 128, 64, 2**20
_COUNTS = ("layers", "blocks", "depth")  # parts of the names of entries that count layers


def check_sizes(config: Any, name: str = "") -> None:
    """Refuses the configuration of a network too large to build.

    Published ones have at most 48 layers, lists of at most 12 entries and vocabularies of 250,000.

    config: a JSON value. name: its key, where it is a part of a configuration. Raises ValueError that names
    the entry.
    """
    if isinstance(config, dict):
        for key, value in config.items():
            check_sizes(value, key)
    elif isinstance(config, list):
        if len(config) > _MOST_IN_A_LIST:
            raise ValueError(f"{name:.40} has {len(config)} entries")
        for value in config:
            check_sizes(value, name)
    elif isinstance(config, (int, float)):
        most = _MOST_LAYERS if any(word in name for word in _COUNTS) else _LARGEST
        if abs(config) > most:
            raise ValueError(f"{name:.40} is {config!r:.20}")


def check_files(folder: Path) -> None:
    """Refuses a folder with a text file that is no regular file or is too long for a library to read.

    Raises ValueError that names the file.
    """
    for path in sorted(path for pattern in _TEXTS for path in folder.glob(pattern)):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > VOCABULARY:
            raise ValueError(f"{path.relative_to(folder)} is no regular file, or too long")


_TEXTS = ("*.json", "*.txt", "*/*.json", "*/*.txt")
