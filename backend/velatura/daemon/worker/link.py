"""The worker's connection to the broker: a thread, so that a cancel arrives while torch computes."""

from __future__ import annotations

import logging
import os
import queue
import threading

import zmq

from velatura.daemon.mailbox import Mailbox
from velatura.daemon.outgoing import Frames, Message, outgoing
from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura_protocol.messages import decode

log = logging.getLogger(__name__)

CONNECT_S = 30.0


class Link(threading.Thread):
    """Owns the connection.

    Attributes:
        tasks: the `run` messages that have arrived.
    """

    def __init__(self, endpoint: str, token: str) -> None:
        """Connects, once: a broker that has gone does not come back."""
        super().__init__(name="link", daemon=True)
        self._dealer = PyzmqDealer()
        self._dealer.connect(endpoint, token, CONNECT_S)
        self.tasks: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._mailbox: Mailbox[Frames | None] = Mailbox()
        self._cancelled: set[str] = set()

    def send(self, message: Message, payload: bytes | None = None) -> None:
        """Sends to the broker, in order. Any thread may call it."""
        self._mailbox.put(outgoing({**message, "pid": os.getpid()}, payload))

    def is_cancelled(self, job: str) -> bool:
        return job in self._cancelled

    def run(self) -> None:
        try:
            self._serve()
        except Exception:
            log.exception("the line to the broker has failed; the worker ends")
            logging.shutdown()
        os._exit(1)  # without its line it would hold its job for ever; the broker starts another worker

    def _serve(self) -> None:
        dealer = self._dealer.socket
        poller = zmq.Poller()
        poller.register(dealer, zmq.POLLIN)
        poller.register(self._mailbox.fileno(), zmq.POLLIN)
        while True:
            poller.poll()
            for frames in filter(None, self._mailbox.take()):
                dealer.send_multipart(frames)
            while dealer.poll(0):
                self._hear(decode(dealer.recv_multipart())[0])

    def _hear(self, message: Message) -> None:
        if message["type"] == "cancel":
            self._cancelled.add(message["job"])
        elif message["type"] == "run":
            self._cancelled.clear()  # of earlier jobs: one runs at a time
            self.tasks.put(message)
