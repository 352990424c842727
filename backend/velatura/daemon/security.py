"""Who may speak: ZeroMQ's PLAIN mechanism, one token for each domain, tested before anyone is let in.

PLAIN sends the token in the clear, which is sound on loopback only: who can listen there can read the
connection file too.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterable

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import recv_monitor_message

from velatura_protocol.errors import VelaturaError

USERNAME = "velatura"
CLIENTS = "clients"
WORKER = "worker"

log = logging.getLogger(__name__)


class Gate:
    """The ZAP authenticator of one context. There must be no socket timeouts on the context: they kill it."""

    def __init__(self, context: zmq.Context) -> None:
        if sys.platform == "win32":  # the default event loop there cannot wait for ZeroMQ sockets
            asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
        quiet = logging.getLogger("velatura.zap")
        quiet.setLevel(logging.WARNING)  # at DEBUG it would log passwords
        self._context = context
        self._zap = ThreadAuthenticator(context, log=quiet)
        self._zap.start()

    def allow(self, domain: str, token: str) -> None:
        """From now on `token`, and no other, opens the sockets of `domain`."""
        self._zap.configure_plain(domain=domain, passwords={USERNAME: token})

    def guard(self, socket: zmq.Socket, domain: str) -> None:
        """Makes a socket ask for the token of `domain`. To be called before it binds."""
        socket.plain_server = True
        socket.zap_domain = domain.encode()
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def self_test(self, endpoints: Iterable[str], token: str) -> None:
        """Knocks at each endpoint with no token, a wrong one and the right one.

        Raises `unavailable` if one of the first two is let in, or the last is not. (An authenticator that
        is not there lets everybody in, silently, in three of four settings.)
        """
        for endpoint in endpoints:
            for password, welcome in ((None, False), (token[::-1] + "x", False), (token, True)):
                if _knock(self._context, endpoint, password) != welcome:
                    raise VelaturaError(
                        "unavailable",
                        "The daemon does not start: its check of who may connect has failed; report this.",
                        detail=f"{endpoint}: a caller {'with' if welcome else 'without'} the token",
                    )

    def is_alive(self) -> bool:
        """Whether it still answers; else nobody could connect any more."""
        return self._zap.is_alive()

    def close(self) -> None:
        if self._zap.pipe and not self._zap.is_alive():  # `stop` would wait for ever to be heard
            self._zap.pipe.close(linger=0)
            self._zap.pipe = None
        self._zap.stop()


def _knock(context: zmq.Context, endpoint: str, password: str | None) -> bool:
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
