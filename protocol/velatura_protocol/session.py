"""One connection to the daemon: both sockets, hello, answers matched to requests, pings (SPEC 1 to 4)."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from .endpoints import proof, stranger
from .errors import VelaturaError
from .messages import MAX_PAYLOAD, PROTOCOL, Bytes, Message, canonical, check_protocol, decode, encode
from .paths import Connection
from .reading import as_object, is_number

POLL = 0.05  # seconds between two looks at `should_stop`
UNANSWERED = 3  # pings, after which the connection is lost
_MAX_CREDIT = 64
_AT_ONCE = 256  # messages taken from a socket before the other one has its turn

Payload = memoryview | None
OnEvent = Callable[[Message, Payload], None]
ShouldStop = Callable[[], bool]


class Transport(Protocol):
    """A ZeroMQ DEALER socket; `zmtp.Dealer` documents the methods."""

    def connect(self, endpoint: str, token: str, timeout: float) -> None: ...
    def send(self, frames: Sequence[Bytes]) -> None: ...
    def recv(self, timeout: float) -> Sequence[Bytes] | None: ...
    def close(self) -> None: ...


class Lost(VelaturaError):
    """The connection is gone: connect again, and repeat the unfinished request."""

    def __init__(self, cause: VelaturaError) -> None:
        super().__init__(cause.code, cause.message, hint=cause.hint, retryable=True, detail=cause.detail)


class Link:
    """A connection after its hello. After an error its owner closes it and makes another.

    welcome: the daemon's answer to hello. session, chunk (bytes), credit: from the welcome, within bounds.
    heartbeat: seconds between two signs of life.
    """

    def __init__(
        self,
        connection: Connection,
        dealer: Callable[[], Transport],
        *,
        name: str,
        session: str,
        timeout: float,
        on_event: OnEvent,
    ) -> None:
        """Connects, checks the daemon's proofs, says hello.

        Args:
            connection: the connection file.
            dealer: makes an unconnected transport.
            name: the client's, for the daemon's log.
            session: the session to resume; "" for a new one.
            timeout: seconds for each step.
            on_event: called with each message that is no answer, while `poll` or `answer` runs.

        Raises `wrong-token`, `protocol-version`, `not-running`, `timeout`.
        """
        self._on_event: OnEvent = _ignore  # events of a peer without proof are ignored
        self.session = ""
        self._seq = 0
        self._answers: dict[int, tuple[Message, Payload] | None] = {}  # None: not here yet
        self._pings: set[int] = set()
        self._heard_at = self._sent_at = self._pinged_at = time.monotonic()
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
        if is_number(heartbeat) and 0.05 <= heartbeat <= 3600:
            self.heartbeat = heartbeat
        limits = as_object(self.welcome.get("limits")) or {}
        self.chunk = _bounded(limits.get("chunk"), MAX_PAYLOAD, MAX_PAYLOAD)
        self.credit = _bounded(limits.get("credit"), 1, _MAX_CREDIT)

    def _challenge(self, token: str, endpoint: str, blob: bool, timeout: float) -> None:
        """Raises `not-running` unless the peer at this socket knows the token."""
        nonce = secrets.token_hex(32)
        seq = self.ask({"type": "challenge", "nonce": nonce}, blob=blob)
        try:
            answer, _ = self.answer(seq, "proof", timeout, blob=blob)
        except VelaturaError as error:
            if isinstance(error, Lost) or error.code == "timeout":
                raise
            # the sentence of an unproved peer is not shown
            raise stranger(f"no proof, but {error.code}") from None
        if not hmac.compare_digest(canonical(answer.get("proof")), canonical(proof(token, endpoint, nonce))):
            raise stranger("the proof is wrong")

    def close(self) -> None:
        """Closes both sockets at once."""
        self.control.close()
        self.blob.close()

    def ask(self, message: Message, payload: Bytes | None = None, *, blob: bool = False) -> int:
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
            self._sent_at = time.monotonic()
        self._answers[self._seq] = None
        return self._seq

    def answer(
        self,
        seq: int,
        kind: str,
        timeout: float,
        *,
        should_stop: ShouldStop | None = None,
        blob: bool = False,
    ) -> tuple[Message, Payload]:
        """The answer to a request, and its payload.

        Args:
            seq: the number that `ask` returned.
            kind: the type of the expected answer.
            timeout: seconds.
            should_stop: asked every `POLL` seconds.
            blob: whether the request went to the blob socket.

        Raises the error that the daemon answers; `Lost`; `timeout`; `cancelled` once `should_stop()` is true.
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
        """Drops the answer to request `seq`."""
        self._answers.pop(seq, None)

    def poll(self, timeout: float, *, blob: bool = False) -> None:
        """Takes the messages that have arrived at both sockets, and keeps the heartbeat. Raises `Lost`.

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

    def _drain(self, socket: Transport) -> int:
        for count in range(_AT_ONCE):
            frames = socket.recv(0)
            if frames is None:
                return count
            self._take(frames)
        return _AT_ONCE

    def _take(self, frames: Sequence[Bytes]) -> None:
        self._heard_at, self._unanswered = time.monotonic(), 0
        try:
            message, payload = decode(frames)
        except VelaturaError:
            return  # a fault of the daemon; a request that waits for this answer times out
        number = message.get("re")
        if number is None:
            self._on_event(message, payload)
        elif number in self._pings:
            self._pings.discard(number)
        elif number in self._answers:
            self._answers[number] = (message, payload)

    def _keep_alive(self, now: float) -> None:
        quiet = now - min(self._heard_at, self._sent_at)
        if quiet < self.heartbeat or now - self._pinged_at < self.heartbeat:
            return
        if self._unanswered >= UNANSWERED:
            raise Lost(
                VelaturaError("timeout", "Velatura's daemon does not answer; start it again.", retryable=True)
            )
        seq = self.ask({"type": "ping"})
        self.forget(seq)
        self._pings.add(seq)
        self._pinged_at = now
        self._unanswered += 1


def check_stop(should_stop: ShouldStop | None) -> None:
    """Raises `cancelled` once `should_stop()` is true."""
    if should_stop is not None and should_stop():
        raise VelaturaError("cancelled", "Stopped as you asked.")


def _ignore(_message: Message, _payload: Payload) -> None:
    pass


def _bounded(value: object, default: int, most: int) -> int:
    return value if type(value) is int and 1 <= value <= most else default
