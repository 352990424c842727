"""Blobs by their BLAKE2b digest, in files that are complete or absent.

A blob is written and hashed under `partial/`. Once its bytes are synced it moves to `blobs/`, and the folder
is synced. So a file in `blobs/` is complete even after a power cut.
"""

from __future__ import annotations

import mmap
import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from velatura.jobs.upload import (
    PREFIX,
    MiB,
    Upload,
    corrupt,
    digest_of,
    disk_full,
    no_room_is_disk_full,
    sync_folder,
    write_all,
)
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import is_digest
from velatura_protocol.rasters import MAX_BLOB


@dataclass(frozen=True)
class Stored:
    """A blob in the spool. size: bytes. age: seconds since it was written; the clock may have been set."""

    digest: str
    size: int
    age: float


class Spool:
    """The blobs of one state directory. Several processes may use it; only one of them uploads.

    budget: bytes that all blobs together may take up. reserve: bytes of the disk that stay free.
    """

    def __init__(self, root: Path, *, budget: int = 32 * 1024 * MiB, reserve: int = 64 * MiB) -> None:
        self.budget = budget
        self._reserve = reserve
        self._blobs = root / "blobs"
        self._partial = root / "partial"
        for folder in (self._blobs, self._partial):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    # Complete blobs

    def path(self, digest: str) -> Path:
        """The blob's file, which need not exist."""
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
        """At most `length` bytes from `offset`, and the size of the whole blob. Raises `unknown-blob`."""
        try:
            with open(self.path(digest), "rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(min(offset, size))
                return file.read(length), size
        except FileNotFoundError:  # any other fault may be temporary; it does not mean that the blob is lost
            raise _unknown(digest) from None

    def read(self, digest: str) -> mmap.mmap:
        """The whole blob, mapped into memory, once its bytes match its digest (1 ms per MiB).

        Raises `unknown-blob`; `blob-corrupt` if its bytes changed on the disk, and removes it.
        """
        try:
            with open(self.path(digest), "rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise _unknown(digest) from None
        except ValueError:  # the file is empty, which no blob is
            self.remove(digest)
            raise _unknown(digest) from None
        if digest_of(blake2b(data, digest_size=32)) != digest:
            self.remove(digest)
            raise corrupt("The layer's data was damaged on the disk; start the edit again.", digest)
        return data

    def put(self, data: bytes | bytearray | memoryview) -> str:
        """Stores bytes and returns their digest; they are durable by then. Raises `disk-full`."""
        digest = digest_of(blake2b(data, digest_size=32))
        if self._holds(digest, memoryview(data).cast("B")):
            return digest
        path = self._partial / f"{uuid.uuid4().hex}.put"
        with no_room_is_disk_full():
            try:
                with open(path, "xb", buffering=0) as file:
                    write_all(file.fileno(), memoryview(data).cast("B"))
                    os.fsync(file.fileno())
                self._publish(path, digest)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return digest

    def _holds(self, digest: str, data: memoryview) -> bool:
        """Whether the blob exists and has these bytes. Its age then starts at 0 again, so that it is not
        deleted now."""
        try:
            with open(self.path(digest), "rb") as file:
                if os.fstat(file.fileno()).st_size != data.nbytes:
                    return False
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as known:
                    is_same = memoryview(known) == data
            os.utime(self.path(digest))
        except (OSError, ValueError):
            return False
        return is_same

    def is_sound(self, digest: str) -> bool:
        """Whether the blob exists and its bytes match its digest (1 ms per MiB); removes a damaged one."""
        try:
            self.read(digest).close()
        except VelaturaError:
            return False
        return True

    def remove(self, digest: str) -> None:
        """Deletes a blob. On Windows one that another process uses stays."""
        try:
            self.path(digest).unlink(missing_ok=True)
        except PermissionError:
            return

    def stored(self) -> list[Stored]:
        """All complete blobs."""
        now = time.time()
        return [
            Stored(PREFIX + entry.name, status.st_size, now - status.st_mtime)
            for entry, status in _files(self._blobs)
            if is_digest(PREFIX + entry.name)
        ]

    # Uploads

    def upload(self, digest: str, size: int, promised: int = 0) -> Upload:
        """Begins an upload, or resumes the one in `partial/` and hashes its bytes again (1 ms per MiB).

        A stored blob of another size is damaged, unless its digest is right; the upload takes its place.

        Args:
            digest: the blob's name.
            size: its bytes.
            promised: bytes that other uploads have still to bring.

        Raises `bad-request`, `too-large`, `disk-full`.
        """
        if size < 1:
            raise VelaturaError("bad-request", "The layer's data is empty; try again.")
        if size > MAX_BLOB:
            raise VelaturaError("too-large", "The layer is too large; edit a smaller part of it.")
        if self.has(digest) and self.is_sound(digest):  # else the damaged one is gone now
            raise corrupt("The layer's data has another size than announced; try again.", digest)
        self._check_room(digest, size + promised)
        with no_room_is_disk_full():
            return Upload(self._partial / _name(digest), digest, size, self._publish)

    def drop_idle_uploads(self, idle: float, open_ones: Collection[str] = ()) -> None:
        """Deletes partial files that have not grown for `idle` seconds.

        open_ones: digests of the uploads that go on. Their files stay, however far the clock was set.
        """
        now, names = time.time(), {_name(digest) for digest in open_ones}
        for entry, status in _files(self._partial):
            if entry.name not in names and abs(now - status.st_mtime) > idle:
                Path(entry.path).unlink(missing_ok=True)

    def room(self) -> int:
        """Bytes that all complete blobs together may take up: the budget, or less where the disk holds less,
        without the bytes of the uploads under way."""
        partial = _bytes(self._partial)
        there = _bytes(self._blobs) + partial + shutil.disk_usage(self._blobs).free - self._reserve
        return min(self.budget, there) - partial

    def _check_room(self, digest: str, size: int) -> None:
        used, room = _bytes(self._blobs), self.room()
        partial = self._partial / _name(digest)
        resumed = min(size, partial.stat().st_size) if partial.is_file() else 0
        if used + size - resumed > room:
            raise disk_full(f"{size} bytes wanted, {used} of {room} used")

    def _publish(self, partial: Path, digest: str) -> None:
        os.replace(partial, self.path(digest))
        try:
            sync_folder(self._blobs)
        except OSError:  # its name may be lost in a power cut, and another sync would not tell
            self.remove(digest)
            raise


def _name(digest: str) -> str:
    if not is_digest(digest):
        raise VelaturaError("bad-request", "A layer's data was named wrongly; update the plugin.")
    return digest.removeprefix(PREFIX)


def _files(folder: Path) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # another process has deleted it meanwhile
                yield entry, entry.stat()


def _bytes(folder: Path) -> int:
    return sum(status.st_size for _, status in _files(folder))


def _unknown(digest: str) -> VelaturaError:
    return VelaturaError(
        "unknown-blob", "The daemon no longer has this layer's data; start the edit again.", detail=digest
    )
