"""Programs that sit where the daemon should be, let everybody in, and keep what they are told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from velatura_protocol.messages import MAX_PAYLOAD, decode, encode
from velatura_protocol.parser import Command, Malformed, Reader, command, greeting, header

Answer = Callable[[dict], list[dict]]


class Stranger:
    """Listens at `endpoint` ("tcp://127.0.0.1:0" or "ipc:///path"); `heard` is every byte that came.

    answer: what it says to a message, as messages.
    """

    def __init__(self, endpoint: str, answer: Answer = lambda message: []) -> None:
        self.heard = bytearray()
        self.messages: list[dict] = []
        self._answer = answer
        if endpoint.startswith("ipc://"):
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(endpoint[6:])
            self._listener.listen()
            self.endpoint = endpoint
        else:
            self._listener = socket.create_server(("127.0.0.1", int(endpoint.rpartition(":")[2])))
            self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._peers: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._peers:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                self._peers.append(peer)
                self._threads.append(threading.Thread(target=self._serve, args=(peer,)))
                self._threads[-1].start()

    def _serve(self, peer: socket.socket) -> None:
        reader = Reader(max_frame=MAX_PAYLOAD, max_frames=8)
        with peer, suppress(OSError, Malformed):
            peer.sendall(greeting(b"PLAIN"))
            while True:
                target = reader.target()
                if not (n := peer.recv_into(target)):
                    return
                self.heard += target[:n]
                reader.received(n)
                while reader.items:
                    item = reader.pop()
                    if isinstance(item, Command):
                        replies = {b"HELLO": b"WELCOME", b"INITIATE": b"READY"}
                        if item.name in replies:
                            peer.sendall(command(replies[item.name]))
                    elif isinstance(item, list):
                        self._say(peer, item)

    def _say(self, peer: socket.socket, frames: list) -> None:
        message, _ = decode(frames)
        self.messages.append(message)
        for answer in self._answer(message):
            (head,) = encode(answer)
            peer.sendall(header(len(head)) + head)
