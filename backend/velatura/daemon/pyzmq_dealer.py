"""The client's side of the wire through libzmq: the same interface as `velatura_protocol.zmtp.Dealer`."""

from __future__ import annotations

import functools
import operator
import socket
import time
from collections.abc import Sequence

import zmq
from zmq.utils.monitor import recv_monitor_message

from velatura.daemon.security import USERNAME
from velatura_protocol.endpoints import IPC, check_peer, password, reachable
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Bytes
from velatura_protocol.zmtp import lost

_ENDS = {
    zmq.EVENT_DISCONNECTED,
    zmq.EVENT_CLOSED,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
}
_EVENTS = functools.reduce(operator.or_, _ENDS, zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_CONNECTED)


class PyzmqDealer:
    """One connection with PLAIN; one thread owns it.

    It does not reconnect by itself: libzmq would do so silently, and lose messages silently.

    Attributes:
        socket: libzmq's.
    """

    def __init__(self) -> None:
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._monitor = self.socket.get_monitor_socket(_EVENTS)
        self._lost = False

    def connect(self, endpoint: str, token: str, timeout: float) -> None:
        """Connects and shakes hands, once. That proves only whose process the peer is, and only at ipc.

        Args:
            endpoint: "ipc:///path" or "tcp://127.0.0.1:port".
            token: of the connection file.
            timeout: in seconds.

        Raises:
            VelaturaError: `not-running` if no process listens, or another user's does; `wrong-token` if the
                token is refused; `timeout`.
        """
        self.socket.plain_username = USERNAME.encode()
        self.socket.plain_password = password(token, endpoint).encode()
        try:
            with reachable(endpoint) as name:
                self.socket.connect(name)
                event = self._next_event(timeout, check=endpoint.startswith(IPC))
        except (OSError, VelaturaError) as error:
            self.close()
            if isinstance(error, VelaturaError):
                raise
            raise _not_running(str(error)) from None
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            return
        self.close()
        if event is None:
            raise VelaturaError("timeout", "Velatura's daemon does not answer; restart it.", retryable=True)
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            raise VelaturaError("wrong-token", "The daemon refused the password; start the daemon again.")
        raise _not_running(f"event {event}")

    def send(self, frames: Sequence[Bytes], timeout: float = 10.0) -> None:
        """Raises `not-running` once the connection is lost, `timeout` if the peer does not take it."""
        if not self._wait(zmq.POLLOUT, timeout):
            raise VelaturaError("timeout", "Velatura's daemon does not answer; restart it.", retryable=True)
        self.socket.send_multipart(frames, zmq.NOBLOCK, copy=False)

    def recv(self, timeout: float) -> list[memoryview] | None:
        """The frames of the next message, or None after `timeout` seconds (0: only a message that is there).

        Raises `not-running` once the connection is lost and every earlier message has been received.
        """
        if not self._wait(zmq.POLLIN, timeout):
            return None
        return [frame.buffer for frame in self.socket.recv_multipart(copy=False)]

    def fileno(self) -> int:
        """For a host's own loop: readable when `recv(0)` may return a message; -1 when closed."""
        return -1 if self.socket.closed else self.socket.fileno()

    def close(self) -> None:
        if not self.socket.closed:
            self.socket.disable_monitor()
            self._monitor.close(linger=0)
            self.socket.close(linger=0)

    def _wait(self, event: int, timeout: float) -> bool:
        """Whether the socket can be read or written within `timeout` seconds."""
        if self.socket.closed:
            raise lost("closed here")
        if self.socket.poll(0, event):
            return True
        poller = zmq.Poller()
        poller.register(self.socket, event)
        if not self._lost:
            poller.register(self._monitor, zmq.POLLIN)
            self._lost = self._monitor in dict(poller.poll(int(max(0.0, timeout) * 1000)))
        if self.socket.poll(0, event):
            return True
        if self._lost:
            raise lost("the daemon closed the connection")
        return False

    def _next_event(self, timeout: float, *, check: bool) -> int | None:
        """The event that ends the handshake, or None after `timeout` seconds.

        check: whether to verify that the peer of the Unix socket is a process of this user.
        """
        deadline = time.monotonic() + timeout
        while self._monitor.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            message = recv_monitor_message(self._monitor)
            event = message["event"]
            if event == zmq.EVENT_CONNECTED and check:
                _check_peer(message["value"])
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED or event in _ENDS:
                return event
        return None


def _check_peer(handle: int) -> None:
    """Raises `not-running` if another user's process is at the other end.

    A failed handshake closes the handle, also while this function reads it, and another file may then have
    its number. That says nothing of the peer: the handshake's own event, which follows, tells the reason.

    handle: of libzmq's own socket.
    """
    try:
        stream = socket.socket(fileno=handle)
    except OSError:
        return
    try:
        check_peer(stream)
    except OSError:
        return
    finally:
        stream.detach()


def _not_running(detail: str) -> VelaturaError:
    return VelaturaError(
        "not-running", "Velatura's daemon is not running; start it.", retryable=True, detail=detail
    )
