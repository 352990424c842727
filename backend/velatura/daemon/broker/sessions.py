"""Who is connected, which jobs they watch, and when they were last heard of."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

MAX_SESSIONS = 1024
MAX_WATCHED = 4096


@dataclass
class Session:
    """One client, across reconnections.

    identity: of its present control connection, empty between two of them. minor: of the version of the
    protocol that it speaks. unanswered: requests that were passed on and whose answers are still to come.
    vanished: it has been silent for three heartbeats.
    """

    id: str
    client: str
    identity: bytes
    minor: int
    unanswered: int = 0
    vanished: bool = False
    watching: dict[str, None] = field(default_factory=dict)  # an ordered set of job ids


class Sessions:
    """Owned by the control thread. `known` and `heard` may be called from the blob thread too."""

    def __init__(self, heartbeat: float) -> None:
        self._vanished_after = 3 * heartbeat
        self._forgotten_after = 12 * heartbeat
        self._by_id: dict[str, Session] = {}
        self._by_identity: dict[bytes, Session] = {}
        self._heard: dict[str, float] = {}

    def hello(self, identity: bytes, wanted: str, client: str, minor: int) -> Session | None:
        """The session `wanted` moved to this connection, or a new one; None if there are too many."""
        session = self._by_id.get(wanted)
        if session is None:
            if len(self._by_id) >= MAX_SESSIONS:
                return None
            session = Session(secrets.token_hex(8), client, identity, minor)
            self._by_id[session.id] = session
        elsewhere = self._by_identity.get(identity)
        if elsewhere is not None and elsewhere is not session:
            self.forget(elsewhere)
        self._by_identity.pop(session.identity, None)
        session.identity, session.minor, session.unanswered = identity, minor, 0
        self._by_identity[identity] = session
        self.heard(session.id)
        return session

    def of(self, identity: bytes) -> Session | None:
        """The session of a control connection."""
        return self._by_identity.get(identity)

    def known(self, session: str) -> bool:
        return session in self._by_id

    def heard(self, session: str) -> None:
        """Notes a sign of life."""
        self._heard[session] = time.monotonic()

    def watchers(self, job: str) -> list[Session]:
        """Those that watch a job and are connected."""
        return [session for session in self._by_id.values() if session.identity and job in session.watching]

    def watch(self, session: Session, jobs: list[str]) -> None:
        """Adds to what a session watches; beyond a limit the oldest entries go."""
        for job in jobs:
            session.watching[job] = None
        while len(session.watching) > MAX_WATCHED:
            del session.watching[next(iter(session.watching))]

    def newly_vanished(self) -> list[Session]:
        """Those silent for three heartbeats, each told once; those silent for long are forgotten."""
        now = time.monotonic()
        found = []
        for session in list(self._by_id.values()):
            silent = now - self._heard[session.id]
            if silent <= self._vanished_after:
                session.vanished = False
            elif not session.vanished:
                session.vanished = True
                found.append(session)
            if silent > self._forgotten_after:
                self.forget(session)
        return found

    def cut(self, session: Session) -> None:
        """Takes a session from its connection, until the client says hello with it again."""
        self._by_identity.pop(session.identity, None)
        session.identity = b""

    def forget(self, session: Session) -> None:
        """The next message of this client is answered with `no-session`."""
        self._by_id.pop(session.id, None)
        self._by_identity.pop(session.identity, None)
        self._heard.pop(session.id, None)
