"""Bytes of a ZMTP 3 connection to its greeting, commands and messages, without a socket.

Grammar: RFC 23 (ZMTP 3.0) and RFC 37 (ZMTP 3.1). The reader offers a view to be filled (`target`) and learns
how many bytes came (`received`), so that the body of a large frame is written once, where it stays.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

GREETING_SIZE = 64
MAX_COMMAND = 8 * 1024  # RFC 37 sets no bound; a handshake needs a few hundred bytes
STAGING = 16 * 1024

# libzmq (4.3.5 and before) writes the command ERROR of PLAIN as the C string "\x5ERROR", in which the
# compiler reads the escape \x5E: a circumflex, and no length.
_LIBZMQ_ERROR = b"^RROR"

_MORE, _LONG, _COMMAND = 0x01, 0x02, 0x04


class Malformed(Exception):
    """The peer does not speak ZMTP 3, or broke a limit; the connection is unusable."""


@dataclass(frozen=True)
class Greeting:
    """The peer's greeting. major, minor: the version of ZMTP. mechanism: "NULL", "PLAIN", "CURVE" ...
    The as-server bit is left out: libzmq never sets it."""

    major: int
    minor: int
    mechanism: str


@dataclass(frozen=True)
class Command:
    """A command frame: its name (as bytes, such as b"READY") and its data."""

    name: bytes
    data: bytes


def greeting(mechanism: bytes) -> bytes:
    """The 64 bytes with which a client of `mechanism` begins (RFC 37, `greeting`)."""
    return b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + mechanism.ljust(20, b"\0") + bytes(32)


def command(name: bytes, data: bytes = b"") -> bytes:
    """A whole command frame."""
    body = bytes([len(name)]) + name + data
    return header(len(body), kind=_COMMAND) + body


def header(size: int, *, more: bool = False, kind: int = 0) -> bytes:
    """The bytes that precede a frame of `size` bytes."""
    flags = kind | (_MORE if more else 0)
    return struct.pack(">BB", flags, size) if size < 256 else struct.pack(">BQ", flags | _LONG, size)


class Reader:
    """Reads one connection. It holds at most one message more than `items`, for any input.

    max_frame: bytes of one frame. max_frames: frames of one message. items: the arrived items that nobody has
    taken yet, a `Greeting`, then `Command` objects and messages (lists of bytearrays). size: the bytes that
    items hold, approximately.
    """

    def __init__(self, *, max_frame: int, max_frames: int) -> None:
        self.items: deque[Greeting | Command | list[bytearray]] = deque()
        self.size = 0
        self._max_frame = max_frame
        self._max_frames = max_frames
        self._greeted = False
        self._staging = memoryview(bytearray(STAGING))
        self._filled = 0  # bytes of staging that are not parsed yet
        self._flags = 0
        self._body: bytearray | None = None  # of the frame that is being read
        self._have = 0
        self._parts: list[bytearray] = []  # of the message that is being read

    def target(self) -> memoryview:
        """Where the next bytes are to be written; never empty."""
        if self._body is not None and len(self._body) - self._have > STAGING:
            return memoryview(self._body)[self._have :]
        return self._staging[self._filled :]

    def received(self, n: int) -> None:
        """Parses the `n` bytes that were written to `target()`. Raises `Malformed`."""
        if self._body is not None and len(self._body) - self._have > STAGING:
            self._have += n
            if self._have == len(self._body):
                self._end_frame()
            return
        self._filled += n
        at = 0
        while (taken := self._take(self._staging[at : self._filled])) > 0:
            at += taken
        rest = self._filled - at
        self._staging[:rest] = bytes(self._staging[at : self._filled])
        self._filled = rest

    def pop(self) -> Greeting | Command | list[bytearray]:
        """Takes the first of `items`."""
        item = self.items.popleft()
        self.size -= _weight(item)
        return item

    def _take(self, data: memoryview) -> int:
        """Parses one piece of `data`; returns its number of bytes, 0 if there are too few."""
        if not self._greeted:
            return self._take_greeting(data)
        if self._body is None:
            return self._take_header(data)
        taken = min(len(data), len(self._body) - self._have)
        self._body[self._have : self._have + taken] = data[:taken]
        self._have += taken
        if self._have == len(self._body):
            self._end_frame()
        return taken

    def _take_greeting(self, data: memoryview) -> int:
        if (data and data[0] != 0xFF) or (len(data) > 9 and not data[9] & 1):
            raise Malformed("no ZMTP signature")
        if len(data) > 10 and data[10] < 3:
            raise Malformed("ZMTP before version 3")
        if len(data) < GREETING_SIZE:
            return 0
        mechanism = bytes(data[12:32]).rstrip(b"\0").decode("ascii", "replace")
        self._add(Greeting(data[10], data[11], mechanism))
        self._greeted = True
        return GREETING_SIZE

    def _take_header(self, data: memoryview) -> int:
        taken = 9 if data and data[0] & _LONG else 2
        if len(data) < taken:
            return 0
        flags = data[0]
        size = int.from_bytes(data[1:taken], "big")
        if flags & ~(_MORE | _LONG | _COMMAND) or (flags & _MORE and flags & _COMMAND):
            raise Malformed(f"frame flags 0x{flags:02x}")
        limit = MAX_COMMAND if flags & _COMMAND else self._max_frame
        if size > limit:
            raise Malformed(f"a frame of {size} bytes, more than {limit}")
        if len(self._parts) == self._max_frames and not flags & _COMMAND:
            raise Malformed(f"a message of more than {self._max_frames} frames")
        self._flags, self._body, self._have = flags, bytearray(size), 0
        if size == 0:
            self._end_frame()
        return taken

    def _end_frame(self) -> None:
        body, self._body = self._body, None
        assert body is not None
        if self._flags & _COMMAND:
            self._add(_command(bytes(body)))
            return
        self._parts.append(body)
        if not self._flags & _MORE:
            self._add(self._parts)
            self._parts = []

    def _add(self, item: Greeting | Command | list[bytearray]) -> None:
        self.items.append(item)
        self.size += _weight(item)


def _command(body: bytes) -> Command:
    if body.startswith(_LIBZMQ_ERROR):
        return Command(b"ERROR", body[len(_LIBZMQ_ERROR) :])
    if not body or 1 + body[0] > len(body):
        raise Malformed("a command without a name")
    end = 1 + body[0]
    return Command(body[1:end], body[end:])


def _weight(item: Greeting | Command | list[bytearray]) -> int:
    """Bytes with the overhead of Python's objects, so that a flood of empty frames counts too."""
    if isinstance(item, list):
        return sum(len(part) + 128 for part in item)
    return 128 + (len(item.data) if isinstance(item, Command) else 0)
