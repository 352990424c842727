"""Peers for the tests: libzmq's ROUTER with PLAIN and ZAP, and raw sockets that misbehave."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import zmq
from zmq.auth.thread import ThreadAuthenticator

from tests.patience import patience
from velatura_protocol.endpoints import password

TOKEN = "the-token"

Answer = Callable[[zmq.Socket, list[bytes]], None]


def echo(router: zmq.Socket, frames: list) -> None:
    """Sends everything back."""
    router.send_multipart(frames, copy=False)


class Router:
    """A libzmq ROUTER in a thread, with PLAIN and an authenticator that knows `TOKEN`.

    answer(router, frames) is called for each message, identity first. setup(router) may set options. What
    other threads want to send goes through `say`.
    """

    def __init__(
        self,
        answer: Answer = echo,
        *,
        endpoint: str = "tcp://127.0.0.1:*",
        setup: Callable = lambda router: None,
    ) -> None:
        self._context = zmq.Context()
        self._auth = ThreadAuthenticator(self._context)
        self._auth.start()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.linger = 0
        self._router.plain_server = True
        setup(self._router)
        self._router.bind(endpoint)
        self.endpoint = self._router.last_endpoint.decode()
        self.answers_at(self.endpoint)
        self._answer = answer
        self._said: queue.SimpleQueue[list] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._router.poll(20):
                self._answer(self._router, self._router.recv_multipart(copy=False))
            while not self._said.empty():
                self._router.send_multipart(self._said.get())

    def answers_at(self, endpoint: str) -> None:
        """Lets those in who were told that it is to be found there."""
        self._auth.configure_plain("*", {"velatura": password(TOKEN, endpoint)})

    @property
    def port(self) -> int:
        return int(self.endpoint.rpartition(":")[2])

    def say(self, frames: list) -> None:
        """Sends a message, identity first."""
        self._said.put(frames)

    def __enter__(self) -> Router:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends at once, as a killed process does."""
        self._stop.set()
        self._thread.join()
        self._router.close()
        self._auth.stop()
        self._context.term()


def until_it_hangs_up(peer: socket.socket) -> None:
    """Read without an answer until the other side closes its connection."""
    while peer.recv(1 << 16):
        pass


@contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server that hands its one connection to `serve` in a thread; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(patience(5.0))

    def run() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, suppress(OSError):  # the client hangs up, as it should
            serve(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join()


@contextmanager
def dripping(port: int) -> Iterator[int]:
    """A proxy to `port` that passes on one byte at a time, in both directions; yields its own port."""

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                for i in range(len(data)):
                    target.sendall(data[i : i + 1])
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with socket.create_connection(("127.0.0.1", port)) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=pump, args=(server, client))
            back.start()
            pump(client, server)
            back.join()

    with raw_server(serve) as proxy:
        yield proxy
