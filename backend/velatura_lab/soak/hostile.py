"""What a program does at the daemon's sockets that has no token and wants to do harm. Standard library only.

    python hostile.py ENDPOINT KIND NUMBER

KIND: "knock" (a greeting and a wrong password, and away without a wait, NUMBER times) or "crowd" (NUMBER
connections that say nothing, until standard input ends).
"""

from __future__ import annotations

import socket
import struct
import sys
from contextlib import suppress

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"PLAIN".ljust(20, b"\0") + bytes(32)
NAMES = b"\x05HELLO\x08velatura\x40" + b"y" * 64
HELLO = b"\x04" + bytes([len(NAMES)]) + NAMES


def connect(endpoint: str) -> socket.socket:
    if endpoint.startswith("ipc://"):
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(endpoint[6:])
        return caller
    host, _, port = endpoint[6:].rpartition(":")
    return socket.create_connection((host, int(port)))


def knock(endpoint: str, number: int) -> None:
    for _ in range(number):
        with suppress(OSError), connect(endpoint) as caller:
            caller.sendall(GREETING + HELLO)
            if caller.family == socket.AF_INET:  # a reset, and no farewell
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def crowd(endpoint: str, number: int) -> None:
    callers = []
    for _ in range(number):
        with suppress(OSError):
            callers.append(connect(endpoint))
    print("here", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    {"knock": knock, "crowd": crowd}[sys.argv[2]](sys.argv[1], int(sys.argv[3]))
