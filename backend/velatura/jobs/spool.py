"""Blobs by their BLAKE2b digest, in files that are whole or absent.

A blob grows under `partial/`, is hashed while it is written, and is moved to `blobs/` after its bytes have
been synced; then the folder is synced. So a file in `blobs/` is complete, whenever the power went.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import is_digest
from velatura_protocol.rasters import MAX_BLOB

MiB = 1024 * 1024
PREFIX = "blake2b:"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SYNC_EVERY = 16 * MiB


@dataclass(frozen=True)
class Stored:
    """A blob as it lies in the spool. size: bytes. age: seconds since it was written."""

    digest: str
    size: int
    age: float


class Spool:
    """The blobs of one state directory. Several processes may use it; uploads belong to one of them.

    budget: bytes that blobs may take up together. reserve: bytes of the disk that are left free.
    """

    def __init__(self, root: Path, *, budget: int = 32 * 1024 * MiB, reserve: int = 64 * MiB) -> None:
        self.budget = budget
        self._reserve = reserve
        self._blobs = root / "blobs"
        self._partial = root / "partial"
        for folder in (self._blobs, self._partial):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    # Whole blobs

    def path(self, digest: str) -> Path:
        """Where the blob lies, or would lie."""
        return self._blobs / _name(digest)

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    def size(self, digest: str) -> int:
        """Bytes of a stored blob. Raises `unknown-blob`."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise _unknown(digest) from None

    def slice(self, digest: str, offset: int, length: int) -> tuple[bytes, int]:
        """At most `length` bytes from `offset`, and the whole blob's size. Raises `unknown-blob`."""
        try:
            with open(self.path(digest), "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(min(offset, size))
                return file.read(length), size
        except FileNotFoundError:  # any other fault may pass, and must not read as if the pixels were lost
            raise _unknown(digest) from None

    def read(self, digest: str) -> mmap.mmap:
        """The whole blob, mapped, after its bytes were checked against its digest (1 ms per MiB).

        Raises `unknown-blob`; `blob-corrupt` if the disk has changed it, in which case it is removed.
        """
        try:
            with open(self.path(digest), "rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (FileNotFoundError, ValueError):  # ValueError: it is empty, which no blob is
            raise _unknown(digest) from None
        if digest_of(blake2b(data, digest_size=32)) != digest:
            self.remove(digest)
            raise _corrupt("The layer's data was damaged on the disk; start the edit again.", digest)
        return data

    def put(self, data: bytes | bytearray | memoryview) -> str:
        """Stores bytes that are at hand; durable on return. Gives the digest. Raises `disk-full`."""
        digest = digest_of(blake2b(data, digest_size=32))
        if self._touch(digest):
            return digest
        path = self._partial / f"{uuid.uuid4().hex}.put"
        with _no_room_is_disk_full():
            try:
                with open(path, "xb", buffering=0) as file:
                    _write_all(file.fileno(), memoryview(data).cast("B"))
                    os.fsync(file.fileno())
                self._publish(path, digest)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return digest

    def _touch(self, digest: str) -> bool:
        """Whether the blob is there; if so it counts as new, so that nothing lets it go just now."""
        try:
            os.utime(self.path(digest))
        except OSError:
            return False
        return True

    def remove(self, digest: str) -> None:
        """Lets a blob go. One that is in use elsewhere may stay until later (Windows)."""
        try:
            self.path(digest).unlink(missing_ok=True)
        except PermissionError:
            return

    def stored(self) -> list[Stored]:
        """All whole blobs."""
        now = time.time()
        return [
            Stored(PREFIX + entry.name, status.st_size, now - status.st_mtime)
            for entry, status in _files(self._blobs)
            if is_digest(PREFIX + entry.name)
        ]

    # Uploads

    def upload(self, digest: str, size: int) -> Upload:
        """Begins an upload, or goes on with what lies in `partial/` (which is hashed again: 1 ms per MiB).

        Raises `bad-request`, `too-large`, `disk-full`.
        """
        if size < 1:
            raise VelaturaError("bad-request", "The layer's data is empty; try again.")
        if size > MAX_BLOB:
            raise VelaturaError("too-large", "The layer is too large; edit a smaller part of it.")
        self._check_room(size)
        with _no_room_is_disk_full():
            return Upload(self, self._partial / _name(digest), digest, size)

    def drop_idle_uploads(self, idle: float) -> None:
        """Removes partial files that nobody has written to for `idle` seconds."""
        now = time.time()
        for entry, status in _files(self._partial):
            if now - status.st_mtime > idle:
                Path(entry.path).unlink(missing_ok=True)

    def room(self) -> int:
        """Bytes that all blobs together may take up, by the budget and by what the disk has."""
        return min(self.budget, self._used() + shutil.disk_usage(self._blobs).free - self._reserve)

    def _used(self) -> int:
        return sum(status.st_size for _, status in _files(self._blobs))

    def _check_room(self, size: int) -> None:
        used, room = self._used(), self.room()
        if used + size > room:
            raise _disk_full(f"{size} bytes wanted, {used} of {room} used")

    def _publish(self, partial: Path, digest: str) -> None:
        os.replace(partial, self.path(digest))
        sync_folder(self._blobs)


class Upload:
    """A blob that is arriving. One thread uses it at a time.

    offset: bytes that are written and hashed. spent: seconds of work so far, by kind (for the log).
    """

    def __init__(self, spool: Spool, path: Path, digest: str, size: int) -> None:
        self.digest = digest
        self.size = size
        self.offset = 0
        self._spool = spool
        self._path = path
        self._hash = blake2b(digest_size=32)
        self._synced = 0
        self._sync_error: OSError | None = None
        self.spent = {"hashing": 0.0, "writing": 0.0, "syncing": 0.0}
        self._file = open(path, "r+b" if path.exists() else "w+b", buffering=0)  # noqa: SIM115 - closed by close()
        while self.offset < size and (block := self._file.read(min(MiB, size - self.offset))):
            self._hash.update(block)
            self.offset += len(block)
        self._file.truncate(self.offset)

    def append(self, data: memoryview) -> None:
        """Writes and hashes the next bytes. Raises `disk-full` (nothing is kept of `data`), `blob-corrupt` if
        they go beyond the announced size (the upload starts at 0 again)."""
        if self.offset + data.nbytes > self.size:
            self._begin_again()
            raise _corrupt("More data arrived than was announced; try again.", self.digest)
        with _no_room_is_disk_full(), self._timed("writing"):
            try:
                self._file.seek(self.offset)
                _write_all(self._file.fileno(), data)
            except OSError:
                self._file.truncate(self.offset)
                raise
        with self._timed("hashing"):
            self._hash.update(data)
        self.offset += data.nbytes

    @property
    def complete(self) -> bool:
        return self.offset == self.size

    @property
    def wants_sync(self) -> bool:
        """Whether so much is unsynced that `sync` should be called now, to keep the last one short."""
        return self.offset - self._synced >= _SYNC_EVERY

    def sync(self) -> None:
        """Brings what was written so far to the disk. May run beside `append`."""
        self._synced = self.offset
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            self._sync_error = error  # the system tells it only once; `finish` must not believe the next sync

    def finish(self) -> None:
        """Makes the complete upload a stored, durable blob.

        Raises `blob-corrupt` if the bytes have not the digest (the upload starts at 0 again), `disk-full`.
        """
        if digest_of(self._hash) != self.digest:
            self._begin_again()
            raise _corrupt("The layer's data did not arrive as it was sent; try again.", self.digest)
        with _no_room_is_disk_full():
            if self._sync_error is not None:
                error, self._sync_error = self._sync_error, None
                self._begin_again()
                raise error
            with self._timed("syncing"):
                os.fsync(self._file.fileno())
                self._file.close()
                self._spool._publish(self._path, self.digest)

    def close(self) -> None:
        """Stops here; the partial file stays, and a later upload goes on with it."""
        self._file.close()

    @contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.spent[kind] += time.perf_counter() - began

    def _begin_again(self) -> None:
        self._hash = blake2b(digest_size=32)
        self.offset = self._synced = 0
        self._file.truncate(0)


def digest_of(hash: blake2b) -> str:
    """The name of the blob whose bytes went through `hash`."""
    return PREFIX + hash.hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes renames within a folder durable. (Windows has no such thing, and needs none: NTFS logs them.)"""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _name(digest: str) -> str:
    if not is_digest(digest):
        raise VelaturaError("bad-request", "A layer's data was named wrongly; update the plugin.")
    return digest.removeprefix(PREFIX)


def _files(folder: Path) -> Iterator[tuple[os.DirEntry, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # removed meanwhile by the other process
                yield entry, entry.stat()


def _write_all(handle: int, data: memoryview) -> None:
    while data.nbytes:
        data = data[os.write(handle, data) :]


def _unknown(digest: str) -> VelaturaError:
    return VelaturaError(
        "unknown-blob", "The daemon no longer has this layer's data; start the edit again.", detail=digest
    )


def _disk_full(detail: str) -> VelaturaError:
    sentence = "There is no room for the layer on the disk; make room and try again."
    return VelaturaError("disk-full", sentence, retryable=True, detail=detail)


def _corrupt(message: str, digest: str) -> VelaturaError:
    return VelaturaError("blob-corrupt", message, retryable=True, detail=digest)


@contextmanager
def _no_room_is_disk_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise _disk_full(str(error)) from None
        raise
