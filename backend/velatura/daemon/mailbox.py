"""How the daemon's threads speak to each other: a queue that a poll loop can wait for."""

from __future__ import annotations

import queue
import socket
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Any thread puts; one thread takes. `fileno()` is readable while there is something to take.

    (ZeroMQ's inproc sockets belong to one thread each, so every pair of threads would need its own. Any
    thread may send a byte on a socket pair.)
    """

    def __init__(self) -> None:
        self._items: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)

    def fileno(self) -> int:
        return self._bell.fileno()

    def put(self, item: T) -> None:
        self._items.put(item)
        with suppress(OSError):  # full: it already wakes the reader; closed: there is no reader
            self._rope.send(b"\0")

    def take(self) -> list[T]:
        """Everything that has arrived, oldest first."""
        with suppress(OSError):
            self._bell.recv(65536)
        items: list[T] = []
        with suppress(queue.Empty):
            while True:
                items.append(self._items.get_nowait())
        return items

    def close(self) -> None:
        self._bell.close()
        self._rope.close()
