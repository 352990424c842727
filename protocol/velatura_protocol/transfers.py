"""Upload and download of blobs (SPEC section 7): chunks under credit, resumed, verified."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from .errors import VelaturaError
from .messages import Bytes, Message
from .messages import digest as digest_of
from .rasters import MAX_BLOB
from .session import POLL, Link, Lost, Payload, ShouldStop, check_stop

ANSWER = 60.0  # seconds; hashing and syncing 4 GiB on a slow disk
PATIENCE = 60.0  # seconds without progress while the daemon says that it is busy
_CORRUPT_TRIES = 2

OnBytes = Callable[[int, int], None]  #: (transferred, size), both bytes


def upload(
    link: Link,
    digest: str,
    data: Bytes,
    *,
    on_bytes: OnBytes | None = None,
    should_stop: ShouldStop | None = None,
) -> None:
    """Sends the part of a blob that the daemon lacks; returns once the blob is stored.

    Args:
        link: the connection.
        digest: the blob's name.
        data: its bytes; they are not copied.
        on_bytes: called after each answer.
        should_stop: asked between two messages.

    Raises `Lost` (call again on the next link), `blob-corrupt`, `too-large`, `disk-full`, `busy` (after a
    minute), `cancelled`.
    """
    view = memoryview(data).cast("B")
    farthest, moved, corrupt = -1, time.monotonic(), False
    while True:
        try:
            stands, stored = _upload_once(link, digest, view, on_bytes, should_stop)
        except VelaturaError as error:
            if error.code != "blob-corrupt" or corrupt:
                raise
            stands, stored, corrupt, farthest = 0, False, True, -1
        if stored:
            return
        if stands > farthest:
            farthest, moved = stands, time.monotonic()
        elif time.monotonic() - moved > PATIENCE:
            raise VelaturaError("busy", "Velatura is busy with other work; try again later.", retryable=True)
        _pause(link, should_stop)


def _pause(link: Link, should_stop: ShouldStop | None) -> None:
    check_stop(should_stop)
    link.poll(POLL)


def _upload_once(
    link: Link, digest: str, view: memoryview, on_bytes: OnBytes | None, should_stop: ShouldStop | None
) -> tuple[int, bool]:
    """The offset of the upload, and whether the blob is stored. Returns early if the daemon is busy, or is at
    another offset than expected (another client may send the same blob)."""
    put = link.ask({"type": "put", "digest": digest, "size": view.nbytes}, blob=True)
    ready = _stand(link, put, "ready", view.nbytes, should_stop)
    if ready is None:
        return 0, False
    stands = at = ready[0]
    report(on_bytes, stands, view.nbytes)
    stored = at == view.nbytes
    flight: deque[tuple[int, int]] = deque()  # (request, where the upload stands after it)
    try:
        while at < view.nbytes or flight:
            while at < view.nbytes and len(flight) < link.credit:
                piece = view[at : at + link.chunk]
                message = {"type": "chunk", "digest": digest, "offset": at}
                at += piece.nbytes
                flight.append((link.ask(message, piece, blob=True), at))
            seq, expected = flight.popleft()
            received = _stand(link, seq, "received", view.nbytes, should_stop)
            if received is None:
                return stands, False
            stands, stored = received
            if stands != expected:
                return stands, False
            report(on_bytes, stands, view.nbytes)
        return stands, stored
    finally:
        for seq, _ in flight:
            link.forget(seq)


def _stand(
    link: Link, seq: int, kind: str, size: int, should_stop: ShouldStop | None
) -> tuple[int, bool] | None:
    """The offset of an answer, and its `stored`; None if the daemon is busy."""
    try:
        message, _ = _answer(link, seq, kind, should_stop)
    except VelaturaError as error:
        if error.code == "busy":
            return None
        raise
    offset = message.get("offset")
    if type(offset) is not int or not 0 <= offset <= size:
        raise VelaturaError(
            "bad-message",
            "Velatura's daemon gave an answer that makes no sense; update Velatura.",
            detail=f"offset {offset!r:.40} of {size}",
        )
    return offset, message.get("stored") is True


class Download:
    """A blob that is downloaded; it keeps its received bytes when the link is lost.

    digest: its name. size: its number of bytes; None where only the daemon knows it.
    """

    def __init__(self, digest: str, size: int | None = None) -> None:
        self.digest = digest
        self.data = bytearray()
        self._size = size
        self._have = 0  # received bytes of `data`
        self._started = False
        self._corrupt = 0

    def run(
        self, link: Link, *, on_bytes: OnBytes | None = None, should_stop: ShouldStop | None = None
    ) -> bytearray:
        """Fetches the missing bytes, checks the digest, returns all bytes.

        Raises `Lost` (call again on the next link), `unknown-blob`, `blob-corrupt`, `cancelled`.
        """
        since = time.monotonic()
        while True:
            try:
                self._fetch(link, on_bytes, should_stop)
            except VelaturaError as error:
                if error.code == "blob-corrupt" and self._corrupt + 1 < _CORRUPT_TRIES:
                    self._begin_again()
                elif error.code != "busy" or time.monotonic() - since > PATIENCE:
                    raise
                _pause(link, should_stop)
                continue
            if digest_of(self.data) == self.digest:
                return self.data
            self._begin_again()
            if self._corrupt == _CORRUPT_TRIES:
                raise _corrupt("the digest does not agree")

    def _begin_again(self) -> None:
        self._corrupt += 1
        self._have, self._started = 0, False

    def _fetch(self, link: Link, on_bytes: OnBytes | None, should_stop: ShouldStop | None) -> None:
        if not self._started:
            self._begin(link, should_stop)
        size, asked = len(self.data), self._have
        report(on_bytes, asked, size)
        flight: deque[tuple[int, int, int]] = deque()  # (request, offset, length)
        try:
            while asked < size or flight:
                while asked < size and len(flight) < link.credit:
                    length = min(link.chunk, size - asked)
                    flight.append((self._ask(link, asked, length), asked, length))
                    asked += length
                seq, offset, length = flight.popleft()
                self._put(*_answer(link, seq, "data", should_stop), offset, length)
                report(on_bytes, self._have, size)
        finally:
            for seq, _, _ in flight:
                link.forget(seq)

    def _begin(self, link: Link, should_stop: ShouldStop | None) -> None:
        """Fetches the first piece, whose answer has the size."""
        message, payload = _answer(link, self._ask(link, 0, link.chunk), "data", should_stop)
        size = message.get("size")
        if type(size) is not int or not 0 <= size <= MAX_BLOB or self._size not in (None, size):
            raise _corrupt(f"size {size!r:.40} instead of {self._size}")
        self.data = bytearray(size)
        self._started = True
        self._put(message, payload, 0, min(link.chunk, size))

    def _ask(self, link: Link, offset: int, length: int) -> int:
        message = {"type": "fetch", "digest": self.digest, "offset": offset, "length": length}
        return link.ask(message, blob=True)

    def _put(self, message: Message, payload: Payload, offset: int, length: int) -> None:
        got = payload.nbytes if payload is not None else 0
        if message.get("offset") != offset or message.get("size") != len(self.data) or got != length:
            raise _corrupt(f"{got} bytes at {message.get('offset')!r:.40} instead of {length} at {offset}")
        self.data[offset : offset + length] = payload or b""
        self._have = offset + length


def _answer(link: Link, seq: int, kind: str, should_stop: ShouldStop | None) -> tuple[Message, Payload]:
    """An answer. Raises `Lost` where the daemon gives none, or no longer knows the session."""
    try:
        return link.answer(seq, kind, ANSWER, should_stop=should_stop, blob=True)
    except VelaturaError as error:
        if error.code in ("timeout", "no-session"):
            raise Lost(error) from None
        raise


def report(on_bytes: OnBytes | None, done: int, size: int) -> None:
    """Reports the progress of a transfer to `on_bytes`, if there is one."""
    if on_bytes is not None:
        on_bytes(done, size)


def _corrupt(detail: str) -> VelaturaError:
    return VelaturaError(
        "blob-corrupt", "Pixels were damaged on their way; try again.", retryable=True, detail=detail
    )
