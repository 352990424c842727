"""The blob socket: uploads into the spool, downloads from it.

This thread's loop hashes and writes bytes. One helper thread does the work that may take long: hashing a
resumed upload again, and syncing.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import zmq

from velatura.daemon.broker.notes import Arrived, Damaged, ForDesk, NoRoom, Status
from velatura.daemon.broker.router_thread import Prove, RouterThread
from velatura.daemon.broker.sessions import Sessions
from velatura.daemon.faults import internal, no_session, unknown_message
from velatura.daemon.mailbox import Mailbox
from velatura.daemon.outgoing import Message
from velatura.daemon.settings import CHUNK, CREDIT
from velatura.jobs.spool import Spool
from velatura.jobs.upload import Upload
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import is_digest

log = logging.getLogger(__name__)

HELPER = "blobs-helper"
MAX_OPEN = 64
MAX_UNREAD = 2 * CREDIT
MAX_FETCHED = 4096
SHORT_OF_ROOM_S = 60.0  # where room is wanted, an abandoned upload is dropped after this time

Waiter = tuple[bytes, int, str]


@dataclass
class Arriving:
    """An upload in memory.

    Args:
        size: bytes of the whole blob.
        touched: when its last chunk came, monotonic seconds.
        upload: None until the helper has opened it.
        slow: the helper's work on it, or None.
        waiting: connection, seq and type of the answers that are due after that work.
    """

    size: int
    touched: float
    upload: Upload | None = None
    slow: Future[Upload | None] | None = None
    waiting: list[Waiter] = field(default_factory=list[Waiter])

    @property
    def left(self) -> int:
        """Bytes that are still to come."""
        return self.size - (self.upload.offset if self.upload else 0)

    @property
    def ready(self) -> Upload | None:
        """The upload, unless the helper works on it."""
        return self.upload if self.slow is None else None


class BlobThread(RouterThread[str]):
    """Owns the blob ROUTER and all uploads. Its mail: digests of uploads that the helper has worked on."""

    at_a_time = 16
    idle_ms, busy_ms = 1000, 2

    def __init__(
        self,
        router: zmq.Socket[bytes],
        prove: Prove,
        sessions: Sessions,
        spool: Spool,
        status: Status,
        desk: Mailbox[ForDesk],
        *,
        idle: float,
        every: float,
    ) -> None:
        """Prepares the thread.

        Args:
            router: becomes the thread's own.
            prove: gives the answer to a challenge.
            sessions: the connected clients.
            spool: holds the blobs.
            status: the fields of `pong`.
            desk: takes notes of stored blobs and of a full disk.
            idle: seconds after which an upload without new chunks is closed.
            every: seconds between two searches for such uploads.
        """
        super().__init__("blobs", router, prove, every)
        self._sessions = sessions
        self._spool = spool
        self._status = status
        self._desk = desk
        self._idle = idle
        self._arriving: dict[str, Arriving] = {}
        self._helper = ThreadPoolExecutor(1, thread_name_prefix=HELPER)
        self._helped = False
        self._fetched: set[str] = set()  # blobs that were downloaded from their beginning
        self._checking: dict[str, list[tuple[bytes, int, int]]] = {}  # connection, seq, length
        self._kinds = {"put": self._put, "chunk": self._chunk, "fetch": self._fetch}

    def has_lost_its_helper(self) -> bool:
        """Whether the helper thread has ended; the executor would not start another. Any thread may ask."""
        return self._helped and not any(t.name.startswith(HELPER) for t in threading.enumerate())

    def _end(self) -> None:
        self._helper.shutdown()
        for arriving in self._arriving.values():
            if arriving.upload is not None:
                arriving.upload.close()

    def _handle(self, identity: bytes, message: Message, payload: memoryview | None) -> None:
        kind, seq, session = message["type"], message["seq"], message.get("session")
        if not isinstance(session, str) or not self._sessions.known(session):
            raise no_session()
        self._sessions.heard(session)
        if kind == "ping":
            self._reply(identity, {"type": "pong", "re": seq, **self._status.fields})
        elif kind not in self._kinds:
            raise unknown_message(kind)
        elif not is_digest(message.get("digest")):
            raise VelaturaError("bad-request", "A layer's data was named wrongly; update the plugin.")
        else:
            self._kinds[kind](identity, seq, message, payload)

    # Uploads

    def _put(self, identity: bytes, seq: int, message: Message, _: memoryview | None) -> None:
        digest, size = message["digest"], _natural(message, "size")
        if self._spool.has(digest) and self._spool.size(digest) == size:
            self._desk.put(Arrived(digest))
            self._reply(identity, {"type": "ready", "re": seq, "digest": digest, "offset": size})
            return
        arriving = self._arriving.get(digest)
        if arriving is not None and arriving.slow is None and arriving.size != size:
            self._close(digest)  # one of the two sizes is wrong; the digest will tell
            arriving = None
        if arriving is None:
            self._make_place()
            promised = sum(one.left for one in self._arriving.values())
            arriving = self._arriving[digest] = Arriving(size, time.monotonic())
            self._help(digest, lambda: self._spool.upload(digest, size, promised))
        self._answer_when_ready(arriving, digest, (identity, seq, "ready"))

    def _chunk(self, identity: bytes, seq: int, message: Message, payload: memoryview | None) -> None:
        digest, offset = message["digest"], _natural(message, "offset")
        arriving = self._arriving.get(digest)
        if arriving is None:
            size = self._spool.size(digest)
            answer = {"type": "received", "re": seq, "digest": digest, "offset": size, "stored": True}
            self._reply(identity, answer)
            return
        upload = arriving.ready
        if upload is not None and upload.offset == offset:
            if payload is None or payload.nbytes == 0:
                raise VelaturaError("bad-request", "A piece of the layer's data is empty; update the plugin.")
            arriving.touched = time.monotonic()
            self._append(upload, arriving.size, payload)
            if upload.complete:
                self._help(digest, upload.finish)
            elif upload.wants_sync:
                self._helper.submit(upload.sync)
        self._answer_when_ready(arriving, digest, (identity, seq, "received"))

    def _append(self, upload: Upload, size: int, payload: memoryview) -> None:
        try:
            upload.append(payload)
        except VelaturaError as error:
            if error.code == "disk-full":
                self._make_room(size)
            raise

    def _make_room(self, size: int) -> None:
        self._spool.drop_idle_uploads(SHORT_OF_ROOM_S, self._arriving)
        self._desk.put(NoRoom(size))

    def _help(self, digest: str, work: Callable[[], Upload | None]) -> None:
        try:
            future = self._arriving[digest].slow = self._helper.submit(work)
        except BaseException:  # no thread could be started for it
            self._give_up(digest)
            raise
        self._helped = True
        future.add_done_callback(lambda _: self.mailbox.put(digest))

    def _give_up(self, digest: str) -> None:
        """Drops an upload from memory; its bytes lie in its partial file, where the client resumes it."""
        arriving = self._arriving.pop(digest)
        if arriving.upload is not None:
            arriving.upload.close()

    def _deliver(self, note: str) -> None:
        """The helper has opened the upload of this digest, or finished it, or failed."""
        digest = note
        for waiter in self._checking.pop(digest, ()):
            self._send_checked(digest, *waiter)
        arriving = self._arriving.get(digest)
        if arriving is None or arriving.slow is None or not arriving.slow.done():  # given up meanwhile
            return
        waiting, arriving.waiting = arriving.waiting, []
        error, arriving.slow, work = arriving.slow.exception(), None, arriving.slow
        if error is not None:
            self._failed(digest, arriving, error, waiting)
            return
        upload = arriving.upload
        if upload is None:
            upload = arriving.upload = work.result()
            assert upload is not None  # the first work on an upload opens it
            if upload.complete:  # the last daemon died between the last byte and its sync
                arriving.waiting = waiting
                self._help(digest, upload.finish)
                return
        stored = upload.complete
        if stored:
            del self._arriving[digest]
            spent = {kind: round(seconds, 4) for kind, seconds in upload.spent.items()}
            log.info("blob %s is stored: %d bytes, seconds %s", digest, arriving.size, json.dumps(spent))
            self._desk.put(Arrived(digest))  # first, so that a client that asks next finds its job queued
        for waiter in waiting:
            self._answer(digest, upload, waiter, stored=stored)

    def _failed(self, digest: str, arriving: Arriving, error: BaseException, waiting: list[Waiter]) -> None:
        """The helper's work on an upload has raised an error."""
        if isinstance(error, VelaturaError):
            answer = error
        else:
            self._edge.note("the spool", error)
            answer = internal(error)
        if answer.code == "disk-full":
            self._make_room(arriving.size)
        if arriving.upload is None or answer is not error:  # its file may be in any state
            self._give_up(digest)
        for identity, seq, _ in waiting:
            self._fail(identity, seq, answer)

    def _answer_when_ready(self, arriving: Arriving, digest: str, waiter: Waiter) -> None:
        upload = arriving.ready
        if upload is None:
            arriving.waiting.append(waiter)
        else:
            self._answer(digest, upload, waiter, stored=False)

    def _answer(self, digest: str, upload: Upload, waiter: Waiter, *, stored: bool) -> None:
        identity, seq, kind = waiter
        answer = {"type": kind, "re": seq, "digest": digest, "offset": upload.offset}
        self._reply(identity, answer | ({"stored": stored} if kind == "received" else {}))

    def _make_place(self) -> None:
        """Closes the upload that has been idle longest if too many files are open; it can be resumed."""
        if len(self._arriving) >= MAX_OPEN:
            idle = [digest for digest, arriving in self._arriving.items() if arriving.slow is None]
            if not idle:
                raise VelaturaError("busy", "Too much is being sent at once; try again.", retryable=True)
            self._close(min(idle, key=lambda digest: self._arriving[digest].touched))

    def _look_after(self, now: float) -> None:
        for digest, arriving in list(self._arriving.items()):
            if arriving.slow is None and now - arriving.touched > self._idle:
                self._close(digest)
        self._spool.drop_idle_uploads(self._idle, self._arriving)

    def _close(self, digest: str) -> None:
        upload = self._arriving.pop(digest).upload
        if upload is not None:
            self._helper.submit(upload.close)  # after a sync that may still run

    # Downloads

    def _fetch(self, identity: bytes, seq: int, message: Message, _: memoryview | None) -> None:
        if self._outbox.waiting(identity) > MAX_UNREAD:
            raise VelaturaError("busy", "Too much is being fetched at once; try again.", retryable=True)
        digest = message["digest"]
        offset, length = _natural(message, "offset"), min(_natural(message, "length"), CHUNK)
        if offset == 0 and digest in self._fetched:  # its client doubts the bytes that it got before
            checked = self._checking.setdefault(digest, [])
            if not checked:
                future = self._helper.submit(self._spool.is_sound, digest)
                self._helped = True
                future.add_done_callback(lambda _: self.mailbox.put(digest))
            checked.append((identity, seq, length))
            self._fetched.discard(digest)
            return
        if offset == 0:
            if len(self._fetched) >= MAX_FETCHED:
                self._fetched.clear()
            self._fetched.add(digest)
        self._send_piece(identity, seq, digest, offset, length)

    def _send_checked(self, digest: str, identity: bytes, seq: int, length: int) -> None:
        try:
            self._send_piece(identity, seq, digest, 0, length)
        except VelaturaError as error:
            self._fail(identity, seq, error)

    def _send_piece(self, identity: bytes, seq: int, digest: str, offset: int, length: int) -> None:
        try:
            data, size = self._spool.slice(digest, offset, length)
        except VelaturaError:
            self._desk.put(
                Damaged(digest)
            )  # before the answer, so that a client that asks next finds its job queued
            raise
        answer = {"type": "data", "re": seq, "digest": digest, "offset": offset, "size": size}
        self._reply(identity, answer, data)


def _natural(message: Message, key: str) -> int:
    value = message.get(key)
    if type(value) is not int or value < 0:
        raise VelaturaError("bad-request", f"A message about a layer's data has no {key}; update the plugin.")
    return value
