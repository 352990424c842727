"""The daemon's ROUTERs: making them, their addresses, and reading them."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zmq

from velatura.daemon.security import Gate
from velatura_protocol.endpoints import IPC, TCP, password, proof, reachable, resolve
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import CONNECTION_FILE

LOOPBACK = "127.0.0.1"
CONTROL, BLOB, WORKER = DOMAINS = "control", "blob", "worker"
MAX_FRAME = 1024 * 1024  # SPEC section 2: the payload; libzmq ends a connection that sends a longer frame
HEARTBEAT_MS = 5_000
DEAD_MS = 30_000
HANDSHAKE_MS = 10_000  # for a peer that connects and does not finish the handshake

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Door:
    """A ROUTER that listens.

    Args:
        router: the socket.
        domain: one of `DOMAINS`.
        endpoint: as in the connection file.
        folder: the state directory.
        file: device and inode of a Unix socket; None for TCP.
    """

    router: zmq.Socket[bytes]
    domain: str
    endpoint: str
    folder: Path
    file: tuple[int, int] | None

    @property
    def address(self) -> str:
        """The endpoint with the full path of a Unix socket."""
        return resolve(self.endpoint, self.folder)

    def key(self, token: str) -> str:
        """The password that `token` gives at this address."""
        return password(token, self.address)

    def prove(self, token: str, nonce: object) -> str:
        """The answer to a client's challenge."""
        return proof(token, self.address, nonce)

    def remove(self) -> None:
        """Unlinks the Unix socket, unless another one lies at its path by now."""
        if self.file is not None:
            path = self.folder / socket_file(self.domain)
            with contextlib.suppress(OSError):
                if _identity(path) == self.file:
                    path.unlink()


def clear(folder: Path) -> None:
    """Removes the files that a killed daemon left in its state directory. The caller holds the daemon's lock.

    Raises `unavailable` if one of these files cannot be removed, or a folder lies in its place.
    """
    for name in (CONNECTION_FILE, *map(socket_file, DOMAINS)):
        path = folder / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            what = "is a folder" if path.is_dir() else "cannot be replaced"
            raise VelaturaError(
                "unavailable",
                f"{path} {what}; remove it and start the daemon again.",
                detail=str(error),
            ) from None


def choose_transport(folder: Path, wanted: str) -> str:
    """Either "ipc" or "tcp"; wanted: one of these, or "auto". Raises `unavailable` if "ipc" does not work."""
    if wanted == "tcp":
        return wanted
    why = "this Python has none"
    if os.name == "posix" and hasattr(socket, "AF_UNIX") and zmq.has("ipc"):
        try:
            _try_unix_socket(folder)
            return "ipc"
        except OSError as error:  # such as a file system that knows no sockets
            why = str(error)
    if wanted == "ipc":
        raise VelaturaError(
            "unavailable",
            f"Unix sockets do not work in {folder}; choose another directory, or "
            f'set transport = "tcp" in {folder / "settings.toml"}.',
            detail=why,
        )
    log.info("there are no Unix sockets in %s (%s): loopback TCP is used", folder, why)
    return "tcp"


def _try_unix_socket(folder: Path) -> None:
    path = folder / socket_file("try")
    path.unlink(missing_ok=True)
    try:
        with socket.socket(socket.AF_UNIX) as tried, reachable(IPC + str(path)) as name:
            tried.bind(name[len(IPC) :])
    finally:
        path.unlink(missing_ok=True)


def open_door(
    context: zmq.Context[zmq.Socket[bytes]],
    gate: Gate,
    domain: str,
    folder: Path,
    transport: str,
    *,
    waiting: int,
) -> Door:
    """A ROUTER that listens at a Unix socket in `folder`, or at a loopback port that the system chooses.

    No peer is admitted before `gate.allow`.

    Args:
        context: of the socket.
        gate: checks passwords.
        domain: one of `DOMAINS`.
        folder: the state directory.
        transport: "ipc" or "tcp".
        waiting: messages that libzmq keeps for each peer.

    Raises:
        zmq.ZMQError: the socket cannot listen.
    """
    router = context.socket(zmq.ROUTER)
    router.linger = 0
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # else messages for a slow peer vanish silently
    router.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
    router.setsockopt(zmq.SNDHWM, waiting)
    router.setsockopt(zmq.RCVHWM, waiting)
    router.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    router.setsockopt(zmq.HEARTBEAT_TIMEOUT, DEAD_MS)
    router.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    gate.guard(router, domain)
    if transport == "tcp":
        router.bind(f"{TCP}{LOOPBACK}:*")
        return Door(router, domain, router.getsockopt_string(zmq.LAST_ENDPOINT), folder, None)
    with contextlib.suppress(zmq.ZMQError):  # where the system does not tell whose process connects
        router.setsockopt(zmq.IPC_FILTER_UID, os.geteuid())
    path = folder / socket_file(domain)
    before = os.umask(0o177)  # only its owner may use the socket, from the first moment
    try:
        with reachable(IPC + str(path)) as endpoint:
            router.bind(endpoint)
    finally:
        os.umask(before)
    return Door(router, domain, IPC + path.name, folder, _identity(path))


def socket_file(domain: str) -> str:
    return f"{domain}.sock"


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


def arrived(router: zmq.Socket[bytes], limit: int) -> Iterator[tuple[bytes, list[memoryview]]]:
    """At most `limit` waiting messages: the peer's identity, and the frames, not copied."""
    for _ in range(limit):
        try:
            identity, *frames = router.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return
        yield identity.bytes, [frame.buffer for frame in frames]
