"""The client of plugins and the command line: jobs, events and pixels over a connection that restores itself.

One thread owns a `Client`. Heartbeats, reconnection and events happen only while one of its methods runs, so
an idle owner calls `events` over and over.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from .errors import VelaturaError
from .messages import Bytes, Message
from .reading import as_list
from .session import POLL, Link, Lost, OnEvent, Payload, ShouldStop, check_stop
from .transfers import Download, OnBytes, upload
from .upkeep import FINAL, PATIENCE, Upkeep

_LOOK = 0.25  # seconds between two questions about a job that runs again
_UPLOAD_ROUNDS = 5  # times that a daemon may ask for the blobs of one job


class Client(Upkeep):
    """A client of the daemon, with the `connect`, `events`, `request` and `close` of `Upkeep`."""

    def methods(self) -> Message:
        """The daemon's methods and models (SPEC section 4, `methods`)."""
        return self.request({"type": "methods"})

    def vocabulary(self, model: str = "") -> list[str]:
        """The words that a model knows, the most frequent first; [] from a daemon before 1.8.

        model: its id; empty: the daemon's default. Raises `unknown-model`.
        """
        try:
            answer = self.request({"type": "vocabulary", "model": model})
        except VelaturaError as error:
            if error.code == "unknown-message":
                return []
            raise
        return [word for word in as_list(answer.get("words")) or () if isinstance(word, str)]

    def get(self, job: str) -> Message:
        """The state of a job. Raises `unknown-job`."""
        return self.request({"type": "get", "job": job})

    def ack(self, job: str) -> Message:
        """Reports that the job's result has been inserted. Raises `unknown-job`."""
        return self.request({"type": "ack", "job": job})

    def cancel(self, job: str) -> Message:
        """Cancels a job. Raises `unknown-job`."""
        return self.request({"type": "cancel", "job": job})

    def watch(self, jobs: Iterable[str]) -> list[Message]:
        """The states of the jobs that the daemon knows; it sends their events from now on."""
        states = self._persist(lambda link: self._watch(link, list(jobs), 30.0), None)
        self._watched.update({state["job"]: None for state in states if state["state"] not in FINAL})
        return states

    def submit(
        self,
        job: str,
        request: Mapping[str, object],
        blobs: Mapping[str, Bytes],
        *,
        on_bytes: OnBytes | None = None,
        should_stop: ShouldStop | None = None,
    ) -> Message:
        """Submits a job, uploads the blobs that the daemon lacks, returns the job and watches it.

        It survives the daemon's death.

        Args:
            job: a UUID that the caller has stored.
            request: SPEC section 5.
            blobs: bytes by digest.
            on_bytes: called with the sum over all blobs that have to be sent.
            should_stop: asked between two messages.

        Raises the daemon's refusals, `not-running` after a minute without a daemon, `cancelled` once
        `should_stop()` is true (the job stays as it is: cancel it, or submit it again).
        """
        sending = _Sending(blobs, on_bytes)

        def attempt(link: Link) -> Message:
            message: Message = {"type": "submit", "job": job, "request": request}
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
        job: str = "",
        on_bytes: OnBytes | None = None,
        should_stop: ShouldStop | None = None,
    ) -> bytearray:
        """A blob, checked against its digest. It survives the daemon's death.

        Args:
            digest: the blob's name.
            size: its number of bytes where it is known; then it is checked too.
            job: the job whose result it is. If it is damaged on the disk, the daemon runs the job again, and
                this waits for it.
            on_bytes: called as bytes arrive.
            should_stop: asked between two messages.

        Raises `unknown-blob`, `blob-corrupt`, `not-running`, `cancelled`.
        """
        for is_last in (not job, True):
            download = Download(digest, size)
            try:
                return self._persist(
                    partial(download.run, on_bytes=on_bytes, should_stop=should_stop), should_stop
                )
            except VelaturaError as error:
                if is_last or error.code not in ("unknown-blob", "blob-corrupt"):
                    raise
                self._await(job, should_stop)
        raise AssertionError("the last one returns or raises")

    def _await(self, job: str, should_stop: ShouldStop | None) -> None:
        """Waits for the end of a job that runs again. Raises its error where it has failed, `cancelled`."""
        while (state := self.get(job)).get("state") not in FINAL:
            check_stop(should_stop)
            self._tend(_LOOK)
        if state.get("state") == "failed":
            raise VelaturaError.from_wire(state.get("error"))

    def wait(
        self,
        job: str,
        *,
        on_event: OnEvent | None = None,
        should_cancel: ShouldStop | None = None,
        timeout: float | None = None,
    ) -> Message:
        """The job once it is done, failed or cancelled. It survives the daemon's death.

        Args:
            job: its id.
            on_event: called with the events of the job and of the connection.
            should_cancel: once it is true, the job is cancelled; its end is still waited for.
            timeout: seconds; None: no limit.

        Raises `unknown-job`, `timeout`, `not-running` after a minute without a daemon.
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
        for event, payload in self._take_events(job):  # the job had ended before the call
            if on_event is not None and event["type"] != "job":
                on_event(event, payload)
        return state

    def _cancel(self, job: str) -> bool:
        """Sends `cancel` once; returns whether the daemon has answered."""
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

    def _take_events(self, job: str) -> list[tuple[Message, Payload]]:
        keys = [key for key in self._events if key[1] == job or key[0] == "connection"]
        return [self._events.pop(key) for key in keys]


class _Sending:
    """The progress of all uploads of one submission, also across connections."""

    def __init__(self, blobs: Mapping[str, Bytes], on_bytes: OnBytes | None) -> None:
        self._blobs = blobs
        self._on_bytes = on_bytes
        self._all = self._before = 0

    def missing(self, state: Message) -> Iterator[tuple[str, memoryview]]:
        """The blobs to upload. Raises `unknown-blob` if the daemon asks for one that is not here."""
        digests = as_list(state.get("missing")) or []
        known = [digest for digest in digests if isinstance(digest, str) and digest in self._blobs]
        if len(known) < len(digests):
            raise VelaturaError(
                "unknown-blob", "The daemon asks for pixels that are no longer here; run the edit again."
            )
        views = {digest: memoryview(self._blobs[digest]) for digest in known}
        left = sum(view.nbytes for view in views.values())
        self._all = max(self._all, left)
        for digest, view in views.items():
            self._before = self._all - left
            left -= view.nbytes
            yield digest, view

    def report(self, done: int, _size: int) -> None:
        """The daemon has `done` bytes of the present blob."""
        if self._on_bytes is not None:
            self._on_bytes(self._before + done, self._all)
