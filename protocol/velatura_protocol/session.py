"""One connection to the daemon: both sockets, hello, answers matched to requests, pings (SPEC 1 to 4)."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from typing import Any

from .endpoints import proof, stranger
from .errors import VelaturaError
from .messages import MAX_PAYLOAD, PROTOCOL, canonical, check_protocol, decode, encode
from .paths import Connection

POLL = 0.05  # seconds between two looks at `should_stop`
UNANSWERED = 3  # pings, after which the daemon is given up
_MAX_CREDIT = 64
_AT_ONCE = 256  # messages taken from a socket before the other one has its turn

Payload = Any  # memoryview or None


class Lost(VelaturaError):
    """The connection is gone: connect again, and repeat what was under way."""

    def __init__(self, cause: VelaturaError) -> None:
        super().__init__(cause.code, cause.message, hint=cause.hint, retryable=True, detail=cause.detail)


class Link:
    """A connection after its hello. It does not outlive an error: its owner closes it and makes another.

    welcome: the daemon's answer to hello. session, chunk (bytes), credit: from the welcome, within bounds.
    """

    def __init__(
        self,
        connection: Connection,
        dealer: Callable[[], Any],
        *,
        name: str,
        session: str,
        timeout: float,
        on_event: Callable[[dict, Payload], None],
    ) -> None:
        """Connects, has the daemon prove itself, says hello.

        Raises `wrong-token`, `protocol-version`, `not-running`, `timeout`. on_event: called with each message
        that answers nothing, while `poll` or `answer` runs.
        """
        self._on_event: Callable = lambda *_: None  # who has proved nothing is not heard
        self.session = ""
        self._seq = 0
        self._answers: dict[int, tuple[dict, Payload] | None] = {}  # None: not here yet
        self._pings: set[int] = set()
        self._heard = self._said = self._pinged = time.monotonic()
        self._unanswered = 0
        self.heartbeat = 5.0
        self.control, self.blob = dealer(), dealer()
        try:
            check_protocol(connection.wire)
            control, blobs = connection.control_endpoint(), connection.blob_endpoint()
            self.control.connect(control, connection.token, timeout)
            self.blob.connect(blobs, connection.token, timeout)
            self._challenge(connection.token, control, False, timeout)
            self._challenge(connection.token, blobs, True, timeout)
            self._on_event = on_event
            hello = {"type": "hello", "protocol": PROTOCOL, "client": name, "session": session}
            self.welcome, _ = self.answer(self.ask(hello), "welcome", timeout)
            check_protocol(self.welcome.get("protocol"))
            if self.welcome.get("instance") != connection.instance:
                raise stranger("the welcome is another daemon's")
        except BaseException:
            self.close()
            raise
        self.session = str(self.welcome.get("session", ""))
        heartbeat = self.welcome.get("heartbeat")
        if isinstance(heartbeat, (int, float)) and 0.05 <= heartbeat <= 3600:
            self.heartbeat = heartbeat
        limits = self.welcome.get("limits")
        limits = limits if isinstance(limits, dict) else {}
        self.chunk = _bounded(limits.get("chunk"), MAX_PAYLOAD, MAX_PAYLOAD)
        self.credit = _bounded(limits.get("credit"), 1, _MAX_CREDIT)

    def _challenge(self, token: str, endpoint: str, blob: bool, timeout: float) -> None:
        """Raises `not-running` unless who answers at this socket knows the token."""
        nonce = secrets.token_hex(32)
        seq = self.ask({"type": "challenge", "nonce": nonce}, blob=blob)
        try:
            answer, _ = self.answer(seq, "proof", timeout, blob=blob)
        except VelaturaError as error:
            if isinstance(error, Lost) or error.code == "timeout":
                raise
            raise stranger(f"no proof, but {error.code}") from None  # a stranger's sentence is not shown
        if not hmac.compare_digest(canonical(answer.get("proof")), canonical(proof(token, endpoint, nonce))):
            raise stranger("the proof is wrong")

    def close(self) -> None:
        """Closes both sockets at once."""
        self.control.close()
        self.blob.close()

    def ask(self, message: dict, payload: Payload = None, *, blob: bool = False) -> int:
        """Sends a request and returns its number, for `answer`. Raises `Lost`."""
        self._seq += 1
        request = {**message, "seq": self._seq}
        if blob:
            request["session"] = self.session
        frames = encode(request, payload)
        try:
            (self.blob if blob else self.control).send(frames)
        except VelaturaError as error:
            raise Lost(error) from None
        if not blob:
            self._said = time.monotonic()
        self._answers[self._seq] = None
        return self._seq

    def answer(
        self,
        seq: int,
        kind: str,
        timeout: float,
        *,
        should_stop: Callable[[], bool] | None = None,
        blob: bool = False,
    ) -> tuple[dict, Payload]:
        """The answer to request `seq`, of type `kind`, and its payload.

        Raises the error that was answered; `Lost`; `timeout`; `cancelled` once `should_stop()` is true.
        """
        deadline = time.monotonic() + timeout
        try:
            while (answer := self._answers[seq]) is None:
                check_stop(should_stop)
                if time.monotonic() > deadline:
                    raise VelaturaError(
                        "timeout",
                        "Velatura's daemon did not answer in time; try again, or start it again.",
                        retryable=True,
                    )
                self.poll(POLL, blob=blob)
        finally:
            del self._answers[seq]
        message, payload = answer
        if message["type"] == "error":
            raise VelaturaError.from_wire(message)
        if message["type"] != kind:
            raise VelaturaError(
                "bad-message",
                "Velatura's daemon gave an answer that makes no sense; update Velatura.",
                detail=f"{message['type']!r:.80} instead of {kind!r}",
            )
        return message, payload

    def forget(self, seq: int) -> None:
        """The answer to `seq` is of no interest any more."""
        self._answers.pop(seq, None)

    def poll(self, timeout: float, *, blob: bool = False) -> None:
        """Takes what has come from both sockets, and keeps the heartbeat. Raises `Lost`.

        Waits at most `timeout` seconds, or half a heartbeat, for the control (or the blob) socket."""
        timeout = min(timeout, self.heartbeat / 2)
        try:
            if not self._drain(self.control) + self._drain(self.blob):
                frames = (self.blob if blob else self.control).recv(timeout)
                if frames is not None:
                    self._take(frames)
        except VelaturaError as error:
            raise Lost(error) from None
        self._keep_alive(time.monotonic())

    def _drain(self, socket: Any) -> int:
        for count in range(_AT_ONCE):
            frames = socket.recv(0)
            if frames is None:
                return count
            self._take(frames)
        return _AT_ONCE

    def _take(self, frames: list) -> None:
        self._heard, self._unanswered = time.monotonic(), 0
        try:
            message, payload = decode(frames)
        except VelaturaError:
            return  # the daemon's fault, and it concerns nobody who could be told: who waits for it times out
        number = message.get("re")
        if number is None:
            self._on_event(message, payload)
        elif number in self._pings:
            self._pings.discard(number)
        elif number in self._answers:
            self._answers[number] = (message, payload)

    def _keep_alive(self, now: float) -> None:
        quiet = now - min(self._heard, self._said)
        if quiet < self.heartbeat or now - self._pinged < self.heartbeat:
            return
        if self._unanswered >= UNANSWERED:
            raise Lost(
                VelaturaError("timeout", "Velatura's daemon does not answer; start it again.", retryable=True)
            )
        seq = self.ask({"type": "ping"})
        self.forget(seq)
        self._pings.add(seq)
        self._pinged = now
        self._unanswered += 1


def check_stop(should_stop: Callable[[], bool] | None) -> None:
    """Raises `cancelled` once `should_stop()` is true."""
    if should_stop is not None and should_stop():
        raise VelaturaError("cancelled", "Stopped as you asked.")


def _bounded(value: object, default: int, most: int) -> int:
    return value if type(value) is int and 1 <= value <= most else default
