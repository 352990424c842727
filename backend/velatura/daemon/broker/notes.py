"""The notes that the daemon's threads send each other."""

from __future__ import annotations

from dataclasses import dataclass

from velatura.daemon.outgoing import Message


@dataclass(frozen=True)
class Request:
    """control → desk: a request about jobs.

    Args:
        identity: the connection to answer.
        session: the client's.
        message: the request.
        minor: MINOR of the protocol's version that the client speaks.
    """

    identity: bytes
    session: str
    message: Message
    minor: int


@dataclass(frozen=True)
class Vanished:
    """control → desk: a client has been silent for three heartbeats, or its connection has ended."""

    session: str


@dataclass(frozen=True)
class Arrived:
    """blobs → desk: a blob is stored, and durable."""

    digest: str


@dataclass(frozen=True)
class Damaged:
    """blobs → desk: a client asked for a blob that is gone, or was damaged and is gone now."""

    digest: str


@dataclass(frozen=True)
class NoRoom:
    """blobs → desk: an upload was refused because the disk or the budget is full. size: bytes it needs."""

    size: int


@dataclass(frozen=True)
class Answer:
    """desk → control: the answer to a `Request`, its `re` included."""

    identity: bytes
    session: str
    message: Message


@dataclass(frozen=True)
class Event:
    """desk → control: for all clients that watch the job.

    Args:
        lossy: a newer event may replace this one while it is unsent.
        since: MINOR of the protocol's version from which clients know it; older ones do not get it.
    """

    job: str
    message: Message
    payload: bytes | None = None
    lossy: bool = False
    since: int = 0


@dataclass(frozen=True)
class Broadcast:
    """desk → control: an event for every client.

    since: MINOR of the protocol's version from which clients know it; older ones do not get it.
    """

    message: Message
    since: int


@dataclass(frozen=True)
class Stop:
    """desk → control, blobs: send the waiting messages, and end."""


ForDesk = Request | Vanished | Arrived | Damaged | NoRoom
ForControl = Answer | Event | Broadcast


class Status:
    """The fields of `pong`. The desk replaces `fields`; the socket threads read it."""

    def __init__(self, device: str) -> None:
        self.fields: Message = {"worker": "stopped", "jobs": 0, "models": [], "device": device}
