"""Reading JSON that somebody else wrote: the files of models above all.

A file may be a pipe that never ends, as large as the disk, nested without end, or hold numbers that no double
and no message holds. All of that is one ValueError here, before anything is computed from it.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

MiB = 1024 * 1024
CONFIGURATION = 1 * MiB  # those that are published have a few KiB
VOCABULARY = 64 * MiB  # of a tokenizer; those that are published have up to 20 MiB
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1


def read_json(path: Path, most: int = CONFIGURATION) -> Any:
    """The value in a file of at most `most` bytes.

    Raises OSError where there is no such file, ValueError for one that is no file, too long, or not JSON with
    finite numbers, integers within +-(2^53 - 1) and at most 32 levels.
    """
    return parse_json(read_file(path, most))


def read_object(path: Path, most: int = CONFIGURATION) -> dict[str, Any]:
    """As `read_json`, of a file that holds an object. Raises ValueError for any other, too."""
    value = read_json(path, most)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a regular file. Raises OSError, ValueError if it is none or has more than `most`."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:  # a pipe was opened without waiting for anyone, and is not read
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
    """The value that bytes say. Raises ValueError, see `read_json`."""
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


def _children(value: Any) -> list:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


_MOST_LAYERS, _MOST_IN_A_LIST, _LARGEST = 128, 64, 2**20
_COUNTS = ("layers", "blocks", "depth")  # in the names of entries that say how often something is built


def check_sizes(config: Any, name: str = "") -> None:
    """Refuses a network's configuration by which a library would build for ever, or fill the memory.

    Published ones have at most 48 layers, lists of at most 12 entries and vocabularies of 250,000. Raises
    ValueError that names the entry.
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
    """Refuses a folder in which a library would read a text file that is none, or that never ends.

    Raises ValueError that names the file.
    """
    for path in sorted(path for pattern in _TEXTS for path in folder.glob(pattern)):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > VOCABULARY:
            raise ValueError(f"{path.relative_to(folder)} is no file, or too long")


_TEXTS = ("*.json", "*.txt", "*/*.json", "*/*.txt")
