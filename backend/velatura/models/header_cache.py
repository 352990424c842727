"""What the headers of files say, cached over processes in headers.json of the state folder. Imports no torch.

A header of a checkpoint takes 10 ms to read and recognise, and each start of the daemon looks at every file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, NamedTuple

from velatura.weights.json_files import MiB, read_object

from . import denoisers, denoising_transformers, fingerprints, headers, known_families, traits
from .fingerprints import contents
from .headers import read_header
from .traits import Contents, Part, words

FILE = "headers.json"
_MOST = 8192  # files
_LARGEST = 16 * MiB  # of the file of the cache
_MODULES = (
    headers,
    fingerprints,
    denoisers,
    denoising_transformers,
    known_families,
    traits,
)  # on whose rules the cached values depend


class Look(NamedTuple):
    """What a file holds, None where that is unknown, and its form as `Header` has it."""

    contents: Contents | None
    form: str


_known: OrderedDict[str, Look] = OrderedDict()  # by path, size and time of change; the last ones read behind
_read: dict[Path, str] = {}  # files of the cache that this process has read, and their state then
_made = [0]  # the number of headers that this process has read
_lock = Lock()


def look(path: Path) -> Look:
    """What a file holds, by its header. Cached by path, size and time of change.

    Raises `unknown-model` for a file that is of another form or cut off.
    """
    try:
        key = f"{path}|{_state(path)}"
    except OSError:
        key = ""
    with _lock:
        if key in _known:
            _known.move_to_end(key)
            return _known[key]
    header = read_header(path)
    seen = Look(contents(header, words(path, header.metadata)), header.form)
    if key:
        with _lock:
            _known[key] = seen
            _made[0] += 1
            _shorten()
    return seen


@contextmanager
def kept_in(state_dir: Path) -> Generator[None]:
    """A context in which looks are taken from the cache of a state folder, and behind which new ones are
    written there, if that folder is there. A file that cannot be read or written only costs time."""
    file = state_dir / FILE
    _load(file)
    before = _made[0]
    yield
    if _made[0] > before:
        _load(file)  # another process may have written it
        _write(file)


def _state(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}|{status.st_mtime_ns}"


def _shorten() -> None:
    while len(_known) > _MOST:
        _known.popitem(last=False)


def _load(file: Path) -> None:
    """Reads a file of the cache, unless this process has read or written it as it is now."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        state = _state(file)
        if _read.get(file) == state:
            return
        _read[file] = state
        stored = read_object(file, _LARGEST)
        if stored.get("rules") != rules():
            return
        read = {str(key): _look(value) for key, value in stored["files"].items()}
        with _lock:
            for key, seen in read.items():
                if key not in _known:
                    _known[key] = seen
                    _known.move_to_end(key, last=False)
            _shorten()


def _write(file: Path) -> None:
    with _lock:
        files = {key: _entry(seen) for key, seen in _known.items()}
    with suppress(OSError):
        new = file.with_name(f"{file.name}.{os.getpid()}.new")  # several processes may write at once
        new.write_text(json.dumps({"rules": rules(), "files": files}), encoding="utf-8")
        new.replace(file)
        _read[file] = _state(file)


@lru_cache(1)
def rules() -> str:
    """A digest of the code that recognises files: with other code, the values are made anew."""
    digest = hashlib.blake2b(digest_size=16)
    for module in _MODULES:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()


def _entry(seen: Look) -> dict[str, Any]:
    found = seen.contents
    if found is None:
        return {"form": seen.form}
    return {
        "form": seen.form,
        "title": found.title,
        "family": found.family,
        "parts": {name: list(_fields(part)) for name, part in found.parts.items()},
        "wants": {name: list(_fields(part)) for name, part in found.wants.items()},
        "traits": sorted(found.traits),
        "prediction": found.prediction,
        "size": found.size,
    }


def _fields(part: Part) -> tuple[str, int, str]:
    return part.kind, part.width, part.of


def _look(entry: Mapping[str, Any]) -> Look:
    """Raises KeyError, TypeError or ValueError for an entry of another form."""
    if "title" not in entry:
        return Look(None, str(entry["form"]))

    def parts(name: str) -> Mapping[str, Part]:
        return MappingProxyType(
            {str(key): Part(str(kind), int(width), str(of)) for key, (kind, width, of) in entry[name].items()}
        )

    found = Contents(
        str(entry["title"]),
        str(entry["family"]),
        parts("parts"),
        parts("wants"),
        frozenset(map(str, entry["traits"])),
        str(entry["prediction"]),
        int(entry["size"]),
    )
    return Look(found, str(entry["form"]))
