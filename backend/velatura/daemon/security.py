"""Who may connect: ZeroMQ's PLAIN mechanism with one password for each socket, and a limit on connections.

The passwords are derived from a token (`velatura_protocol.endpoints`). THREATS.md says why that is sound.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import socket
import threading
from collections.abc import Mapping
from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message, recv_monitor_message

from velatura.daemon.mailbox import Mailbox
from velatura_protocol.endpoints import reachable
from velatura_protocol.errors import VelaturaError

USERNAME = "velatura"
END_S = 5.0
_ZAP = "inproc://zeromq.zap.01"  # RFC 27
_COMINGS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED

log = logging.getLogger(__name__)


class Gate(threading.Thread):
    """Answers libzmq's questions about passwords (ZAP, RFC 27), and counts connections.

    pyzmq has such a thread too, on asyncio. It answered a question more slowly than a stranger can connect
    and leave, and each waiting question costs libzmq 8 KB: the daemon grew without end. The context must have
    no socket timeouts.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], connections: int) -> None:
        """connections: limit for all guarded sockets together; a further connection is cut off at once."""
        super().__init__(name="gate", daemon=True)
        self._context = context
        self._most = connections
        self._passwords: dict[bytes, bytes] = {}
        self._monitors: list[zmq.Socket[bytes]] = []
        self._mailbox: Mailbox[None] = Mailbox()
        self._zap = context.socket(zmq.ROUTER)
        self._zap.linger = 0
        self._zap.bind(_ZAP)

    def allow(self, domain: str, password: str) -> None:
        """From now on `password`, and no other, opens the socket of `domain`."""
        self._passwords[domain.encode()] = password.encode()

    def guard(self, router: zmq.Socket[bytes], domain: str) -> None:
        """Makes a socket ask for the password of `domain`. Call it before the socket binds and `start`."""
        router.plain_server = True
        router.zap_domain = domain.encode()
        router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
        router.monitor(f"inproc://comings-{domain}", _COMINGS)
        monitor = self._context.socket(zmq.PAIR)
        monitor.rcvhwm = 1  # libzmq's own end keeps a thousand events
        monitor.connect(f"inproc://comings-{domain}")
        self._monitors.append(monitor)

    def test(self, endpoint: str, password: str) -> None:
        """Connects to an endpoint without a password, with a wrong one and with the right one.

        Raises `unavailable` if one of the first two succeeds, or the last fails. (In three of four settings,
        libzmq without an authenticator silently admits everybody.)
        """
        with reachable(endpoint) as name:
            for key, welcome in ((None, False), (password[::-1] + "x", False), (password, True)):
                if _knock(self._context, name, key) != welcome:
                    raise VelaturaError(
                        "unavailable",
                        "The daemon does not start: its check of who may connect has failed; report this.",
                        detail=f"{endpoint}: a caller {'with' if welcome else 'without'} the password",
                    )

    def close(self) -> bool:
        """Ends the thread, if it was started, and closes its sockets. Returns False if it does not end."""
        if self.is_alive():
            self._mailbox.put(None)
            self.join(END_S)
        if self.is_alive():
            return False
        for end in (self._zap, *self._monitors):
            end.close(linger=0)
        self._mailbox.close()
        return True

    def run(self) -> None:
        poller = zmq.Poller()
        for end in (self._mailbox.fileno(), self._zap, *self._monitors):
            poller.register(end, zmq.POLLIN)
        connected: set[int] = set()
        while self._mailbox.fileno() not in (ready := dict(poller.poll())):
            self._take(ready, connected)

    def _take(self, ready: Mapping[Any, int], connected: set[int]) -> None:
        """Answers all questions, then takes one event of each socket.

        libzmq accepts no connection while a thousand events wait. That bounds the open questions, and so
        their memory.
        """
        try:
            with contextlib.suppress(zmq.Again):
                while True:
                    self._answer(self._zap.recv_multipart(zmq.NOBLOCK))
            for monitor in self._monitors:
                if monitor in ready:
                    self._count(connected, parse_monitor_message(monitor.recv_multipart()))
        except Exception:  # if the thread ended, nobody could connect any more
            log.exception("in the gate")

    def _answer(self, frames: list[bytes]) -> None:
        """Answers one request.

        frames: routing id, empty, version, request id, domain, address, identity, mechanism, and with PLAIN
        user name and password.
        """
        head, (domain, _address, _identity, mechanism, *sent) = frames[:4], frames[4:]
        known = self._passwords.get(domain, b"")
        right = mechanism == b"PLAIN" and len(sent) == 2 and sent[0] == USERNAME.encode()
        right = right and known != b"" and hmac.compare_digest(sent[1], known)
        self._zap.send_multipart([*head, *((b"200", b"", b"", b"") if right else (b"400", b"No", b"", b""))])

    def _count(self, connected: set[int], event: Mapping[str, Any]) -> None:
        """Counts a connection. Existing ones stay; beyond the limit the newest is cut off."""
        handle = event["value"]
        if event["event"] != zmq.EVENT_ACCEPTED:
            connected.discard(handle)
        elif len(connected) < self._most:
            connected.add(handle)
        else:
            _cut(handle)


def _cut(handle: int) -> None:
    """Ends a connection of libzmq, which then closes the handle.

    libzmq may have closed the handle already. If another connection has it by now, that one came too late as
    well; anything else is no socket.
    """
    try:
        stream = socket.socket(fileno=handle)
    except OSError:
        return
    try:
        stream.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    finally:
        stream.detach()


def _knock(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, password: str | None) -> bool:
    """Whether the handshake succeeds."""
    handshake = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    handshake |= zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    with context.socket(zmq.DEALER) as caller:
        caller.linger = 0
        if password is not None:
            caller.plain_username, caller.plain_password = USERNAME.encode(), password.encode()
        monitor = caller.get_monitor_socket(handshake)
        try:
            caller.connect(endpoint)
            if not monitor.poll(5000):
                return False
            return recv_monitor_message(monitor)["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED
        finally:
            caller.disable_monitor()
            monitor.close(linger=0)
