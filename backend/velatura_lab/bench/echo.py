"""Measures the cost of a socket and ZeroMQ alone: the same pieces of bytes, to a bare ROUTER and back."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.connection import Connection

import zmq


@contextmanager
def echo_server(endpoint: str) -> Generator[str]:
    """A process that binds "ipc:///path" or "tcp://127.0.0.1:*" and echoes messages; yields its endpoint."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(endpoint, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def echo(endpoint: str, data: memoryview, chunk: int, credit: int) -> float:
    """Seconds for `data` there and back, with at most `credit` pieces of `chunk` bytes under way."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(endpoint)
        dealer.send(b"")  # the connection is made before the clock starts
        dealer.recv()
        began = time.perf_counter()
        back = bytearray(data.nbytes)  # memory of its own, as in a client
        sent = received = 0
        while received < data.nbytes:
            while sent < data.nbytes and sent - received < credit * chunk:
                dealer.send(data[sent : sent + chunk], copy=False)
                sent += chunk
            piece = dealer.recv(copy=False).buffer
            back[received : received + piece.nbytes] = piece
            received += piece.nbytes
        return time.perf_counter() - began


def _serve(endpoint: str, pipe: Connection) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind(endpoint)
        pipe.send(router.getsockopt_string(zmq.LAST_ENDPOINT))
        while True:
            router.send_multipart(router.recv_multipart(copy=False), copy=False)
