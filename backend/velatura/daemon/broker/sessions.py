"""The connected clients, the jobs they watch, and when each last sent a message."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_SESSIONS = 1024
MAX_WATCHED = 4096


@dataclass
class Session:
    """One client, across reconnections.

    Args:
        id: random, 16 hexadecimal digits.
        client: its own name for itself, for the log.
        identity: its present control connection, empty between two of them.
        minor: MINOR of the protocol's version that it speaks.
        unanswered: requests that wait for the desk's answer.
        vanished: it has been silent for three heartbeats, or cut off without coming back.
        cut_at: monotonic seconds of its last `Sessions.cut`.
        watching: ids of the jobs that it watches.
    """

    id: str
    client: str
    identity: bytes
    minor: int
    unanswered: int = 0
    vanished: bool = False
    cut_at: float = 0.0
    watching: dict[str, None] = field(default_factory=dict[str, None])  # an ordered set


class Sessions:
    """Owned by the control thread. `known` and `heard` may be called from the blob thread too."""

    def __init__(self, heartbeat: float) -> None:
        self._vanished_after = 3 * heartbeat
        self._back_within = heartbeat / 5  # a client that lives connects again at once
        self._forgotten_after = 12 * heartbeat
        self._by_id: dict[str, Session] = {}
        self._by_identity: dict[bytes, Session] = {}
        self._heard: dict[str, float] = {}

    def hello(self, identity: bytes, wanted: str, client: str, minor: int) -> Session | None:
        """Moves the session `wanted` to this connection, or makes a new one; None if there are too many."""
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
        """The connected sessions that watch a job."""
        return [session for session in self._by_id.values() if session.identity and job in session.watching]

    def connected(self, since: int) -> list[Session]:
        """The connected sessions whose clients speak this MINOR of the protocol or a newer one."""
        return [session for session in self._by_id.values() if session.identity and session.minor >= since]

    def watch(self, session: Session, jobs: Iterable[str]) -> None:
        """Adds jobs to those that a session watches; beyond a limit the oldest are dropped."""
        for job in jobs:
            session.watching[job] = None
        while len(session.watching) > MAX_WATCHED:
            del session.watching[next(iter(session.watching))]

    def newly_vanished(self) -> list[Session]:
        """The sessions silent for three heartbeats, or without a connection for a fifth of one, each reported
        once. Drops those silent for twelve.
        """
        now = time.monotonic()
        vanished: list[Session] = []
        for session in list(self._by_id.values()):
            silent = now - self._heard[session.id]
            is_cut = not session.identity and now - session.cut_at > self._back_within
            if silent <= self._vanished_after and not is_cut:
                session.vanished = False
            elif not session.vanished:
                session.vanished = True
                vanished.append(session)
            if silent > self._forgotten_after:
                self.forget(session)
        return vanished

    def cut(self, session: Session) -> None:
        """Detaches a session from its connection, until the client says hello with it again."""
        self._by_identity.pop(session.identity, None)
        session.identity, session.cut_at = b"", time.monotonic()

    def forget(self, session: Session) -> None:
        """Drops a session; the next message of this client is answered with `no-session`."""
        self._by_id.pop(session.id, None)
        self._by_identity.pop(session.identity, None)
        self._heard.pop(session.id, None)
