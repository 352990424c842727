"""A client with no manners: sends whatever it is told to, and shows what comes back."""

from __future__ import annotations

import itertools
import json
import time

import zmq

from tests.patience import patience
from velatura_protocol.endpoints import password
from velatura_protocol.messages import digest
from velatura_protocol.paths import Connection

MiB = 1024 * 1024


class Raw:
    """A control and a blob connection, after hello unless told otherwise."""

    def __init__(self, connection: Connection, *, hello: bool = True, token: str | None = None) -> None:
        self._numbers = itertools.count(1)
        self._context = zmq.Context()
        self.events: list[tuple[dict, bytes | None]] = []
        self._said = time.monotonic()
        self.control, self.blob = (
            self._dealer(endpoint, connection.token if token is None else token)
            for endpoint in (connection.control_endpoint(), connection.blob_endpoint())
        )
        self.session = ""
        if hello:
            welcome = self.ask({"type": "hello", "protocol": "1.0", "client": "test", "session": ""})
            self.session = welcome["session"]

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._context.destroy(linger=0)

    def ask(self, message: dict, timeout: float = 10.0) -> dict:
        """A round trip on the control socket; events met on the way are kept."""
        seq = self.say(message)
        return self.answer(seq, timeout)

    def ask_blob(self, message: dict, payload: bytes | None = None) -> tuple[dict, bytes | None]:
        seq = next(self._numbers)
        whole = {"session": self.session, **message, "seq": seq}
        frames = [json.dumps(whole).encode()]
        self.blob.send_multipart(frames if payload is None else [*frames, payload])
        while True:
            answer, data = self.receive(self.blob)
            if answer.get("re") == seq:
                return answer, data

    def say(self, message: dict) -> int:
        seq, self._said = next(self._numbers), time.monotonic()
        self.control.send(json.dumps({**message, "seq": seq}).encode())
        return seq

    def answer(self, seq: int, timeout: float = 10.0) -> dict:
        while True:
            answer, payload = self.receive(self.control, timeout)
            if answer.get("re") == seq:
                return answer
            self.events.append((answer, payload))

    def receive(self, socket: zmq.Socket, timeout: float = 10.0) -> tuple[dict, bytes | None]:
        assert socket.poll(patience(timeout) * 1000), "no answer"
        frames = socket.recv_multipart()
        return json.loads(frames[0]), frames[1] if len(frames) > 1 else None

    def upload(self, data: bytes) -> dict:
        """One chunk after another; the last answer."""
        name = digest(data)
        answer, _ = self.ask_blob({"type": "put", "digest": name, "size": len(data)})
        while answer["type"] != "error" and answer["offset"] < len(data):
            offset = answer["offset"]
            message = {"type": "chunk", "digest": name, "offset": offset}
            answer, _ = self.ask_blob(message, data[offset : offset + MiB])
        return answer

    def listen(self) -> None:
        """Keep the next event, if one comes soon; ping where nothing has been said for long.

        A client that says nothing for three heartbeats has vanished, and is told nothing more; a slow machine
        needs longer than that to start a worker.
        """
        if self.control.poll(100):
            self.events.append(self.receive(self.control))
        if time.monotonic() - self._said > 2.0:
            self.ask({"type": "ping"})

    def wait_for(self, job: str, *states: str, timeout: float = 60.0) -> dict:
        """The job's event with one of the states."""
        deadline = time.monotonic() + patience(timeout)
        while True:
            for event, _ in self.events:
                if event["type"] == "job" and event["job"] == job and event["state"] in states:
                    return event
            assert time.monotonic() < deadline, f"{job} does not become {states}"
            self.listen()

    def _dealer(self, endpoint: str, token: str) -> zmq.Socket:
        dealer = self._context.socket(zmq.DEALER)
        dealer.linger = 0
        dealer.plain_username, dealer.plain_password = b"velatura", password(token, endpoint).encode()
        dealer.connect(endpoint)
        return dealer
