"""The blob socket: uploads into the spool, downloads from it.

Bytes are hashed and written in this thread's loop; what may take long (hashing a resumed upload again,
syncing) is done by one helper thread behind it.
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

from velatura.daemon.broker.notes import Arrived, NoRoom, Status
from velatura.daemon.broker.router_thread import Prove, RouterThread
from velatura.daemon.broker.sessions import Sessions
from velatura.daemon.faults import internal, no_session, unknown_message
from velatura.daemon.mailbox import Mailbox
from velatura.daemon.settings import CHUNK, CREDIT
from velatura.jobs.spool import Spool
from velatura.jobs.upload import Upload
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import is_digest

log = logging.getLogger(__name__)

HELPER = "blobs-helper"
MAX_OPEN = 64
MAX_UNREAD = 2 * CREDIT


@dataclass
class Arriving:
    """An upload in memory. slow: what the helper does to it now; those who wait are answered afterwards."""

    size: int
    touched: float
    upload: Upload | None = None
    slow: Future | None = None
    waiting: list[tuple[bytes, int, str]] = field(default_factory=list)


class BlobThread(RouterThread):
    """Owns the blob ROUTER and all uploads. Its mail: a digest, when the helper is done with that upload."""

    at_a_time = 16
    idle_ms, busy_ms = 1000, 2

    def __init__(
        self,
        router: zmq.Socket,
        prove: Prove,
        sessions: Sessions,
        spool: Spool,
        status: Status,
        desk: Mailbox,
        *,
        idle: float,
        every: float,
    ) -> None:
        """idle: seconds after which an upload that stands still is dropped. every: between two looks for
        such."""
        super().__init__("blobs", router, prove, every)
        self._sessions = sessions
        self._spool = spool
        self._status = status
        self._desk = desk
        self._idle = idle
        self._arriving: dict[str, Arriving] = {}
        self._helper = ThreadPoolExecutor(1, thread_name_prefix=HELPER)
        self._helped = False
        self._kinds = {"put": self._put, "chunk": self._chunk, "fetch": self._fetch}

    def has_lost_its_helper(self) -> bool:
        """Whether the helper thread has ended: the executor would not start another. For any thread."""
        return self._helped and not any(t.name.startswith(HELPER) for t in threading.enumerate())

    def _end(self) -> None:
        self._helper.shutdown()
        for arriving in self._arriving.values():
            if arriving.upload is not None:
                arriving.upload.close()

    def _handle(self, identity: bytes, message: dict, payload: memoryview | None) -> None:
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

    def _put(self, identity: bytes, seq: int, message: dict, _: memoryview | None) -> None:
        digest, size = message["digest"], _natural(message, "size")
        if self._spool.has(digest):
            if self._spool.size(digest) != size:
                raise VelaturaError(
                    "blob-corrupt", "The layer's data is not of the size that was said; try again."
                )
            self._desk.put(Arrived(digest))
            self._reply(identity, {"type": "ready", "re": seq, "digest": digest, "offset": size})
            return
        arriving = self._arriving.get(digest)
        if arriving is not None and arriving.slow is None and arriving.size != size:
            self._close(digest)  # one of the two sizes is wrong; the digest will tell
            arriving = None
        if arriving is None:
            self._make_place()
            arriving = self._arriving[digest] = Arriving(size, time.monotonic())
            self._help(digest, lambda: self._spool.upload(digest, size))
        elif arriving.slow is None and arriving.upload.complete:
            self._help(digest, arriving.upload.finish)  # it failed the first time, for want of room
        self._answer_when_ready(arriving, digest, (identity, seq, "ready"))

    def _chunk(self, identity: bytes, seq: int, message: dict, payload: memoryview | None) -> None:
        digest, offset = message["digest"], _natural(message, "offset")
        arriving = self._arriving.get(digest)
        if arriving is None:
            size = self._spool.size(digest)
            answer = {"type": "received", "re": seq, "digest": digest, "offset": size, "stored": True}
            self._reply(identity, answer)
            return
        if arriving.slow is None and arriving.upload.offset == offset:
            if payload is None or payload.nbytes == 0:
                raise VelaturaError("bad-request", "A piece of the layer's data is empty; update the plugin.")
            arriving.touched = time.monotonic()
            self._append(arriving, payload)
            if arriving.upload.complete:
                self._help(digest, arriving.upload.finish)
            elif arriving.upload.wants_sync:
                self._helper.submit(arriving.upload.sync)
        self._answer_when_ready(arriving, digest, (identity, seq, "received"))

    def _append(self, arriving: Arriving, payload: memoryview) -> None:
        try:
            arriving.upload.append(payload)
        except VelaturaError as error:
            if error.code == "disk-full":
                self._desk.put(NoRoom(arriving.size))
            raise

    def _help(self, digest: str, work: Callable[[], object]) -> None:
        try:
            future = self._arriving[digest].slow = self._helper.submit(work)
        except BaseException:  # no thread could be started for it
            self._give_up(digest)
            raise
        self._helped = True
        future.add_done_callback(lambda _: self.mailbox.put(digest))

    def _give_up(self, digest: str) -> None:
        """Forgets an upload; what has arrived lies in its partial file, and the client begins there again."""
        arriving = self._arriving.pop(digest)
        if arriving.upload is not None:
            arriving.upload.close()

    def _deliver(self, digest: str) -> None:
        """The helper has opened an upload, or finished it, or failed to."""
        arriving = self._arriving.get(digest)
        if arriving is None or arriving.slow is None or not arriving.slow.done():  # given up meanwhile
            return
        waiting, arriving.waiting = arriving.waiting, []
        error, arriving.slow, result = arriving.slow.exception(), None, arriving.slow
        if error is not None:
            is_known = isinstance(error, VelaturaError)
            if not is_known:
                self._edge.note("the spool", error)
                error = internal(error)
            if error.code == "disk-full":
                self._desk.put(NoRoom(arriving.size))
            if arriving.upload is None or not is_known:  # its file may be in any state
                self._give_up(digest)
            for identity, seq, _ in waiting:
                self._fail(identity, seq, error)
            return
        if arriving.upload is None:
            arriving.upload = result.result()
            if arriving.upload.complete:  # the last daemon died between the last byte and its sync
                arriving.waiting = waiting
                self._help(digest, arriving.upload.finish)
                return
        stored = arriving.upload.complete
        if stored:
            del self._arriving[digest]
            spent = {kind: round(seconds, 4) for kind, seconds in arriving.upload.spent.items()}
            log.info("blob %s is stored: %d bytes, seconds %s", digest, arriving.size, json.dumps(spent))
            self._desk.put(Arrived(digest))  # first, so that a client that asks next finds its job queued
        for waiter in waiting:
            self._answer(digest, arriving, waiter, stored=stored)

    def _answer_when_ready(self, arriving: Arriving, digest: str, waiter: tuple[bytes, int, str]) -> None:
        if arriving.slow is None:
            self._answer(digest, arriving, waiter, stored=False)
        else:
            arriving.waiting.append(waiter)

    def _answer(
        self, digest: str, arriving: Arriving, waiter: tuple[bytes, int, str], *, stored: bool
    ) -> None:
        identity, seq, kind = waiter
        answer = {"type": kind, "re": seq, "digest": digest, "offset": arriving.upload.offset}
        self._reply(identity, answer | ({"stored": stored} if kind == "received" else {}))

    def _make_place(self) -> None:
        """Closes the longest-idle upload if too many files are open; it can be resumed."""
        if len(self._arriving) >= MAX_OPEN:
            idle = [digest for digest, arriving in self._arriving.items() if arriving.slow is None]
            if not idle:
                raise VelaturaError("busy", "Too much is being sent at once; try again.", retryable=True)
            self._close(min(idle, key=lambda digest: self._arriving[digest].touched))

    def _look_after(self, now: float) -> None:
        for digest, arriving in list(self._arriving.items()):
            if arriving.slow is None and now - arriving.touched > self._idle:
                self._close(digest)
        self._spool.drop_idle_uploads(self._idle)

    def _close(self, digest: str) -> None:
        upload = self._arriving.pop(digest).upload
        if upload is not None:
            self._helper.submit(upload.close)  # behind a sync that may still be under way

    # Downloads

    def _fetch(self, identity: bytes, seq: int, message: dict, _: memoryview | None) -> None:
        if self._outbox.waiting(identity) > MAX_UNREAD:
            raise VelaturaError("busy", "Read what was asked for before asking for more.", retryable=True)
        digest = message["digest"]
        offset, length = _natural(message, "offset"), min(_natural(message, "length"), CHUNK)
        data, size = self._spool.slice(digest, offset, length)
        answer = {"type": "data", "re": seq, "digest": digest, "offset": offset, "size": size}
        self._reply(identity, answer, data)


def _natural(message: dict, key: str) -> int:
    value = message.get(key)
    if type(value) is not int or value < 0:
        raise VelaturaError("bad-request", f"A message about a layer's data has no {key}; update the plugin.")
    return value
