"""The only thread that talks to the daemon. It uses no Qt: commands arrive in a queue, news leave by a
callable.

News are `emit(name, data)`, called in this thread:

| name | data |
|---|---|
| `daemon` | `{"state": a `state.Daemon`, "text": one sentence, "detail", "protocol": once connected}` |
| `methods` | `{"known": Catalogue}`: the daemon's methods and models |
| `job` | a job object of the protocol |
| `known` | `{"entry": Entry, "job": a job object}`: how a job of the journal stands |
| `progress` | the daemon's event |
| `preview` | `{"job", "png": bytes, "rect": the document's pixels it shows, or None}` |
| `sent`, `received` | `{"job", "fraction"}` |
| `fetched` | `{"job", "blobs": [bytearray of each layer]}` |
| `candidate` | the daemon's event |
| `thumbnail` | `{"job", "digest", "jpeg": bytes, empty where it could not be fetched}` |
| `vocabulary`| `{"model", "words": [the most frequent first]}` |
| `pixels`    | `{"job", "digest", "data": bytes of a candidate, empty where they could not be fetched}` |
| `failed` | `{"job", "error": VelaturaError}`: it could not be submitted or fetched |
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .edges import FAULT
from .journal import Entry, Journal
from .velatura_protocol.catalogue import Catalogue
from .velatura_protocol.client import Client
from .velatura_protocol.crops import to_send
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.launch import start_daemon
from .velatura_protocol.prompt_history import PromptHistory
from .velatura_protocol.rasters import Pixels
from .velatura_protocol.requests import Edit, Request, blobs

log = logging.getLogger("velatura.krita.network")

LISTEN = 0.05  #: seconds of listening to the daemon between two looks at the commands
START = 60.0  #: seconds that a daemon may take to start
LOST = "The daemon no longer has this edit; run it again."
NOT_INSTALLED = "This plugin does not know where Velatura is; run `velatura install krita` again."

Inputs = Mapping[str, Pixels | None]  #: pixels by the raster's name


class Network(threading.Thread):
    """Owns the protocol's client.  Its public methods may be called from any thread and return at once."""

    def __init__(
        self, state_dir: Path, serve: list[str], name: str, emit: Callable[[str, Any], None]
    ) -> None:
        """serve: the command that starts the daemon. name: this host's name in the daemon's log."""
        super().__init__(name="velatura-network", daemon=True)
        self.state_dir, self._serve, self._emit = state_dir, serve, emit
        self._journal = Journal(state_dir)
        self._client = Client(state_dir, name=name, restart=self._start)
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._unwanted: set[str] = set()  #: jobs to be cancelled; an upload looks here
        self._inserted: set[str] = set()  #: inserted jobs, still to be acknowledged to the daemon
        self._dropped: set[str] = set()  #: jobs without a result, still to be removed from the journal
        self._closing = threading.Event()
        self._was_connected = False
        self._known = Catalogue()

    # Commands

    def submit(self, entry: Entry, edit: Edit, inputs: Inputs, canvas: Sequence[int]) -> None:
        """Submits this edit of these pixels; see `Edit.on`."""
        self._commands.put(lambda: self._submit(entry, edit, inputs, canvas))

    def draft(self, job: str, edit: Edit, inputs: Inputs, canvas: Sequence[int]) -> None:
        """As `submit`, for a draft, which is not in the journal."""
        self._commands.put(lambda: self._draft(job, edit, inputs, canvas))

    def cancel(self, job: str) -> None:
        self._unwanted.add(job)
        self._commands.put(lambda: self._cancel(job))

    def fetch(self, job: str, digests: list[str]) -> None:
        self._commands.put(lambda: self._fetch(job, digests))

    def thumbnail(self, job: str, digest: str, size: int) -> None:
        """Fetches the small picture of a candidate."""
        self._commands.put(lambda: self._thumbnail(job, digest, size))

    def pixels(self, job: str, digest: str, size: int) -> None:
        """Fetches the pixels of a candidate; size: its bytes."""
        self._commands.put(lambda: self._pixels(job, digest, size))

    def vocabulary(self, model: str) -> None:
        """Asks for the words that a model knows."""
        self._commands.put(lambda: self._vocabulary(model))

    def forget_job(self, job: str, inserted: bool) -> None:
        """Acknowledges the job where its result is inserted, and removes it from the journal."""
        (self._inserted if inserted else self._dropped).add(job)
        self._commands.put(self._tidy)

    def start_daemon(self) -> None:
        self._commands.put(self._start_daemon)

    def close(self, timeout: float = 1.0) -> None:
        """Ask the thread to end and wait `timeout` seconds at most."""
        self._closing.set()
        if self.is_alive():
            self.join(timeout)

    # In the thread

    def run(self) -> None:
        while not self._closing.is_set():
            self._turn()
        for job in list(self._inserted):  # even if the daemon is away: the next start must not offer it again
            with contextlib.suppress(OSError):
                self._journal.remove(job)
        self._tidy()
        self._client.close()

    def _turn(self) -> None:
        try:
            while not (self._closing.is_set() or self._commands.empty()):
                self._commands.get()()  # nobody else takes from the queue
            for event, payload in self._client.events(LISTEN):
                self._hear(event, payload)
        except Exception as error:
            log.exception("in the network thread")
            self._emit("daemon", {"state": "refused", "text": FAULT, "detail": repr(error)})
            self._client.close()  # its next connection tells all anew
            self._closing.wait(1.0)

    def _hear(self, event: dict, payload: Any) -> None:
        kind = event["type"]
        if kind == "connection":
            if event["state"] == "restored":
                self._welcome()
            else:
                self._lost(VelaturaError.from_wire(event.get("error", {})))
        elif kind == "preview":
            self._emit("preview", {"job": event["job"], "png": bytes(payload or b""), "rect": rect_of(event)})
        elif kind in ("job", "progress", "candidate"):
            self._emit(kind, event)
        elif kind == "offer":
            self._ask_methods()

    def _ask_methods(self) -> None:
        """After the daemon's list has changed, for example because an edit has kept a slider."""
        try:
            self._learn()
        except VelaturaError as error:
            log.info("methods: %s", error)  # the next connection asks anew

    def _learn(self) -> None:
        self._known = Catalogue.from_wire(self._client.methods())
        self._emit("methods", {"known": self._known})

    def _welcome(self) -> None:
        """After a connection, perhaps to a new daemon: asks for its methods and the states of our jobs."""
        if not self._client.connected:
            return  # lost again meanwhile; that is the next event
        try:
            pong = self._client.request({"type": "ping"})
            self._learn()
            entries = {entry.job: entry for entry in self._journal.entries()}
            for state in self._client.watch(list(entries)) if entries else []:
                self._emit("known", {"entry": entries.pop(state["job"]), "job": state})
        except VelaturaError as error:
            self._lost(error)
            self._client.close()  # the next connection is asked again
            self._closing.wait(1.0)
            return
        for job in entries:  # the daemon does not know them, so there is nothing to wait for
            self._journal.remove(job)
            self._emit("failed", {"job": job, "error": VelaturaError("unknown-job", LOST)})
        self._was_connected = True
        detail = (
            f"Velatura {self._client.welcome.get('version', '')} on {pong.get('device') or 'this computer'}"
        )
        protocol = str(self._client.welcome.get("protocol", ""))
        self._emit("daemon", {"state": "connected", "text": "Ready", "detail": detail, "protocol": protocol})
        self._tidy()
        for job in list(self._unwanted):
            self._cancel(job)

    def _lost(self, error: VelaturaError) -> None:
        state, text = "refused", error.message
        if error.code in ("not-running", "timeout"):
            state = "lost" if self._was_connected else "absent"
            text = "The daemon has stopped" if self._was_connected else "The daemon is not running"
        log.info("no daemon: %s (%s)", error.message, error.detail)
        self._emit("daemon", {"state": state, "text": text, "detail": error.hint})

    def _submit(self, entry: Entry, edit: Edit, inputs: Inputs, canvas: Sequence[int]) -> None:
        job = entry.job
        try:
            self._journal.add(entry)
            sent = to_send(self._known, edit, inputs)
            self._send(job, edit.on(sent, canvas), sent)
            PromptHistory(self.state_dir).add(edit.prompt)
        except (VelaturaError, OSError) as error:
            self._give_up(job, error)

    def _draft(self, job: str, edit: Edit, inputs: Inputs, canvas: Sequence[int]) -> None:
        if job in self._unwanted:
            return  # a newer one has come; that it is to be cancelled is noted behind this
        try:
            sent = to_send(self._known, edit, inputs)
            self._send(job, edit.on(sent, canvas, lease=True, draft=True), sent)
        except VelaturaError as error:
            if error.code != "cancelled":
                self._emit("failed", {"job": job, "error": error})

    def _send(self, job: str, request: Request, inputs: Inputs) -> None:
        """Submits and uploads; raises VelaturaError."""

        def on_bytes(count: int, size: int) -> None:
            self._emit("sent", {"job": job, "fraction": count / max(1, size)})

        state = self._client.submit(
            job, request.to_wire(), blobs(inputs), on_bytes=on_bytes, should_stop=lambda: self._stops(job)
        )
        self._emit("job", state)

    def _give_up(self, job: str, error: Exception) -> None:
        """A job that could not be submitted."""
        if isinstance(error, OSError):
            log.error("journal: %s", error)
            error = VelaturaError(
                "disk-full", "Velatura's folder cannot be written to; make room on the disk."
            )
        self._dropped.add(job)
        self._tidy()
        if error.code == "cancelled":
            self._cancel(job)
        else:
            self._emit("failed", {"job": job, "error": error})

    def _cancel(self, job: str) -> None:
        try:
            state = self._client.cancel(job)
        except VelaturaError as error:
            log.info("cancel %s: %s", job, error)
            if error.code != "unknown-job":
                return  # it is cancelled as soon as the daemon is there again
            state = {"type": "job", "job": job, "state": "cancelled"}
        self._unwanted.discard(job)
        self._emit("job", state)

    def _fetch(self, job: str, digests: list[str]) -> None:
        found: list[bytearray] = []

        def on_bytes(count: int, size: int) -> None:
            fraction = (len(found) + count / max(1, size)) / len(digests)
            self._emit("received", {"job": job, "fraction": fraction})

        try:
            while len(found) < len(digests):
                name = digests[len(found)]
                found.append(self._fetched(name, job, on_bytes))
        except VelaturaError as error:
            self._emit("failed", {"job": job, "error": error})
        except Exception as error:  # memory may not suffice; the job must not seem to be fetched for ever
            log.exception("fetching %s", job)
            self._emit("failed", {"job": job, "error": VelaturaError("internal", FAULT, detail=repr(error))})
        else:
            self._emit("fetched", {"job": job, "blobs": found})

    def _fetched(self, name: str, job: str, on_bytes: Callable[[int, int], None]) -> bytearray:
        return self._client.fetch(name, job=job, on_bytes=on_bytes, should_stop=self._closing.is_set)

    def _thumbnail(self, job: str, digest: str, size: int) -> None:
        try:
            jpeg = bytes(self._client.fetch(digest, size=size, should_stop=self._closing.is_set))
        except VelaturaError as error:
            log.info("thumbnail of %s: %s", job, error)
            jpeg = b""  # the candidate shows its number
        self._emit("thumbnail", {"job": job, "digest": digest, "jpeg": jpeg})

    def _vocabulary(self, model: str) -> None:
        try:
            self._emit("vocabulary", {"model": model, "words": self._client.vocabulary(model)})
        except VelaturaError as error:
            log.info("words of %s: %s", model, error)  # asked again when the person comes back

    def _pixels(self, job: str, digest: str, size: int) -> None:
        data: Any = b""
        try:
            data = self._client.fetch(digest, size=size, should_stop=self._closing.is_set)
        except (VelaturaError, MemoryError) as error:
            log.info("pixels of %s: %s", job, error)  # the small picture shows instead
        self._emit("pixels", {"job": job, "digest": digest, "data": data})

    def _tidy(self) -> None:
        """Drops the ended jobs, and acknowledges the inserted ones; while the daemon is away the journal
        keeps them."""
        for job in list(self._dropped):
            self._forget(job)
        for job in list(self._inserted) if self._client.connected else ():
            try:
                self._client.ack(job)
            except VelaturaError as error:
                if error.code != "unknown-job":
                    log.info("ack %s: %s", job, error)
                    continue
            self._forget(job)

    def _forget(self, job: str) -> None:
        try:
            self._journal.remove(job)
        except OSError as error:
            log.error("journal: %s", error)  # it is tried again with the next one
            return
        self._dropped.discard(job)
        self._inserted.discard(job)

    def _start_daemon(self) -> None:
        if self._client.connected:
            return
        try:
            self._start()
            self._client.connect()
        except VelaturaError as error:
            log.error("start: %s %s", error.message, error.detail)
            self._emit("daemon", {"state": "refused", "text": error.message, "detail": error.detail[-500:]})

    def _start(self) -> None:
        if not self._serve:
            raise VelaturaError("unavailable", NOT_INSTALLED)
        start_daemon(self._serve, self.state_dir, START)

    def _stops(self, job: str) -> bool:
        return self._closing.is_set() or job in self._unwanted


def rect_of(event: dict) -> list[int] | None:
    """The part of the document that a preview shows; None from a daemon before 1.3, which does not send
    it."""
    rect = event.get("rect")
    is_rect = isinstance(rect, list) and len(rect) == 4 and all(type(number) is int for number in rect)
    return rect if is_rect and min(rect[2:]) > 0 else None
