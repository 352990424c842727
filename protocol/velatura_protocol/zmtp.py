"""A ZeroMQ DEALER over a plain socket, Unix or TCP, for hosts whose Python has no pyzmq.

ZMTP 3.1 (RFC 23, RFC 37) with the mechanism PLAIN (RFC 24). Unlike libzmq's socket it never reconnects by
itself: a lost connection is an error, so that no message is lost silently; `upkeep` connects again.
"""

from __future__ import annotations

import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Sequence

from .endpoints import open_stream, password, stranger
from .errors import VelaturaError
from .messages import MAX_PAYLOAD, Bytes
from .parser import Command, Greeting, Malformed, Reader, command, greeting, header

USERNAME = b"velatura"
HEARTBEAT = 5.0  # seconds of silence before a PING
MAX_FRAMES = 8  # of one message
OUTBOX = 8 * MAX_PAYLOAD  # bytes that may wait to be written when `send` returns
INBOX = 16 * MAX_PAYLOAD  # bytes that may wait to be received before the socket is left alone
HAS_SENDMSG = hasattr(socket.socket, "sendmsg")  # Windows has none

_MAX_BUFFERS = 64  # per sendmsg; POSIX promises 16, every system has 1024


def lost(detail: str) -> VelaturaError:
    """The error for a broken connection."""
    return VelaturaError(
        "not-running",
        "The connection to Velatura's daemon was lost; start the daemon if it does not come back.",
        retryable=True,
        detail=detail,
    )


