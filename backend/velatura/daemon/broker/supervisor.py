"""Keeps one worker process: starts it on demand, notices its death, starts it again, ends it."""

from __future__ import annotations

import json
import logging
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import zmq

from velatura.daemon.outgoing import Message, outgoing
from velatura.daemon.security import Gate
from velatura.daemon.settings import Settings
from velatura.daemon.sockets import WORKER, Door, arrived
from velatura.files.programs import program
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import BadMessage, decode

log = logging.getLogger(__name__)

MAX_FAILED_STARTS = 3
BACK_OFF_S = (0.0, 0.5, 2.0)
START_S = 180.0  # importing torch from a cold disk takes a while
STOP_S = 3.0
AT_A_TIME = 64


class Supervisor:
    """One worker, at most. Used by the desk's thread only, which also polls `router`."""

    def __init__(self, door: Door, gate: Gate, state_dir: Path, settings: Settings) -> None:
        self.router = door.router
        self._door = door
        self.ready: Message | None = None  # the worker's last `ready` message, while it lives
        self._gate = gate
        self._state_dir = state_dir
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._identity = b""
        self._started = 0.0
        self._stopping: float | None = None  # when to kill it, monotonic seconds
        self._failed_starts = 0
        self._not_before = 0.0

    @property
    def state(self) -> str:
        """stopped, starting or ready."""
        if self._process is None or self._stopping is not None:
            return "stopped"
        return "starting" if self.ready is None else "ready"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def want(self) -> None:
        """Starts the worker, unless it runs or a start has just failed. To be called repeatedly."""
        if self._process is None and time.monotonic() >= self._not_before:
            self._start()

    def send(self, message: Message) -> bool:
        """Sends to the ready worker. Returns False if the message is too large.

        If the worker has just died, `exited` reports that.
        """
        frames = outgoing(message)
        if frames is None:
            return False
        try:
            self.router.send_multipart([self._identity, *frames], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            log.warning("the worker cannot be reached: %s", error)
        return True

    def messages(self) -> Iterator[tuple[Message, memoryview | None]]:
        """The messages of the worker, with their payloads. Stores `ready` on the way."""
        for identity, frames in arrived(self.router, AT_A_TIME):
            try:
                message, payload = decode(frames)
            except BadMessage as error:  # perhaps the end of a job, which is lost when the worker ends
                log.error("the worker sent a bad message, and is ended: %s", error.detail)
                self.kill()
                return
            if self._process is None or message.get("pid") != self._process.pid:
                continue  # a late message of an earlier worker
            if message["type"] == "ready":
                self._identity, self.ready, self._failed_starts = identity, message, 0
                self._gate.allow(
                    WORKER, self._door.key(secrets.token_hex(32))
                )  # the token is good for one connection
                log.info("the worker (pid %d) is ready on %s", message["pid"], message["device"])
            yield message, payload

    def exited(self) -> bool:
        """True once for each worker that has ended, for any reason. Read its messages first."""
        if self._process is None:
            return False
        now = time.monotonic()
        starts_too_long = self.ready is None and now - self._started > START_S
        if starts_too_long or (self._stopping is not None and now > self._stopping):
            self.kill()
        if self._process.poll() is None:
            return False
        log.info("the worker (pid %d) ended with %s", self._process.pid, self._process.returncode)
        if self.ready is None and self._stopping is None:
            self._failed()
        _close_input(self._process)
        self._process = self.ready = self._stopping = None
        return True

    def given_up(self) -> VelaturaError | None:
        """An error, once after too many failed starts; else None. The next `want` tries again."""
        if self._failed_starts < MAX_FAILED_STARTS:
            return None
        self._failed_starts = 0
        return VelaturaError(
            "unavailable",
            "The part of Velatura that edits does not start; `velatura doctor` says more.",
            retryable=True,
            detail=self._last_output(),
        )

    def stop(self) -> None:
        """Asks the worker to end; `exited` kills it if it takes too long."""
        if self._process is not None and self._stopping is None:
            self._stopping = time.monotonic() + STOP_S
            _close_input(self._process)  # it ends at the end of its input, ready or not

    def kill(self) -> None:
        """Kills the worker; `exited` reports when it has ended."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Stops the worker and waits for it."""
        self.stop()
        if self._process is not None:
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self.router.close(linger=0)

    def _start(self) -> None:
        try:
            self._spawn()
        except OSError as error:  # no file handles, no memory for a process, no directory
            log.error("the worker cannot be started: %s", error)
            self._failed()

    def _failed(self) -> None:
        self._failed_starts += 1
        self._not_before = time.monotonic() + BACK_OFF_S[min(self._failed_starts, len(BACK_OFF_S) - 1)]

    def _spawn(self) -> None:
        token = secrets.token_hex(32)
        self._gate.allow(WORKER, self._door.key(token))
        with open(self._output_file(), "wb") as output:
            # spawned, never forked: a ZeroMQ context does not survive a fork
            process = self._process = subprocess.Popen(
                program("velatura.daemon.worker.main"),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
            )
        self._started, self.ready, self._stopping = time.monotonic(), None, None
        start = {
            "broker": os.getpid(),
            "endpoint": self._door.address,
            "token": token,
            "state_dir": str(self._state_dir),
            "device": self._settings.device,
            "placement": self._settings.placement,
            "attention": self._settings.attention,
        }
        assert process.stdin is not None  # it is a pipe
        try:
            process.stdin.write(json.dumps(start).encode() + b"\n")
        except OSError as error:
            log.warning("the worker died at once: %s", error)

    def _output_file(self) -> Path:
        return self._state_dir / "worker.out"

    def _last_output(self) -> str:
        try:
            return self._output_file().read_bytes()[-1500:].decode(errors="replace")
        except OSError as error:
            return str(error)


def _close_input(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
