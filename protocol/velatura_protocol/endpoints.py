"""The endpoints of the daemon's sockets, the peer behind them, and the proofs of both sides (SPEC 1)."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import os
import re
import socket
import struct
import sys
import tempfile
from collections.abc import Generator

from .errors import VelaturaError

IPC, TCP = "ipc://", "tcp://"
MAX_SUN_PATH = 100  # bytes of a Unix socket's path: 104 with the final zero on macOS, 108 on Linux

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z")
_NONCE = re.compile(r"[0-9a-f]{32,128}\Z")


def check_endpoint(endpoint: object) -> str:
    """An endpoint as the connection file has it.

    Raises ValueError if it could lead off this machine or, for a Unix socket, out of the state directory.
    """
    if isinstance(endpoint, str) and endpoint.startswith(IPC) and _NAME.match(endpoint[len(IPC) :]):
        return endpoint
    if isinstance(endpoint, str) and endpoint.startswith(TCP):
        host, _, port = endpoint[len(TCP) :].rpartition(":")
        is_port = re.match(r"[1-9][0-9]{0,4}\Z", port) and int(port) < 65536
        if is_port and ipaddress.IPv4Address(host).is_loopback:
            return endpoint
    raise ValueError(f"{endpoint!r:.80} is no endpoint on this machine")


def resolve(endpoint: str, folder: str | os.PathLike[str]) -> str:
    """The endpoint of a connection file that lies in `folder`, as it can be connected to."""
    return IPC + os.path.join(folder, endpoint[len(IPC) :]) if endpoint.startswith(IPC) else endpoint


@contextlib.contextmanager
def reachable(endpoint: str) -> Generator[str]:
    """`endpoint`, or another name for it that fits into a socket's address and lasts as long as the block.

    A Unix socket's path may have about a hundred bytes. A longer one is reached through a symbolic link in a
    new directory that is this user's alone. Raises OSError.
    """
    path = endpoint[len(IPC) :]
    if not endpoint.startswith(IPC) or len(os.fsencode(path)) <= MAX_SUN_PATH:
        yield endpoint
        return
    folder, name = os.path.split(path)
    roomy = len(os.fsencode(tempfile.gettempdir())) < 50
    made = tempfile.mkdtemp(prefix="velatura-", dir=None if roomy else "/tmp")
    link = os.path.join(made, "s")
    try:
        os.symlink(folder, link)
        yield IPC + os.path.join(link, name)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(link)
        with contextlib.suppress(OSError):
            os.rmdir(made)


def open_stream(endpoint: str, timeout: float) -> socket.socket:
    """A connected socket. Raises OSError if nothing answers, `not-running` if another user does."""
    if endpoint.startswith(TCP):
        host, _, port = endpoint[len(TCP) :].rpartition(":")
        stream = socket.create_connection((host, int(port)), timeout)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream
    if not hasattr(socket, "AF_UNIX"):
        raise OSError("this Python has no Unix sockets")
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        stream.settimeout(timeout)
        with reachable(endpoint) as name:
            stream.connect(name[len(IPC) :])
        check_peer(stream)
    except BaseException:
        stream.close()
        raise
    return stream


def check_peer(stream: socket.socket) -> None:
    """Raises `not-running` if the system says that another user's process is at the other end."""
    uid = peer_uid(stream)
    if uid is not None and uid != os.geteuid():
        raise stranger(f"user {uid} answers")


def peer_uid(stream: socket.socket) -> int | None:
    """The id of the user whose process is at the other end of a Unix socket; None where this system does not
    tell, and for a socket of another family or without another end."""
    if hasattr(socket, "SO_PEERCRED"):  # Linux: struct ucred, with -1 for no process
        uid = struct.unpack("3i", stream.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        return None if uid == -1 else uid
    if sys.platform == "darwin":  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred begins with version and user
        return struct.unpack_from("2I", stream.getsockopt(0, 1, 76))[1]
    return None


def password(token: str, endpoint: str) -> str:
    """The password that a client shows in the handshake, before it knows its peer. It does not reveal the
    token, and is of use at this socket of this daemon only."""
    return _mac(token, f"client {_address(endpoint)}")


def proof(token: str, endpoint: str, nonce: object) -> str:
    """The daemon's answer to a challenge.

    It is bound to the socket, so that a relay from another address is detected: the daemon signs its own
    address, and the client compares its own.

    Raises `bad-request` if the nonce is not 32 to 128 hexadecimal digits.
    """
    if not isinstance(nonce, str) or not _NONCE.match(nonce):
        raise VelaturaError("bad-request", "The challenge is malformed; update Velatura on both sides.")
    return _mac(token, f"daemon {_address(endpoint)} {nonce}")


def _address(endpoint: str) -> str:
    """A Unix socket's name, or host and port: equal on both sides, also where they know the directory by
    different paths."""
    return endpoint.rpartition("/")[2]


def _mac(token: str, message: str) -> str:
    return hmac.new(token.encode(), f"velatura {message}".encode(), "sha256").hexdigest()


def stranger(detail: str) -> VelaturaError:
    """The error for a peer that is not the daemon."""
    return VelaturaError(
        "not-running",
        "Another program answers where Velatura's daemon should be; start the daemon again.",
        retryable=True,
        detail=detail,
    )