class Dealer:
    """One connection; one thread owns it.

    heartbeat: seconds of silence before a ZMTP PING; after three times as many without an answer the
    connection is lost. max_frame: bytes of the largest frame that is accepted from the peer.
    """

    def __init__(self, *, heartbeat: float = HEARTBEAT, max_frame: int = MAX_PAYLOAD) -> None:
        self._heartbeat = heartbeat
        self._reader = Reader(max_frame=max_frame, max_frames=MAX_FRAMES)
        self._outbox: deque[memoryview] = deque()
        self._unsent = 0
        self._socket: socket.socket | None = None
        self._selector = selectors.DefaultSelector()
        self._error: VelaturaError | None = None
        self._heard = 0.0  # when the last byte came
        self._pinged: float | None = None  # when the PING was sent that nothing has followed

    def connect(self, endpoint: str, token: str, timeout: float) -> None:
        """Connects and shakes hands; once for each Dealer. The handshake proves nothing about the peer.

        Args:
            endpoint: "ipc:///path" or "tcp://127.0.0.1:port".
            token: the daemon's, from the connection file.
            timeout: seconds for all of it.

        Raises `wrong-token`; `not-running` if nothing, or another program, answers; `timeout`.
        """
        deadline = time.monotonic() + timeout
        try:
            self._socket = open_stream(endpoint, max(timeout, 0.001))
        except OSError as error:
            self.close()
            raise VelaturaError(
                "not-running",
                "Velatura's daemon is not running; start it.",
                retryable=True,
                detail=str(error),
            ) from None
        except VelaturaError:
            self.close()
            raise
        self._socket.setblocking(False)
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._heard = time.monotonic()
        try:
            self._shake_hands(password(token, endpoint), deadline)
        except BaseException:
            self.close()
            raise

    def send(self, frames: Sequence[Bytes], timeout: float = 10.0) -> None:
        """Sends one message. Frames are not copied and must not change until the peer has answered.

        Returns once at most `OUTBOX` bytes wait to be written. Raises `timeout` if the peer does not take
        them (the connection is then unusable), `not-running` if the connection is lost.
        """
        if self._error:
            raise self._error
        last = len(frames) - 1
        for i, frame in enumerate(frames):
            view = memoryview(frame).cast("B")
            self._queue(header(view.nbytes, more=i < last))
            if view.nbytes:
                self._queue(view)
        self._flush()
        if self._unsent <= OUTBOX:
            return
        deadline = time.monotonic() + timeout
        while self._unsent > OUTBOX and not self._error:
            if (left := deadline - time.monotonic()) <= 0:
                self._fail(VelaturaError("timeout", "Velatura's daemon does not answer; start it again."))
                break
            self._wait(left)
            self._read(greedy=True)  # a peer that waits for us to read would never take ours
            self._flush()
        if self._error:
            raise self._error

    def recv(self, timeout: float) -> list[bytearray] | None:
        """The next message, or None after `timeout` seconds (0: only one that has arrived).

        Raises `not-running` once the connection is lost and every earlier message has been received.
        """
        deadline = time.monotonic() + timeout
        while True:
            self._read()
            self._flush()
            if (message := self._next_message()) is not None:
                return message
            if self._error:
                raise self._error
            now = time.monotonic()
            self._keep_alive(now)
            if now >= deadline:
                return None
            self._wait(min(deadline - now, self._heartbeat / 2))

    def fileno(self) -> int:
        """The socket, for a host's own loop: readable when `recv(0)` may return a message; -1 when closed."""
        return self._socket.fileno() if self._socket else -1

    def close(self) -> None:
        """Closes at once; unwritten bytes are dropped."""
        self._fail(lost("closed here"))
        self._selector.close()
        if self._socket:
            self._socket.close()
        self._outbox.clear()
        self._unsent = 0

    # -- handshake ---------------------------------------------------------------------------------------

    def _shake_hands(self, secret: str, deadline: float) -> None:
        shown = secret.encode()
        self._queue(greeting(b"PLAIN"))
        peer = self._expect(deadline)
        if not isinstance(peer, Greeting) or peer.mechanism != "PLAIN":
            raise stranger(f"greeting {peer}")
        names = bytes([len(USERNAME)]) + USERNAME + bytes([len(shown)]) + shown
        self._queue(command(b"HELLO", names))
        self._expect_command(b"WELCOME", deadline)
        self._queue(command(b"INITIATE", _property(b"Socket-Type", b"DEALER") + _property(b"Identity", b"")))
        self._expect_command(b"READY", deadline)

    def _expect_command(self, name: bytes, deadline: float) -> None:
        item = self._expect(deadline)
        if isinstance(item, Command) and item.name == b"ERROR":
            reason = item.data[1:].decode("ascii", "replace")
            if reason == "400":
                raise VelaturaError(
                    "wrong-token", "The daemon refused the password; start the daemon again.", detail=reason
                )
            raise lost(f"refused with {reason!r}")
        if not isinstance(item, Command) or item.name != name:
            raise stranger(f"{item!r:.80} instead of {name!r}")

    def _expect(self, deadline: float) -> object:
        while True:
            self._read()
            self._flush()
            if self._reader.items:
                return self._reader.pop()
            if self._error:
                raise stranger(self._error.detail)
            left = deadline - time.monotonic()
            if left <= 0:
                raise VelaturaError(
                    "timeout", "Velatura's daemon does not answer; start it again.", retryable=True
                )
            self._wait(left)

    # -- bytes -------------------------------------------------------------------------------------------

    def _queue(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        self._outbox.append(view)
        self._unsent += view.nbytes

    def _flush(self) -> None:
        """Writes as much as the socket takes now."""
        while self._outbox and not self._error:
            try:
                sent = self._write()
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(lost(str(error)))
                return
            self._unsent -= sent
            while sent and sent >= self._outbox[0].nbytes:
                sent -= self._outbox.popleft().nbytes
            if sent:
                self._outbox[0] = self._outbox[0][sent:]

    def _write(self) -> int:
        assert self._socket is not None
        if HAS_SENDMSG:
            return self._socket.sendmsg(
                [self._outbox[i] for i in range(min(len(self._outbox), _MAX_BUFFERS))]
            )
        return self._socket.send(self._outbox[0])

    def _read(self, greedy: bool = False) -> None:
        """Reads the bytes that have arrived, until a message or command is whole.

        greedy: until nothing is left, or the inbox is full."""
        reader = self._reader
        while not self._error and (reader.size < INBOX if greedy else not reader.items):
            assert self._socket is not None
            try:
                n = self._socket.recv_into(reader.target())
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(lost(str(error)))
                return
            if n == 0:
                self._fail(lost("the daemon closed the connection"))
                return
            self._heard, self._pinged = time.monotonic(), None
            try:
                reader.received(n)
            except Malformed as error:
                self._fail(lost(f"not ZMTP: {error}"))

    def _next_message(self) -> list[bytearray] | None:
        while self._reader.items:
            item = self._reader.pop()
            if isinstance(item, list):
                return item
            if isinstance(item, Command) and item.name == b"PING" and self._unsent <= OUTBOX:
                self._queue(command(b"PONG", item.data[2:18]))  # 2 bytes of time to live, then the context
                self._flush()
            elif isinstance(item, Command) and item.name == b"ERROR":
                self._fail(lost(f"refused with {item.data[1:]!r}"))
        return None

    def _keep_alive(self, now: float) -> None:
        if self._pinged is not None:
            if now - self._pinged > 3 * self._heartbeat:
                self._fail(lost("no answer to PING"))
        elif now - self._heard > self._heartbeat:
            self._pinged = now
            self._queue(command(b"PING", struct.pack(">H", 0)))  # 0: the peer need not watch us
            self._flush()

    def _wait(self, timeout: float) -> None:
        """Waits until the socket can be read, if there is room, or written, if bytes are queued."""
        assert self._socket is not None
        if self._error:
            return
        events = selectors.EVENT_WRITE if self._outbox else 0
        if self._reader.size < INBOX or not events:
            events |= selectors.EVENT_READ
        if self._selector.get_key(self._socket).events != events:
            self._selector.modify(self._socket, events)
        self._selector.select(timeout)

    def _fail(self, error: VelaturaError) -> None:
        self._error = self._error or error


def _property(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
