"""A blob that arrives in parts, and writing that survives a power cut."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from velatura_protocol.errors import VelaturaError

MiB = 1024 * 1024
PREFIX = "blake2b:"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
_FAULTS = {errno.EIO, errno.ENXIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_SYNC_EVERY = 16 * MiB


class Upload:
    """A blob that arrives in parts. One thread uses it at a time.

    offset: bytes written and hashed so far. spent: seconds of work so far by kind, for the log.
    """

    def __init__(self, path: Path, digest: str, size: int, publish: Callable[[Path, str], None]) -> None:
        """Resumes from the bytes at `path`.

        Args:
            path: the partial file, which need not exist.
            digest: the digest that the client announced.
            size: the number of bytes that the client announced.
            publish: called with the complete file and its digest; moves it among the stored blobs.
        """
        self.digest = digest
        self.size = size
        self.offset = 0
        self._publish = publish
        self._path = path
        self._hash = blake2b(digest_size=32)
        self._synced = 0
        self._is_doubtful = False  # a sync failed: the system may have dropped bytes that it shows as written
        self.spent = {"hashing": 0.0, "writing": 0.0, "syncing": 0.0}
        self._file = open(path, "r+b" if path.exists() else "w+b", buffering=0)  # noqa: SIM115 - closed by close()
        while self.offset < size and (block := self._file.read(min(MiB, size - self.offset))):
            self._hash.update(block)
            self.offset += len(block)
        self._file.truncate(self.offset)

    def append(self, data: memoryview) -> None:
        """Writes and hashes the next bytes.

        Raises `disk-full`, and keeps no byte of `data`; `blob-corrupt` if they exceed the announced size,
        and the upload starts at 0 again.
        """
        if self.offset + data.nbytes > self.size:
            self._begin_again()
            raise corrupt("More data arrived than was announced; try again.", self.digest)
        with no_room_is_disk_full(), self._timed("writing"):
            try:
                self._file.seek(self.offset)
                write_all(self._file.fileno(), data)
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
        """Whether enough bytes are unsynced for a `sync` now, which keeps the last one short."""
        return self.offset - self._synced >= _SYNC_EVERY

    def sync(self) -> None:
        """Syncs the bytes written so far to the disk. May run at the same time as `append`."""
        self._synced = self.offset
        try:
            os.fsync(self._file.fileno())
        except OSError:
            self._is_doubtful = True  # the system reports it only once; the next fsync would succeed

    def finish(self) -> None:
        """Makes the complete upload a stored, durable blob.

        Raises `blob-corrupt` if the bytes do not match the digest or a sync has failed, `disk-full`. Then the
        upload starts at 0 again.
        """
        if digest_of(self._hash) != self.digest:
            self._begin_again()
            raise corrupt("The layer's data did not arrive as it was sent; try again.", self.digest)
        if self._is_doubtful:
            self._begin_in_a_new_file()
            raise corrupt("The disk failed to keep a part of the layer; try again.", self.digest)
        try:
            with no_room_is_disk_full(), self._timed("syncing"):
                os.fsync(self._file.fileno())
                self._file.close()  # Windows renames no open file
                self._publish(self._path, self.digest)
        except BaseException:
            self._begin_in_a_new_file()
            raise

    def close(self) -> None:
        """Closes the partial file. It stays, for a later upload, unless a sync of it has failed."""
        self._file.close()
        if self._is_doubtful:
            self._path.unlink(missing_ok=True)

    @contextmanager
    def _timed(self, kind: str) -> Generator[None]:
        began = time.perf_counter()
        yield
        self.spent[kind] += time.perf_counter() - began

    def _begin_again(self) -> None:
        self._hash = blake2b(digest_size=32)
        self.offset = self._synced = 0
        self._file.truncate(0)

    def _begin_in_a_new_file(self) -> None:
        """Starts at 0. The bytes of a failed sync never count as written: their file goes."""
        self._hash = blake2b(digest_size=32)
        self.offset = self._synced = 0
        self._is_doubtful = False
        self._file.close()
        self._path.unlink(missing_ok=True)
        self._file = open(self._path, "w+b", buffering=0)  # noqa: SIM115 - closed by close()


def digest_of(hash: blake2b) -> str:
    """The digest, with its prefix, of the bytes that `hash` has read."""
    return PREFIX + hash.hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes renames within a folder durable. A no-op on Windows, where NTFS logs them."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: memoryview) -> None:
    """Writes all of `data` to a file handle. Raises OSError."""
    while data.nbytes:
        data = data[os.write(handle, data) :]


def disk_full(detail: str) -> VelaturaError:
    """The error `disk-full`."""
    sentence = "There is no room for the layer on the disk; make room and try again."
    return VelaturaError("disk-full", sentence, retryable=True, detail=detail)


def read_only(error: OSError) -> VelaturaError:
    """The error for a folder that the daemon may not write to."""
    where = f" {os.path.dirname(error.filename)}" if isinstance(error.filename, str) else ""
    sentence = f"Velatura may not write to its folder{where}; make it writable and try again."
    return VelaturaError("unavailable", sentence, retryable=True, detail=str(error))


def failing(error: OSError) -> VelaturaError:
    """The error for a disk, or a process, that failed at the moment."""
    sentence = "The system failed to keep the layer; try again, and look after the disk if it fails again."
    return VelaturaError("unavailable", sentence, retryable=True, detail=str(error))


def corrupt(message: str, digest: str) -> VelaturaError:
    """The error `blob-corrupt` of the blob `digest`. message: a sentence for the person."""
    return VelaturaError("blob-corrupt", message, retryable=True, detail=digest)


@contextmanager
def no_room_is_disk_full() -> Generator[None]:
    """Turns the system's errors of a full disk into `disk-full`, of a read-only or failing one, and of a
    process that may open no further file, into `unavailable`."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise disk_full(str(error)) from None
        if error.errno in _READ_ONLY:
            raise read_only(error) from None
        if error.errno in _FAULTS:
            raise failing(error) from None
        raise
