"""Files that are read whole, and written so that they are complete or absent."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from velatura_protocol.errors import VelaturaError


@contextlib.contextmanager
def replacing(path: Path) -> Generator[BinaryIO]:
    """Write a file beside `path` and rename it to `path` when the block ends without an exception.

    After an exception, or a kill, `path` is as before. The file gets the permissions that a plain `open`
    would give it. A symbolic link stays, and the file that it names is written. Raises OSError, which names
    `path`.
    """
    try:
        with _replacing(Path(os.path.realpath(path))) as stream:
            yield stream
    except OSError as error:
        if error.filename is not None:  # the person knows `path`, not the file beside it
            error.filename, error.filename2 = str(path), None
        raise


def check_writable(path: Path) -> None:
    """Raise OSError, which names `path`, where `replacing` could not write it: the folder, or the name."""
    real = Path(os.path.realpath(path))
    try:
        with contextlib.suppress(FileNotFoundError):
            os.lstat(real)
        tempfile.TemporaryFile(prefix=_prefix(real), dir=real.parent).close()
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


@contextlib.contextmanager
def _replacing(path: Path) -> Generator[BinaryIO]:
    descriptor, name = tempfile.mkstemp(prefix=_prefix(path), suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, _mode(path))
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def read_bytes(path: Path) -> bytes:
    """The file's content. Raises VelaturaError `bad-request`."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise VelaturaError("bad-request", f"There is no file {path}; check the name.") from error
    except OSError as error:
        raise VelaturaError("bad-request", f"{path} cannot be read: {error.strerror or error}.") from error


def _prefix(path: Path) -> str:
    """Begins the name of the file beside `path`, which must not be longer than a name may be."""
    return f".{path.name[-32:]}."


def _mode(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
