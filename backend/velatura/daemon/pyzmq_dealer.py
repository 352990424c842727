"""The client's side of the wire through libzmq: the same interface as `velatura_protocol.zmtp.Dealer`."""

from __future__ import annotations

import time
from collections.abc import Sequence

import zmq
from zmq.utils.monitor import recv_monitor_message

from velatura.daemon.security import USERNAME
from velatura_protocol.errors import VelaturaError
from velatura_protocol.zmtp import lost

_ENDS = {
    zmq.EVENT_DISCONNECTED,
    zmq.EVENT_CLOSED,
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
}
_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED
for _event in _ENDS:
    _EVENTS |= _event


class PyzmqDealer:
    """One connection over TCP with PLAIN; one thread owns it.

    It does not reconnect by itself: libzmq would do so silently, and lose messages silently.
    """

    def __init__(self) -> None:
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._monitor = self._socket.get_monitor_socket(_EVENTS)
        self._lost = False

    def connect(self, host: str, port: int, token: str, timeout: float) -> None:
        """Raises `not-running` if nobody listens, `wrong-token` if the token is refused, `timeout`."""
        password = token.encode()
        if not 0 < len(password) < 256:  # libzmq takes no other
            self.close()
            raise _wrong_token()
        self._socket.plain_username, self._socket.plain_password = USERNAME.encode(), password
        self._socket.connect(f"tcp://{host}:{port}")
        event = self._next_event(timeout)
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            return
        self.close()
        if event is None:
            raise VelaturaError("timeout", "Velatura's daemon does not answer; restart it.", retryable=True)
        if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            raise _wrong_token()
        raise VelaturaError("not-running", "Velatura's daemon is not running; start it.", retryable=True)

    def send(self, frames: Sequence, timeout: float = 10.0) -> None:
        """Raises `not-running` once the connection is lost, `timeout` if the peer does not take it."""
        if not self._wait(zmq.POLLOUT, timeout):
            raise VelaturaError("timeout", "Velatura's daemon does not answer; restart it.", retryable=True)
        self._socket.send_multipart(frames, zmq.NOBLOCK, copy=False)

    def recv(self, timeout: float) -> list | None:
        """The frames of the next message, or None after `timeout` seconds (0: only what is there).

        Raises `not-running` once the connection is lost and all that came before has been received.
        """
        if not self._wait(zmq.POLLIN, timeout):
            return None
        return [frame.buffer for frame in self._socket.recv_multipart(copy=False)]

    def fileno(self) -> int:
        """For a host's own loop: readable when `recv(0)` may have something; -1 when closed."""
        return -1 if self._socket.closed else self._socket.fileno()

    def close(self) -> None:
        if not self._socket.closed:
            self._socket.disable_monitor()
            self._monitor.close(linger=0)
            self._socket.close(linger=0)

    def _wait(self, event: int, timeout: float) -> bool:
        """Whether the socket can be read or written within `timeout` seconds."""
        if self._socket.closed:
            raise lost("closed here")
        if self._socket.poll(0, event):
            return True
        poller = zmq.Poller()
        poller.register(self._socket, event)
        if not self._lost:
            poller.register(self._monitor, zmq.POLLIN)
            self._lost = self._monitor in dict(poller.poll(max(0, timeout) * 1000))
        if self._socket.poll(0, event):
            return True
        if self._lost:
            raise lost("the daemon closed the connection")
        return False

    def _next_event(self, timeout: float) -> int | None:
        deadline = time.monotonic() + timeout
        while self._monitor.poll(max(0.0, deadline - time.monotonic()) * 1000):
            event = recv_monitor_message(self._monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED or event in _ENDS:
                return event
        return None


def _wrong_token() -> VelaturaError:
    return VelaturaError("wrong-token", "The daemon refused the password; start the daemon again.")
