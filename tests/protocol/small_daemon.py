"""A daemon that speaks SPEC.md over real sockets and does no work, so that a test may choose its mischief."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from velatura_protocol.endpoints import proof
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import PROTOCOL, decode, digest, encode, error_answer
from velatura_protocol.paths import Connection, write_connection

from .peers import TOKEN, Router

SILENT = {"type": "nothing"}
Script = Callable[[dict, Any], Any]


class SmallDaemon:
    """`kill` ends it at once and `start` brings it back; what it has stored stays, as on a disk.

    script: by message type, called with message and payload before the daemon's own handling: returns the
    answer (`SILENT`: none), or None to let the daemon go on; may raise a VelaturaError to be answered.
    heard: every message that came, pings and all.
    """

    def __init__(self, folder: Path, *, heartbeat: float = 5.0, chunk: int = 1000, credit: int = 4) -> None:
        self.folder = folder
        self.blobs: dict[str, bytes] = {}
        self.partial: dict[str, bytearray] = {}
        self.jobs: dict[str, dict] = {}
        self.requests: dict[str, dict] = {}
        self.heard: list[dict] = []
        self.script: dict[str, Script] = {}
        self.starts = 0
        self.protocol = PROTOCOL
        self._heartbeat, self._limits = heartbeat, {"chunk": chunk, "credit": credit}
        self._clients: set[bytes] = set()
        self._restarts: list[threading.Thread] = []
        self.start()

    def __enter__(self) -> SmallDaemon:
        return self

    def __exit__(self, *exc: object) -> None:
        for thread in self._restarts:
            thread.join()
        if self._control:
            self.kill()

    def start(self) -> None:
        self.starts += 1
        self._clients = set()
        self._control, self._blob = Router(self._on_control), Router(self._on_blob)
        write_connection(
            self.folder,
            Connection(
                wire=self.protocol,
                control=self._control.endpoint,
                blob=self._blob.endpoint,
                token=TOKEN,
                pid=os.getpid(),
                instance=f"instance {self.starts}",
                version="0",
            ),
        )

    def kill(self) -> None:
        self._control.close()
        self._blob.close()
        self._control = self._blob = None

    def restart_soon(self) -> None:
        """Kill and start, from another thread: scripts run in the threads that `kill` waits for."""
        self._restarts.append(threading.Thread(target=lambda: (self.kill(), self.start())))
        self._restarts[-1].start()

    def push(self, event: dict, payload: bytes | None = None) -> None:
        """Sends an event to every client."""
        for client in self._clients:
            self._control.say([client, *encode(event, payload)])

    def count(self, kind: str) -> int:
        return sum(message["type"] == kind for message in self.heard)

    def _on_control(self, router: zmq.Socket, frames: list) -> None:
        identity = bytes(frames[0])
        message, _ = decode(frames[1:])
        if message["type"] not in ("hello", "challenge") and identity not in self._clients:
            refusal = error_answer(VelaturaError("no-session", "Say hello."), message["seq"])
            router.send_multipart([identity, *encode(refusal)])
            return
        self._reply(router, identity, message, None, self._control)
        if message["type"] == "hello":
            self._clients.add(identity)

    def _on_blob(self, router: zmq.Socket, frames: list) -> None:
        message, payload = decode(frames[1:])
        self._reply(router, bytes(frames[0]), message, payload, self._blob)

    def _reply(
        self, router: zmq.Socket, identity: bytes, message: dict, payload: Any, heard_at: Router
    ) -> None:
        self.heard.append(message)
        kind, body = message["type"], None
        try:
            answer = self.script[kind](message, payload) if kind in self.script else None
            if answer is None and kind == "challenge":
                answer = {"type": "proof", "proof": proof(TOKEN, heard_at.endpoint, message["nonce"])}
            if answer is None:
                answer = getattr(self, f"_{kind}")(message, payload)
            if isinstance(answer, tuple):
                answer, body = answer
        except VelaturaError as error:
            answer = error_answer(error, None)
        if answer is not SILENT:
            router.send_multipart([identity, *encode({**answer, "re": message["seq"]}, body)])

    def _hello(self, message: dict, _: Any) -> dict:
        return {
            "type": "welcome",
            "protocol": self.protocol,
            "session": f"session {self.starts}",
            "instance": f"instance {self.starts}",
            "heartbeat": self._heartbeat,
            "limits": self._limits,
        }

    def _ping(self, *_: Any) -> dict:
        return {"type": "pong"}

    def _methods(self, *_: Any) -> dict:
        return {"type": "methods", "methods": [], "models": []}

    def _shutdown(self, *_: Any) -> dict:
        return {"type": "ok"}

    def _submit(self, message: dict, _: Any) -> dict:
        self.requests[message["job"]] = message["request"]
        return self._state(message["job"])

    def _get(self, message: dict, _: Any) -> dict:
        if message["job"] not in self.requests:
            raise VelaturaError("unknown-job", "No such job.")
        return self._state(message["job"])

    def _cancel(self, message: dict, _: Any) -> dict:
        self.jobs[message["job"]] = {"state": "cancelled"}
        return self._state(message["job"])

    def _watch(self, message: dict, _: Any) -> dict:
        return {"type": "jobs", "jobs": [self._state(job) for job in message["jobs"] if job in self.requests]}

    def _state(self, job: str) -> dict:
        wanted = [raster["digest"] for raster in self.requests[job]["inputs"].values()]
        missing = [name for name in wanted if name not in self.blobs]
        state = {"state": "uploading" if missing else "queued", **self.jobs.get(job, {})}
        return {"type": "job", "job": job, "missing": missing, **state}

    def _put(self, message: dict, _: Any) -> dict:
        name = message["digest"]
        done = self.blobs.get(name, self.partial.setdefault(name, bytearray()))
        return {"type": "ready", "offset": len(done)}

    def _chunk(self, message: dict, payload: Any) -> dict:
        name = message["digest"]
        size = next(put["size"] for put in self.heard if put["type"] == "put" and put["digest"] == name)
        data = self.partial[name]
        if message["offset"] == len(data):
            data += payload
        if len(data) < size:
            return {"type": "received", "offset": len(data)}
        if digest(data) != name:
            self.partial[name] = bytearray()
            raise VelaturaError("blob-corrupt", "Those are other bytes.")
        self.blobs[name] = bytes(data)
        return {"type": "received", "offset": size, "stored": True}

    def _fetch(self, message: dict, _: Any) -> Any:
        data = self.blobs.get(message["digest"])
        if data is None:
            raise VelaturaError("unknown-blob", "No such blob.")
        at = message["offset"]
        answer = {"type": "data", "offset": at, "size": len(data)}
        return answer, data[at : at + message["length"]]
