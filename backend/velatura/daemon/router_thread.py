"""A thread that owns a ROUTER: what the control thread and the blob thread have in common."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import zmq

from velatura.daemon.faults import internal, no_number
from velatura.daemon.mailbox import Mailbox
from velatura.daemon.notes import Stop
from velatura.daemon.outbox import Outbox
from velatura.daemon.sockets import arrived
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import BadMessage, decode, encode, error_answer

log = logging.getLogger(__name__)

LAST_WORDS_S = 0.5
Prove = Callable[[object], str]


class RouterThread(threading.Thread):
    """Reads its ROUTER and its mailbox until a `Stop` lies in the mailbox.

    Subclasses define `_handle`, `_deliver`, `_look_after` and, where something is to be put away, `_end`.
    """

    at_a_time: int  # messages read before anything else is done
    idle_ms: int  # longest wait for a message …
    busy_ms: int  # … and while a client has not taken all that is meant for it

    def __init__(self, name: str, router: zmq.Socket, prove: Prove, every: float) -> None:
        """prove: the answer to a challenge. every: seconds between two calls of `_look_after`."""
        super().__init__(name=name)
        self.mailbox: Mailbox = Mailbox()
        self._router = router
        self._prove = prove
        self._outbox = Outbox(router)
        self._every = every

    def _handle(self, identity: bytes, message: dict, payload: memoryview | None) -> None:
        """Answers a request, now or later. Raises VelaturaError: the answer is that error."""
        raise NotImplementedError

    def _deliver(self, note: Any) -> None:
        """Takes one note of the mailbox."""
        raise NotImplementedError

    def _look_after(self, now: float) -> None:
        """Called now and then."""
        raise NotImplementedError

    def _end(self) -> None:
        """Called once, before the ROUTER is closed."""

    def run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self.mailbox.fileno(), zmq.POLLIN)
        looked = time.monotonic()
        stopping = False
        while not stopping:
            poller.poll(self.busy_ms if self._outbox.pending else self.idle_ms)
            for identity, frames in arrived(self._router, self.at_a_time):
                self._receive(identity, frames)
            for note in self.mailbox.take():
                if isinstance(note, Stop):
                    stopping = True
                else:
                    self._deliver(note)
            self._outbox.flush()
            if time.monotonic() - looked > self._every:
                looked = time.monotonic()
                self._look_after(looked)
        self._end()
        self._router.close(linger=int(LAST_WORDS_S * 1000))
        self.mailbox.close()

    def _receive(self, identity: bytes, frames: list[memoryview]) -> None:
        seq = None
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
        except Exception as error:  # the edge of the thread: a fault in one message must not end them all
            log.exception("a message to the %s thread", self.name)
            self._fail(identity, seq, internal(error))

    def _fail(self, identity: bytes, seq: int | None, error: VelaturaError) -> None:
        self._reply(identity, error_answer(error, seq))

    def _reply(self, identity: bytes, message: dict, payload: bytes | None = None) -> None:
        self._send(identity, encode(message, payload))

    def _send(self, identity: bytes, frames: list, key: tuple | None = None) -> None:
        """key: of what is lossy, see `Outbox`. A client that is gone will ask again."""
        self._outbox.send(identity, frames, key)
