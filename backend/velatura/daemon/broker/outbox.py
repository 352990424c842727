"""Sending to many clients without waiting for any of them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Hashable
from enum import Enum, auto

import zmq

from velatura.daemon.outgoing import Frames

log = logging.getLogger(__name__)

MiB = 1024 * 1024


class _Sent(Enum):
    YES = auto()
    FULL = auto()
    GONE = auto()


class Outbox:
    """Messages on their way out of one ROUTER, which must have ROUTER_MANDATORY set.

    Messages that the socket does not take at once wait in order, up to a limit for each client; a client over
    its limit is cut off. A message sent with a key replaces an unsent one of the same key: only the newest
    progress and preview matter. Every other message is delivered, or its client is cut off.
    """

    def __init__(self, socket: zmq.Socket[bytes], *, messages: int = 1024, size: int = 16 * MiB) -> None:
        self._socket = socket
        self._messages = messages
        self._size = size
        self._waiting: dict[bytes, dict[Hashable, Frames]] = {}
        self._number = itertools.count()

    @property
    def pending(self) -> bool:
        """Whether `flush` should be called again soon."""
        return bool(self._waiting)

    def waiting(self, identity: bytes) -> int:
        """How many messages wait for a client."""
        return len(self._waiting.get(identity, ()))

    def send(self, identity: bytes, frames: Frames, key: Hashable = None) -> bool:
        """Sends or queues a message. Returns False if the client has gone, or is cut off for not reading."""
        if identity not in self._waiting:
            sent = self._try(identity, frames)
            if sent is not _Sent.FULL:
                return sent is _Sent.YES
            self._waiting[identity] = {}
        queue = self._waiting[identity]
        queue[next(self._number) if key is None else key] = frames
        if len(queue) > self._messages or sum(map(_size, queue.values())) > self._size:
            self.drop(identity)
            return False
        return True

    def flush(self) -> None:
        """Sends the waiting messages that the socket takes now."""
        for identity in list(self._waiting):
            queue = self._waiting[identity]
            while queue:
                key = next(iter(queue))
                sent = self._try(identity, queue[key])
                if sent is _Sent.FULL:
                    break
                del queue[key]
                if sent is _Sent.GONE:
                    queue.clear()
            if not queue:
                self.drop(identity)

    def drop(self, identity: bytes) -> None:
        """Drops the messages that wait for a client."""
        self._waiting.pop(identity, None)

    def _try(self, identity: bytes, frames: Frames) -> _Sent:
        try:
            self._socket.send_multipart([identity, *frames], zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return _Sent.FULL
        except zmq.ContextTerminated:
            raise
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                log.error("a message cannot be sent, so its client is cut off: %s", error)
            return _Sent.GONE
        return _Sent.YES


def _size(frames: Frames) -> int:
    return sum(map(len, frames))
