"""What the daemon's threads tell each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """control → desk: a client asks something that concerns jobs. identity: of the connection to answer.
    minor: of the version of the protocol that the client speaks."""

    identity: bytes
    session: str
    message: dict
    minor: int


@dataclass(frozen=True)
class Vanished:
    """control → desk: a client has been silent for three heartbeats."""

    session: str


@dataclass(frozen=True)
class Arrived:
    """blobs → desk: a blob is stored, and durable."""

    digest: str


@dataclass(frozen=True)
class NoRoom:
    """blobs → desk: an upload was refused for want of room. size: bytes that it needs."""

    size: int


@dataclass(frozen=True)
class Answer:
    """desk → control: the answer to a `Request`, its `re` included."""

    identity: bytes
    session: str
    message: dict


@dataclass(frozen=True)
class Event:
    """desk → control: for all who watch the job. lossy: an unsent one may be replaced by a newer one."""

    job: str
    message: dict
    payload: bytes | None = None
    lossy: bool = False


@dataclass(frozen=True)
class Stop:
    """desk → control, blobs: send what is waiting, and end."""


class Status:
    """What `pong` says. The desk replaces `fields`, the socket threads read it."""

    def __init__(self, device: str) -> None:
        self.fields: dict = {"worker": "stopped", "jobs": 0, "models": [], "device": device}
