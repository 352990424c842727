"""A connection that restores itself: reconnects with back-off, says hello, watches again, keeps events."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from . import paths
from .errors import VelaturaError
from .messages import Message
from .reading import as_integer, as_list, as_object
from .requests import MAX_VARIATIONS
from .session import POLL, Link, Lost, Payload, ShouldStop, Transport, check_stop
from .zmtp import Dealer

PATIENCE = 60.0  # seconds without a daemon after which a request fails
FINAL = frozenset({"done", "failed", "cancelled"})

_ANSWERS = {
    "ping": "pong",
    "submit": "job",
    "get": "job",
    "ack": "job",
    "cancel": "job",
    "watch": "jobs",
    "list": "jobs",
    "forget": "forgotten",
    "unload": "ok",
    "shutdown": "ok",
}
_ONCE = frozenset({"shutdown", "unload"})  # not repeated on a new connection, which may be to another daemon
_BACKOFF = (0.1, 2.0)  # seconds between two attempts to connect, first and longest
_ATTEMPT = (0.5, 5.0)  # seconds that a step of an attempt may take, first and longest
_RESTART_EVERY = 10.0  # seconds between two attempts to start a daemon in place of a dead one
_WATCH_AT_ONCE = 256  # jobs in one message
_LOSSES = 20  # in one upload or download; a daemon that dies as often will not come through

T = TypeVar("T")


class Upkeep:
    """The part of `client.Client` that knows nothing of pixels.

    Args:
        state_dir: the daemon's; None: the usual one.
        name: the client's, for the daemon's log.
        dealer: makes an unconnected transport.
        restart: starts another daemon, and returns once it answers. It is called where a daemon died, rather
            than stopped, while a request or a watched job waits for it; None leaves that to others.

    Attributes:
        welcome: the daemon's last answer to hello; {} before that.
    """

    def __init__(
        self,
        state_dir: str | os.PathLike[str] | None = None,
        *,
        name: str,
        dealer: Callable[[], Transport] = Dealer,
        restart: Callable[[], None] | None = None,
    ) -> None:
        self.state_dir = paths.state_dir(state_dir)
        self.welcome: Message = {}
        self._name = name
        self._dealer = dealer
        self._restart = restart
        self._restarted = -_RESTART_EVERY
        self._link: Link | None = None
        self._session = ""
        self._events: dict[tuple[str, str, int], tuple[Message, Payload]] = {}
        self._watched: dict[str, None] = {}
        self._why: VelaturaError | None = None  # why there is no link, as last reported
        self._next_attempt = 0.0
        self._backoff, self._patience = _BACKOFF[0], _ATTEMPT[0]

    @property
    def connected(self) -> bool:
        """Whether the daemon answered when it was last asked."""
        return self._link is not None

    def connect(self, timeout: float = 5.0) -> Message:
        """The daemon's welcome. Raises `not-running`, `wrong-token`, `protocol-version`, `timeout`."""
        if self._link is None:
            self._restore(timeout, tell=False)
        return self.welcome

    def close(self) -> None:
        """Closes the connection; jobs go on."""
        if self._link:
            self._link.close()
            self._link = None

    def _restore(self, timeout: float, *, tell: bool) -> None:
        """Connects, says hello, watches again. Raises the reason where it cannot.

        tell: whether to report the connection as an event although no loss was reported."""
        try:
            connection = paths.read_connection(self.state_dir)
            self._link = Link(
                connection,
                self._dealer,
                name=self._name,
                session=self._session,
                timeout=timeout,
                on_event=self._on_event,
            )
            self.welcome, self._session = self._link.welcome, self._link.session
            self._rewatch(self._link, timeout)
        except VelaturaError as error:
            self._lose(error)
            self._backoff = min(2 * self._backoff, _BACKOFF[1])
            if error.code == "timeout":
                self._patience = min(2 * self._patience, _ATTEMPT[1])
            raise
        if tell or self._why is not None:
            self._on_event({"type": "connection", "state": "restored"}, None)
        self._why = None
        self._backoff, self._patience = _BACKOFF[0], _ATTEMPT[0]

    def _rewatch(self, link: Link, timeout: float) -> None:
        """Reports the states of the watched jobs as events; `failed` if the daemon does not know them."""
        watched = list(self._watched)
        known = {state["job"]: state for state in self._watch(link, watched, timeout)}
        for job in watched:
            error = VelaturaError("unknown-job", "Velatura's daemon no longer knows this job; run it again.")
            failed = {"type": "job", "job": job, "state": "failed", "error": error.to_wire()}
            self._on_event(known.get(job, failed), None)

    def _watch(self, link: Link, jobs: list[str], timeout: float) -> list[Message]:
        """The states of the jobs that the daemon knows; it sends their events from now on."""
        states: list[Message] = []
        for at in range(0, len(jobs), _WATCH_AT_ONCE):
            batch = jobs[at : at + _WATCH_AT_ONCE]
            answer = _states(self._ask(link, {"type": "watch", "jobs": batch}, timeout))
            states += answer
            left_out = set(batch) - {state["job"] for state in answer}  # unknown, or the message had no room
            asked = (self._get_if_known(link, job, timeout) for job in left_out)
            states += [state for state in asked if state is not None]
        return states

    def _get_if_known(self, link: Link, job: str, timeout: float) -> Message | None:
        try:
            return self._ask(link, {"type": "get", "job": job}, timeout)
        except VelaturaError as error:
            if error.code == "unknown-job":
                return None
            raise

    def _lose(self, error: VelaturaError) -> None:
        """Drops the link, if there is one; reports the reason unless it has been reported."""
        self.close()
        self._next_attempt = time.monotonic() + self._backoff
        if self._why is None or self._why.code != error.code:
            self._on_event({"type": "connection", "state": "lost", "error": error.to_wire()}, None)
        self._why = error

    def _tend(self, timeout: float, *, needed: bool = False) -> None:
        """One turn: takes the messages of `timeout` seconds, or tries to connect again when that is due.

        needed: whether a request waits for the connection."""
        if self._link:
            try:
                self._link.poll(timeout)
            except Lost as error:
                self._lose(error)
            return
        wait = self._next_attempt - time.monotonic()
        if wait > 0:
            time.sleep(min(wait, timeout))
            return
        try:
            self._restore(self._patience, tell=True)
        except VelaturaError as error:  # an event reports it
            if error.code == "not-running" and (needed or self._watched):
                self._revive()

    def _revive(self) -> None:
        """Starts a daemon in place of one that died. One that was stopped removed its connection file: it was
        stopped on purpose, and stays so."""
        now = time.monotonic()
        if self._restart is None or now - self._restarted < _RESTART_EVERY:
            return
        if not (self.state_dir / paths.CONNECTION_FILE).exists():
            return
        self._restarted = now
        with suppress(VelaturaError):  # the next attempt to connect gives the reason
            self._restart()
        self._next_attempt = 0.0

    def _connected_link(self, should_stop: ShouldStop | None, patience: float) -> Link:
        """The link, once there is one. Raises the reason where there is none after `patience` seconds."""
        deadline = time.monotonic() + patience
        while self._link is None:
            check_stop(should_stop)
            self._tend(POLL, needed=True)
            if self._link is None and time.monotonic() > deadline:
                raise self._why or VelaturaError("not-running", "Velatura's daemon is not running; start it.")
        return self._link

    def _persist(self, task: Callable[[Link], T], should_stop: ShouldStop | None) -> T:
        """Runs `task` on the link, and again on the next one after each loss."""
        for _ in range(_LOSSES):
            link = self._connected_link(should_stop, PATIENCE)
            try:
                return task(link)
            except Lost as error:
                self._lose(error)
        assert self._why is not None
        raise self._why

    def _on_event(self, message: Message, payload: Payload) -> None:
        """Keeps the last event of each kind, job and variation until `events` returns them."""
        kind, job = message["type"], message.get("job")
        if kind in ("job", "progress", "preview"):
            if not isinstance(job, str):
                return
            if kind == "job" and message.get("state") in FINAL:
                self._watched.pop(job, None)
            key = (kind, job, 0)
        elif kind == "candidate":
            index = as_integer((as_object(message.get("layer")) or {}).get("index"), 0, MAX_VARIATIONS - 1)
            if not isinstance(job, str) or index is None:
                return
            key = (kind, job, index)
        elif kind == "connection":
            key = (kind, message["state"], 0)
        elif kind == "offer":
            key = (kind, "", 0)
        else:
            return  # an event of a newer daemon
        self._events.pop(key, None)
        self._events[key] = (message, payload)

    def events(self, timeout: float) -> list[tuple[Message, Payload]]:
        """The new events, as soon as there are any; [] after `timeout` seconds.

        They are `job`, `progress`, `preview` (with the PNG as payload), `candidate` (one for each finished
        variation; see `candidates.of`), `offer` (the answer to `methods` has changed) and
        {"type": "connection", "state": "lost" or "restored"}. "lost" has the reason in `error`,
        and comes again when the reason changes; it raises nothing.
        """
        deadline = time.monotonic() + timeout
        self._tend(0)
        while not self._events and (left := deadline - time.monotonic()) > 0:
            self._tend(min(left, 0.25))
        events = list(self._events.values())
        self._events.clear()
        return events

    def request(self, message: Message, timeout: float = 10.0) -> Message:
        """Sends a control message and returns its answer. After a loss of the connection it is sent again,
        except `shutdown` and `unload`. Raises the error that the daemon answers, `timeout`, `not-running`."""
        deadline = time.monotonic() + timeout
        if self._link is None:
            self._restore(timeout, tell=False)
        while True:
            link = self._connected_link(None, deadline - time.monotonic())
            try:
                return self._ask(link, message, deadline - time.monotonic())
            except Lost as error:
                self._lose(error)
                if message["type"] in _ONCE:
                    raise

    def _ask(
        self, link: Link, message: Message, timeout: float, should_stop: ShouldStop | None = None
    ) -> Message:
        """One control round trip on `link`. Raises `Lost`, and the error that the daemon answers."""
        sent: str = message["type"]
        kind = _ANSWERS.get(sent, sent)
        try:
            return link.answer(link.ask(message), kind, timeout, should_stop=should_stop)[0]
        except VelaturaError as error:
            if error.code == "no-session":
                raise Lost(error) from None
            raise


def _states(answer: Message) -> Sequence[Message]:
    """The jobs of a `jobs` answer, each with `type` as in an event."""
    states = [as_object(state) or {} for state in as_list(answer.get("jobs")) or ()]
    return [
        {**state, "type": "job"}
        for state in states
        if isinstance(state.get("job"), str) and isinstance(state.get("state"), str)
    ]
