"""The control socket: sessions, pings, and requests passed on to the desk. It never waits for a disk."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

import zmq

from velatura.daemon.faults import internal, no_number, no_session, unknown_message
from velatura.daemon.mailbox import Mailbox
from velatura.daemon.notes import Answer, Event, Request, Status, Stop, Vanished
from velatura.daemon.outbox import Outbox
from velatura.daemon.sessions import Session, Sessions
from velatura.daemon.sockets import arrived
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import PROTOCOL, BadMessage, check_protocol, decode, encode, error_answer

log = logging.getLogger(__name__)

FOR_THE_DESK = frozenset({"methods", "submit", "get", "list", "watch", "ack", "cancel", "unload", "shutdown"})
MAX_UNANSWERED = 64
AT_A_TIME = 64
IDLE_MS, BUSY_MS = 250, 5
LAST_WORDS_S = 0.5


@dataclass(frozen=True)
class Greeting:
    """The fields of `welcome` that are the same for everyone."""

    instance: str
    version: str
    pid: int
    heartbeat: float
    limits: dict


class ControlThread(threading.Thread):
    """Owns the control ROUTER and the sessions."""

    def __init__(
        self, router: zmq.Socket, sessions: Sessions, greeting: Greeting, status: Status, desk: Mailbox
    ) -> None:
        super().__init__(name="control")
        self.mailbox: Mailbox[Answer | Event | Stop] = Mailbox()
        self._router = router
        self._outbox = Outbox(router)
        self._sessions = sessions
        self._greeting = greeting
        self._status = status
        self._desk = desk

    def run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self.mailbox.fileno(), zmq.POLLIN)
        looked = time.monotonic()
        stopping = False
        while not stopping:
            poller.poll(BUSY_MS if self._outbox.pending else IDLE_MS)
            for identity, frames in arrived(self._router, AT_A_TIME):
                self._answer(identity, frames)
            for note in self.mailbox.take():
                stopping = self._deliver(note) or stopping
            self._outbox.flush()
            if time.monotonic() - looked > self._greeting.heartbeat / 4:
                looked = time.monotonic()
                for session in self._sessions.newly_vanished():
                    log.info("client %s (%s) has vanished", session.id, session.client)
                    self._desk.put(Vanished(session.id))
        self._router.close(linger=int(LAST_WORDS_S * 1000))
        self.mailbox.close()

    def _answer(self, identity: bytes, frames: list[memoryview]) -> None:
        seq = None
        try:
            message, _ = decode(frames)
            seq = message.get("seq")
            answer = self._handle(identity, message)
        except VelaturaError as error:
            answer = error_answer(error, error.seq if isinstance(error, BadMessage) else seq)
        except Exception as error:  # the edge of the thread: a fault in one message must not end them all
            log.exception("a control message")
            answer = error_answer(internal(error), seq)
        if answer is not None:
            self._send(identity, encode(answer))

    def _handle(self, identity: bytes, message: dict) -> dict | None:
        """The answer, or None if it comes later or never."""
        kind, seq = message["type"], message.get("seq")
        if kind == "pong":
            return None
        if seq is None:
            raise no_number(kind)
        if kind == "hello":
            return self._hello(identity, message)
        session = self._sessions.of(identity)
        if session is None:
            raise no_session()
        self._sessions.heard(session.id)
        if kind == "ping":
            return {"type": "pong", "re": seq, **self._status.fields}
        if kind not in FOR_THE_DESK:
            raise unknown_message(kind)
        self._pass_on(session, message)
        return None

    def _hello(self, identity: bytes, message: dict) -> dict:
        check_protocol(message.get("protocol"), peer_is="client")
        wanted, client = (str(message.get(key) or "")[:200] for key in ("session", "client"))
        session = self._sessions.hello(identity, wanted, client)
        if session is None:
            raise VelaturaError("busy", "Too many programs are connected; close some.", retryable=True)
        log.info("client %s (%s): %s", session.id, client, "is back" if session.id == wanted else "is new")
        return {
            "type": "welcome",
            "re": message["seq"],
            "protocol": PROTOCOL,
            "session": session.id,
            "instance": self._greeting.instance,
            "version": self._greeting.version,
            "pid": self._greeting.pid,
            "heartbeat": self._greeting.heartbeat,
            "limits": self._greeting.limits,
        }

    def _pass_on(self, session: Session, message: dict) -> None:
        if session.unanswered >= MAX_UNANSWERED:
            raise VelaturaError("busy", "Too many requests at once; try again in a moment.", retryable=True)
        # watching begins before the desk looks at the job, so no change falls between the two
        if message["type"] == "submit" and isinstance(message.get("job"), str):
            self._sessions.watch(session, [message["job"]])
        if message["type"] == "watch" and isinstance(message.get("jobs"), list):
            self._sessions.watch(session, [job for job in message["jobs"] if isinstance(job, str)])
        session.unanswered += 1
        self._desk.put(Request(session.identity, session.id, message))

    def _deliver(self, note: Answer | Event | Stop) -> bool:
        """Sends what the desk has to say. True: it was the last."""
        if isinstance(note, Stop):
            return True
        if isinstance(note, Answer):
            session = self._sessions.of(note.identity)
            if session is not None and session.id == note.session:
                session.unanswered -= 1
                self._send(note.identity, encode(note.message))
            return False
        watchers = self._sessions.watchers(note.job)
        if watchers:
            frames = encode(note.message, note.payload)
            key = (note.job, note.message["type"]) if note.lossy else None
            for session in watchers:
                self._send(session.identity, frames, key)
        return False

    def _send(self, identity: bytes, frames: list, key: tuple | None = None) -> None:
        if not self._outbox.send(identity, frames, key):
            session = self._sessions.of(identity)
            if session is not None:
                log.info("client %s (%s) is gone, or does not read; cut off", session.id, session.client)
                self._sessions.cut(session)
