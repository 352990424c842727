"""A thread that owns a ROUTER: the common part of the control thread and the blob thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import zmq

from velatura.daemon.broker.notes import Stop
from velatura.daemon.broker.outbox import Outbox
from velatura.daemon.faults import Edge, internal, no_number
from velatura.daemon.mailbox import Mailbox
from velatura.daemon.outgoing import Frames, Message, outgoing
from velatura.daemon.sockets import arrived
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import BadMessage, decode, error_answer

log = logging.getLogger(__name__)

LAST_WORDS_S = 0.5
Prove = Callable[[object], str]
Note = TypeVar("Note")


class RouterThread(threading.Thread, Generic[Note]):
    """Reads its ROUTER and its mailbox until a `Stop` lies in the mailbox.

    Subclasses define `_handle`, `_deliver`, `_look_after` and, where they hold resources, `_end`. A fault in
    any of them is logged; the message that caused it is answered, the note dropped, and the loop goes on.
    The thread does not keep the process from ending.
    """

    at_a_time: int  # messages read before anything else is done
    idle_ms: int  # longest wait for a message …
    busy_ms: int  # … and while messages wait for a client

    def __init__(self, name: str, router: zmq.Socket[bytes], prove: Prove, every: float) -> None:
        """Prepares the thread.

        Args:
            name: of the thread.
            router: becomes the thread's own.
            prove: gives the answer to a challenge.
            every: seconds between two calls of `_look_after`.
        """
        super().__init__(name=name, daemon=True)
        self.mailbox: Mailbox[Note | Stop] = Mailbox()
        self._router = router
        self._prove = prove
        self._outbox = Outbox(router)
        self._every = every
        self._looked = time.monotonic()
        self._edge = Edge(log, f"the {name} thread")

    def _handle(self, identity: bytes, message: Message, payload: memoryview | None) -> None:
        """Answers a request, now or later. A VelaturaError raised here becomes the answer."""
        raise NotImplementedError

    def _deliver(self, note: Note) -> None:
        """Acts on one note of the mailbox."""
        raise NotImplementedError

    def _look_after(self, now: float) -> None:
        """Periodic upkeep. now: monotonic seconds."""
        raise NotImplementedError

    def _end(self) -> None:
        """Called once, before the ROUTER is closed."""

    def run(self) -> None:
        try:
            self._serve()
        except Exception:  # an unforeseen fault; the main thread sees that this one has ended
            log.exception("the %s thread ends", self.name)
        finally:
            with self._edge.guarded("its end"):
                self._end()
            self._router.close(linger=int(LAST_WORDS_S * 1000))
            self.mailbox.close()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self.mailbox.fileno(), zmq.POLLIN)
        while True:
            with self._edge.guarded("waiting", lasting=True):
                poller.poll(self.busy_ms if self._outbox.pending else self.idle_ms)
            with self._edge.guarded("reading", lasting=True):
                for identity, frames in arrived(self._router, self.at_a_time):
                    with self._edge.guarded("a message"):
                        self._receive(identity, frames)
            notes = self.mailbox.take()
            for note in notes:
                if not isinstance(note, Stop):
                    with self._edge.guarded("a note"):
                        self._deliver(note)
            with self._edge.guarded("sending", lasting=True):
                self._outbox.flush()
            if any(isinstance(note, Stop) for note in notes):
                return
            if time.monotonic() - self._looked > self._every:
                self._looked = time.monotonic()
                with self._edge.guarded("upkeep"):
                    self._look_after(self._looked)
            time.sleep(self._edge.rest())

    def _receive(self, identity: bytes, frames: list[memoryview]) -> None:
        seq: int | None = None
        try:
            message, payload = decode(frames)
            seq = message.get("seq")
            if message["type"] == "pong":
                return
            if seq is None:
                raise no_number(message["type"])
            if message["type"] == "challenge":
                proof = self._prove(message.get("nonce"))
                self._reply(identity, {"type": "proof", "re": seq, "proof": proof})
                return
            self._handle(identity, message, payload)
        except VelaturaError as error:
            self._fail(identity, error.seq if isinstance(error, BadMessage) else seq, error)
        except Exception as error:  # a fault in one message must not end them all
            self._edge.note("a message", error)
            self._fail(identity, seq, internal(error))

    def _fail(self, identity: bytes, seq: int | None, error: VelaturaError) -> None:
        self._reply(identity, error_answer(error, seq))

    def _reply(self, identity: bytes, message: Message, payload: bytes | None = None) -> None:
        self._send(identity, outgoing(message, payload))

    def _send(self, identity: bytes, frames: Frames | None, key: Hashable = None) -> None:
        """Sends or queues frames; None sends nothing. A client that has gone will ask again.

        key: for a lossy message, see `Outbox`.
        """
        if frames is not None:
            self._outbox.send(identity, frames, key)
