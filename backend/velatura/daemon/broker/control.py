"""The control socket: sessions and pings; other requests go to the desk. It never waits for a disk."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from dataclasses import dataclass

import zmq

from velatura.daemon.broker.notes import Answer, Broadcast, ForControl, ForDesk, Request, Status, Vanished
from velatura.daemon.broker.router_thread import Prove, RouterThread
from velatura.daemon.broker.sessions import Session, Sessions
from velatura.daemon.faults import no_session, unknown_message
from velatura.daemon.mailbox import Mailbox
from velatura.daemon.outgoing import Frames, Message, outgoing
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import PROTOCOL, check_protocol, is_job_id, minor_version

log = logging.getLogger(__name__)

FOR_THE_DESK = frozenset(
    {
        "methods",
        "submit",
        "get",
        "list",
        "watch",
        "ack",
        "cancel",
        "forget",
        "unload",
        "shutdown",
        "vocabulary",
    }
)
MAX_UNANSWERED = 64


@dataclass(frozen=True)
class Greeting:
    """The fields of `welcome` that are the same for every client."""

    instance: str
    version: str
    pid: int
    heartbeat: float
    limits: dict[str, int]


class ControlThread(RouterThread[ForControl]):
    """Owns the control ROUTER and the sessions. Its mail: the desk's answers and events."""

    at_a_time = 64
    idle_ms, busy_ms = 250, 5

    def __init__(
        self,
        router: zmq.Socket[bytes],
        prove: Prove,
        sessions: Sessions,
        greeting: Greeting,
        status: Status,
        desk: Mailbox[ForDesk],
    ) -> None:
        super().__init__("control", router, prove, every=greeting.heartbeat / 10)
        self._sessions = sessions
        self._greeting = greeting
        self._status = status
        self._desk = desk

    def _look_after(self, now: float) -> None:
        for session in self._sessions.newly_vanished():
            log.info("client %s (%s) has vanished", session.id, session.client)
            self._desk.put(Vanished(session.id))

    def _handle(self, identity: bytes, message: Message, payload: memoryview | None) -> None:
        kind = message["type"]
        if kind == "hello":
            self._reply(identity, self._hello(identity, message))
            return
        session = self._sessions.of(identity)
        if session is None:
            raise no_session()
        self._sessions.heard(session.id)
        if kind == "ping":
            self._reply(identity, {"type": "pong", "re": message["seq"], **self._status.fields})
        elif kind not in FOR_THE_DESK:
            raise unknown_message(kind)
        else:
            self._pass_on(session, message)

    def _hello(self, identity: bytes, message: Message) -> Message:
        check_protocol(message.get("protocol"), peer_is="client")
        wanted, client = (str(message.get(key) or "")[:200] for key in ("session", "client"))
        session = self._sessions.hello(identity, wanted, client, minor_version(message["protocol"]))
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

    def _pass_on(self, session: Session, message: Message) -> None:
        if session.unanswered >= MAX_UNANSWERED:
            raise VelaturaError("busy", "Too many requests at once; try again in a moment.", retryable=True)
        # watching begins before the desk reads the job, so the client misses no change
        if message["type"] == "submit" and isinstance(message.get("job"), str):
            self._sessions.watch(session, filter(is_job_id, [message["job"]]))
        if message["type"] == "watch" and isinstance(message.get("jobs"), list):
            self._sessions.watch(session, filter(is_job_id, message["jobs"]))
        session.unanswered += 1
        self._desk.put(Request(session.identity, session.id, message, session.minor))

    def _deliver(self, note: ForControl) -> None:
        if isinstance(note, Answer):
            session = self._sessions.of(note.identity)
            if session is not None and session.id == note.session:
                session.unanswered -= 1
                self._reply(note.identity, note.message)
            return
        if isinstance(note, Broadcast):
            frames = outgoing(note.message)
            for session in self._sessions.connected(note.since):
                self._send(session.identity, frames, note.message["type"])
            return
        watchers = [one for one in self._sessions.watchers(note.job) if one.minor >= note.since]
        if watchers:
            frames = outgoing(note.message, note.payload)
            key = (note.job, note.message["type"]) if note.lossy else None
            for session in watchers:
                self._send(session.identity, frames, key)

    def _send(self, identity: bytes, frames: Frames | None, key: Hashable = None) -> None:
        if frames is not None and not self._outbox.send(identity, frames, key):
            session = self._sessions.of(identity)
            if session is not None:
                log.info("client %s (%s) is gone, or does not read; cut off", session.id, session.client)
                self._sessions.cut(session)
