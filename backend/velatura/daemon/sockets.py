"""How the daemon's ROUTERs are made, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator

import zmq

from velatura.daemon.security import Gate

LOOPBACK = "127.0.0.1"
MAX_FRAME = 1024 * 1024  # SPEC section 2: the payload; libzmq ends a connection that sends a longer frame
HEARTBEAT_MS = 5_000
DEAD_MS = 30_000


def bind_router(context: zmq.Context, gate: Gate, domain: str, *, waiting: int) -> zmq.Socket:
    """A ROUTER on a loopback port that the system chooses. waiting: messages kept by libzmq for each peer."""
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # else what a slow peer cannot take vanishes silently
    router.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
    router.setsockopt(zmq.SNDHWM, waiting)
    router.setsockopt(zmq.RCVHWM, waiting)
    router.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    router.setsockopt(zmq.HEARTBEAT_TIMEOUT, DEAD_MS)
    gate.guard(router, domain)
    router.bind(f"tcp://{LOOPBACK}:*")
    return router


def endpoint(router: zmq.Socket) -> str:
    return router.getsockopt_string(zmq.LAST_ENDPOINT)


def port(router: zmq.Socket) -> int:
    return int(endpoint(router).rpartition(":")[2])


def arrived(router: zmq.Socket, limit: int) -> Iterator[tuple[bytes, list[memoryview]]]:
    """At most `limit` messages that are there: the peer's identity, and the frames, not copied."""
    for _ in range(limit):
        try:
            identity, *frames = router.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return
        yield identity.bytes, [frame.buffer for frame in frames]
