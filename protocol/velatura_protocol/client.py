"""What plugins and the command line use: jobs, events and pixels over a connection that mends itself.

One thread owns a `Client`. Nothing happens between its calls: heartbeats, re-connection and events are tended
to while one of its methods runs, so an idle owner calls `events` over and over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .errors import VelaturaError
from .session import POLL, Link, Lost, Payload
from .transfers import Download, OnBytes, ShouldStop, upload
from .upkeep import FINAL, PATIENCE, Upkeep

_UPLOAD_ROUNDS = 5  # times that a daemon may ask for a blob of one job again


class Client(Upkeep):
    """A client of the daemon: `connect`, `events`, `request` and `close` of `Upkeep`, and these."""

    def methods(self) -> dict:
        """What the daemon offers (SPEC section 4, `methods`)."""
        return self.request({"type": "methods"})

    def get(self, job: str) -> dict:
        """A job as it stands. Raises `unknown-job`."""
        return self.request({"type": "get", "job": job})

    def ack(self, job: str) -> dict:
        """Tells that the job's result has been inserted. Raises `unknown-job`."""
        return self.request({"type": "ack", "job": job})

    def cancel(self, job: str) -> dict:
        """Cancels a job. Raises `unknown-job`."""
        return self.request({"type": "cancel", "job": job})

    def watch(self, jobs: Iterable[str]) -> list[dict]:
        """The states of the jobs that the daemon knows; from now on also their events."""
        states = self._persist(lambda link: self._watch(link, list(jobs), 30.0), None)
        self._watched.update({state["job"]: None for state in states if state["state"] not in FINAL})
        return states

    def submit(
        self,
        job: str,
        request: dict,
        blobs: Mapping[str, Any],
        *,
        on_bytes: OnBytes | None = None,
        should_stop: ShouldStop | None = None,
    ) -> dict:
        """Submits a job, uploads what the daemon lacks, returns the job; watches it from then on.

        job: a UUID that the caller has noted. blobs: bytes by digest. on_bytes(sent, all): of everything that
        had to be sent. Survives the daemon's death. Raises the daemon's refusals, `not-running` after a
        minute without a daemon, `cancelled` once `should_stop()` is true (the job is left as it is: cancel
        it, or submit again).
        """

        sending = _Sending(blobs, on_bytes)

        def attempt(link: Link) -> dict:
            message = {"type": "submit", "job": job, "request": request}
            state = self._ask(link, message, 30.0, should_stop)
            for _ in range(_UPLOAD_ROUNDS):
                if state.get("state") != "uploading":
                    break
                for digest, data in sending.missing(state):
                    upload(link, digest, data, on_bytes=sending.report, should_stop=should_stop)
                state = self._ask(link, {"type": "get", "job": job}, 30.0, should_stop)
            if state.get("state") not in FINAL:
                self._watched[job] = None
            return state

        return self._persist(attempt, should_stop)

    def fetch(
        self,
        digest: str,
        *,
        size: int | None = None,
        on_bytes: OnBytes | None = None,
        should_stop: ShouldStop | None = None,
    ) -> bytearray:
        """A blob, checked against its digest (and its size, where known). Survives the daemon's death.

        on_bytes(received, size). Raises `unknown-blob`, `blob-corrupt`, `not-running`, `cancelled`.
        """
        download = Download(digest, size)
        return self._persist(
            lambda link: download.run(link, on_bytes=on_bytes, should_stop=should_stop), should_stop
        )

    def wait(
        self,
        job: str,
        *,
        on_event: Callable[[dict, Payload], None] | None = None,
        should_cancel: ShouldStop | None = None,
        timeout: float | None = None,
    ) -> dict:
        """The job once it is done, failed or cancelled. Survives the daemon's death.

        on_event(event, payload): the job's events and the connection's. should_cancel: once true, the job is
        cancelled and waited for. Raises `unknown-job`, `timeout`, `not-running` after a minute without a
        daemon.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        state = next(iter(self.watch([job])), None)
        if state is None:
            raise VelaturaError("unknown-job", "Velatura's daemon does not know this job; run it again.")
        asked, last_seen = False, time.monotonic()
        while state.get("state") not in FINAL:
            now = time.monotonic()
            if deadline is not None and now > deadline:
                raise VelaturaError("timeout", "The edit is not done yet; wait longer.", retryable=True)
            if self._link:
                last_seen = now
            elif now - last_seen > PATIENCE and self._why:
                raise self._why
            if not asked and should_cancel is not None and should_cancel():
                asked = self._cancel(job)
            self._tend(POLL)
            for event, payload in self._take_events(job):
                if event["type"] == "job":
                    state = event
                if on_event is not None:
                    on_event(event, payload)
        for event, payload in self._take_events(job):  # it had ended before it was waited for
            if on_event is not None and event["type"] != "job":
                on_event(event, payload)
        return state

    def _cancel(self, job: str) -> bool:
        """Whether the daemon has been told."""
        if self._link is None:
            return False
        try:
            state = self._ask(self._link, {"type": "cancel", "job": job}, 10.0)
        except Lost as error:
            self._lose(error)
            return False
        except VelaturaError as error:
            if error.code == "timeout":
                return False
            raise
        self._on_event(state, None)
        return True

    def _take_events(self, job: str) -> list[tuple[dict, Payload]]:
        keys = [key for key in self._events if key[1] == job or key[0] == "connection"]
        return [self._events.pop(key) for key in keys]


class _Sending:
    """How far all uploads of one submission have come together, also across connections."""

    def __init__(self, blobs: Mapping[str, Any], on_bytes: OnBytes | None) -> None:
        self._blobs = blobs
        self._on_bytes = on_bytes
        self._all = self._before = 0

    def missing(self, state: dict) -> Iterator[tuple[str, memoryview]]:
        """What is to be uploaded. Raises `unknown-blob` if the daemon wants what is not here."""
        digests = state.get("missing")
        digests = digests if isinstance(digests, list) else []
        if not all(isinstance(digest, str) and digest in self._blobs for digest in digests):
            raise VelaturaError(
                "unknown-blob", "The daemon asks for pixels that are no longer here; run the edit again."
            )
        views = {digest: memoryview(self._blobs[digest]) for digest in digests}
        left = sum(view.nbytes for view in views.values())
        self._all = max(self._all, left)
        for digest, view in views.items():
            self._before = self._all - left
            left -= view.nbytes
            yield digest, view

    def report(self, done: int, _size: int) -> None:
        """Of the blob under way, `done` bytes are there."""
        if self._on_bytes is not None:
            self._on_bytes(self._before + done, self._all)
