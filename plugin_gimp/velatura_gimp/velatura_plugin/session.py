"""The daemon: connects to it, or starts it where the installation has a command, and runs one job to its end.
Nothing here imports GIMP. Progress goes to a `Report`. GIMP's progress bar cancels by killing the plug-in:
the daemon notices the lost client and cancels the job, because its request has a lease.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from velatura_protocol import candidates, paths
from velatura_protocol.candidates import Candidate
from velatura_protocol.catalogue import Catalogue
from velatura_protocol.client import Client
from velatura_protocol.crops import to_send
from velatura_protocol.errors import VelaturaError
from velatura_protocol.launch import start_daemon
from velatura_protocol.messages import minor_version
from velatura_protocol.rasters import Pixels
from velatura_protocol.remaining import Remaining
from velatura_protocol.requests import Edit, blobs

from .formats import Rect

START_TIMEOUT = 60.0  # seconds; the first start after an installation reads from a cold disk
DRAFTS = 2  # the minor version of the protocol that brought them

#: Called with a preview's PNG and the image's rectangle that it shows, None where the daemon sends none.
OnPreview = Callable[[bytes, Rect | None], None]

#: Called with candidates and their thumbnails, JPEGs or b"".
OnCandidates = Callable[[list[tuple[Candidate, bytes]]], None]


class Captured(Protocol):
    """The pixels of a run, see `capture.Capture`."""

    @property
    def inputs(self) -> Mapping[str, Pixels | None]: ...

    @property
    def canvas(self) -> tuple[int, int]: ...


class Report(Protocol):
    """The receiver of progress."""

    def __call__(self, text: str, fraction: float | None = None) -> None:
        """text: the present work. fraction: 0 … 1; None where it is unknown."""


class Session:
    """A connection to the daemon. Use as a context manager; one thread.

    folder: the plug-in's, with `velatura.json`. name: of the host and its version.
    """

    def __init__(self, folder: Path, name: str, report: Report) -> None:
        config = paths.host_config(folder)
        self._serve = config.get("serve")
        self._state_dir = paths.state_dir(config.get("state_dir") or None)
        self._report = report
        self._client = Client(self._state_dir, name=name, restart=self._start)
        self._remaining = Remaining()
        self._thumbnails: dict[str, bytes] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def open(self) -> dict:
        """Connects, starting the daemon where none runs, and returns the daemon's answer to `methods`.

        Raises VelaturaError: `not-running` where there is none and no command to start one,
        `unavailable` where it did not start, and the errors of `Client.connect`.
        """
        try:
            self._client.connect()
        except VelaturaError as error:
            if error.code != "not-running":
                raise
            self._start()
            self._client.connect()
        return self.methods()

    def methods(self) -> dict:
        """The daemon's present answer to `methods`."""
        return self._client.methods()

    def vocabulary(self, model: str) -> list[str]:
        """The words that a model knows. Raises VelaturaError, also where no daemon runs: it starts none."""
        self._client.connect()
        return self._client.vocabulary(model)

    def _start(self) -> None:
        serve = self._serve
        if not (isinstance(serve, list) and serve and all(isinstance(word, str) for word in serve)):
            raise VelaturaError(
                "not-running", "Velatura's daemon is not running; start it with `velatura serve`."
            )
        self._report("Starting Velatura…")
        start_daemon(serve, self._state_dir, START_TIMEOUT)

    def need_drafts(self) -> None:
        """Raises `protocol-version` where the daemon is older than drafts, and would give layers."""
        if minor_version(self._client.welcome["protocol"]) < DRAFTS:
            raise VelaturaError(
                "protocol-version", "Velatura's daemon is too old for this; update and restart it."
            )

    def run(
        self,
        edit: Edit,
        captured: Captured,
        should_cancel: Callable[[], bool] | None = None,
        on_preview: OnPreview | None = None,
        *,
        draft: bool = False,
        identifier: str = "",
        on_candidates: OnCandidates | None = None,
    ) -> dict:
        """Submits a job and waits for its end; returns the job, which is done.

        Args:
            edit: to be run.
            captured: the pixels, of which the needed part is sent.
            should_cancel: once true, the job is cancelled.
            on_preview: called with each preview.
            draft: whether it asks for a draft.
            identifier: of the job; "": a new one.
            on_candidates: called with the variations as they finish, and with all of them at the job's end,
                also at that of a job that was cancelled.

        Raises the daemon's error, and the job's own error where it failed or was cancelled.
        """
        identifier = identifier or str(uuid.uuid4())
        self._remaining = Remaining()
        self._report("Sending the layer…", 0.0)
        inputs = to_send(Catalogue.from_wire(self.methods()), edit, captured.inputs)
        wire = edit.on(inputs, captured.canvas, lease=True, draft=draft).to_wire()
        self._client.submit(identifier, wire, blobs(inputs), on_bytes=self._sent, should_stop=should_cancel)
        self._report("Waiting for the daemon…")

        def on_event(event: dict, payload: object = None) -> None:
            if event.get("type") == "preview" and on_preview is not None and payload is not None:
                on_preview(bytes(payload), _rect(event.get("rect")))
            else:
                self._on_event(event)
            tell(event)

        def tell(message: dict) -> None:
            if on_candidates is not None and (found := candidates.of(message)):
                on_candidates([(one, self._thumbnail(one)) for one in found])

        job = self._client.wait(identifier, on_event=on_event, should_cancel=should_cancel)
        tell(job)
        if job.get("state") == "cancelled":
            raise VelaturaError("cancelled", "The edit was cancelled.")
        if job.get("state") != "done":
            raise VelaturaError.from_wire(job.get("error") or {})
        return job

    def _thumbnail(self, candidate: Candidate) -> bytes:
        """A candidate's JPEG; b"" where it has none, or it is gone."""
        thumbnail = candidate.thumbnail
        if thumbnail is None:
            return b""
        if thumbnail.digest not in self._thumbnails:
            try:
                data = self._client.fetch(thumbnail.digest, size=thumbnail.size)
            except VelaturaError:
                return b""
            self._thumbnails[thumbnail.digest] = bytes(data)
        return self._thumbnails[thumbnail.digest]

    def fetch(self, digest: str, job: str = "") -> bytearray:
        """A result's bytes. job: its job, which the daemon runs again where they are damaged."""
        return self._client.fetch(digest, job=job, on_bytes=self._received)

    def acknowledge(self, job: str) -> None:
        """Reports that the result of a job, by its id, is in the image. A daemon that is gone is no error,
        since the image has the result."""
        try:
            self._client.ack(job)
        except VelaturaError as error:
            if error.code not in ("not-running", "timeout", "unknown-job"):
                raise

    def _sent(self, sent: int, size: int) -> None:
        self._report("Sending the layer…", sent / max(1, size))

    def _received(self, received: int, size: int) -> None:
        self._report("Fetching the result…", received / max(1, size))

    def _on_event(self, event: dict) -> None:
        kind = event.get("type")
        if kind == "progress":
            text, fraction = event.get("stage"), event.get("fraction")
            done = float(fraction) if isinstance(fraction, (int, float)) else None
            stage = text if isinstance(text, str) and text else "Editing"
            left = self._remaining.heard(done)
            self._report(f"{stage} · {left}" if left else stage, done)
        elif kind == "job" and event.get("state") == "queued":
            self._report("Waiting for the daemon…")
        elif kind == "connection":
            lost = event.get("state") == "lost"
            self._report("Velatura's daemon does not answer; waiting for it…" if lost else "Going on…")


def _rect(value: object) -> Rect | None:
    """A rectangle of the image; None where it is none."""
    is_rect = isinstance(value, list) and len(value) == 4 and all(type(number) is int for number in value)
    return tuple(value) if is_rect and min(value[2:]) > 0 else None
