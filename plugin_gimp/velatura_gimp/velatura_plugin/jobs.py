"""The runs of the Velatura window: each goes on by itself, and gives its candidates as they finish."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gi.repository import Gimp, GLib

from velatura_protocol.candidates import Candidate
from velatura_protocol.errors import VelaturaError
from velatura_protocol.history_entries import Key, Relation
from velatura_protocol.kinds import insertion
from velatura_protocol.requests import Edit

from . import edit
from .capture import Capture, Steps
from .conversation import steadily
from .formats import Encoding
from .session import Session

GONE = "The layer that it was made from is gone; undo that, and keep it again."

State = Literal["running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class Order:
    """A run that the person asked for.

    Attributes:
        title: for the person.
        method: the method's title.
        request: the edit.
        layer: the layer that it is made from.
        parent: the result that it came of.
        relation: how it came of that.
    """

    title: str
    method: str
    request: Edit
    layer: Gimp.Layer
    parent: Key | None = None
    relation: Relation = ""


class Job:
    """A run from its capture to its end.

    Its functions are called in the main thread: changed() whenever its words or its state are new;
    found(candidates with thumbnails); previewed(png, rect).
    """

    def __init__(
        self,
        order: Order,
        changed: Callable[[Job], None],
        found: Callable[[Job, list[tuple[Candidate, bytes]]], None],
        previewed: Callable[[Job, bytes, tuple | None], None],
    ) -> None:
        self.order, self.id = order, str(uuid.uuid4())
        self.title = order.title  #: the daemon's once it is done
        self.state: State = "running"
        self.says, self.fraction = "Reading the layer…", 0.0
        self._changed, self._found, self._previewed = changed, found, previewed
        self._stop = threading.Event()
        self._code: Encoding | None = None
        self._sees = ""
        self._note = ""

    def begin(self, read: Steps[Capture]) -> None:
        """Captures the pixels, then sends them."""
        steadily(read, self._send, self._fail, self._stop.is_set)

    def stop(self) -> None:
        """Cancels the run; its finished candidates stay."""
        if self.state == "running":
            self._stop.set()
            if self._code is None:  # nothing was sent
                self._end("cancelled", "Stopped.")
            else:
                self._tell("Stopping…")

    def keep(
        self, candidate: Candidate, done: Callable[[edit.Placed], None], failed: Callable[[str], None]
    ) -> None:
        """Puts a candidate into the image as a layer; `done` gets it, or `failed` a sentence."""

        def put(made: edit.Made) -> None:
            try:
                layer = self.order.layer
                if not layer.is_valid() or not layer.get_image().is_valid():
                    raise VelaturaError("bad-request", GONE)
                done(edit.put(edit.first(layer.get_image(), layer), made))
            except Exception as error:
                failed(edit.sentence(error))

        def fetch() -> None:
            try:
                with _session(lambda *_: None) as session:
                    session.open()
                    part = edit.variation(session, candidate.layer, self._code)
                made = edit.Made(self.title, [part], self._code, self._note, self._sees)
            except Exception as error:
                _in_main(failed, edit.sentence(error))
            else:
                _in_main(put, made)

        threading.Thread(target=fetch, daemon=True).start()

    def acknowledge(self) -> None:
        """Tells the daemon that its results are in the picture, or in its history. Waits for it; any thread
        may call."""
        if self.state not in ("done", "cancelled") or self._code is None:
            return
        try:
            with _session(lambda *_: None) as session:
                session.open()
                session.acknowledge(self.id)
        except VelaturaError:
            return  # the daemon drops them by itself after a while

    def _send(self, captured: Capture) -> None:
        self._code, self._sees = captured.code, captured.sees
        threading.Thread(target=self._run, args=(captured,), daemon=True).start()

    def _run(self, captured: Capture) -> None:
        def report(text: str, fraction: float | None = None) -> None:
            _in_main(self._tell, text, fraction)

        try:
            with _session(report) as session:
                edit.refresh(session)
                job = session.run(
                    self.order.request,
                    captured,
                    self._stop.is_set,
                    lambda png, rect: _in_main(self._previewed, self, png, rect),
                    identifier=self.id,
                    on_candidates=lambda found: _in_main(self._found, self, found),
                )
                masks = None
                if insertion(job["result"]) == "selections":
                    masks = edit.made(session, job, self.order.method, captured)
        except Exception as error:
            _in_main(self._fail, error)
        else:
            _in_main(self._finish, job, masks)

    def _finish(self, job: dict, masks: edit.Made | None) -> None:
        self.title = job.get("title") or self.title
        note = job["result"].get("note")
        self._note = note if isinstance(note, str) else ""
        said = self._note
        if masks is not None:  # they are channels, and have no candidates
            try:
                layer = self.order.layer
                said = edit.put(edit.first(layer.get_image(), layer), masks).note
            except Exception as error:
                self._fail(error)
                return
        self._end("done", said)

    def _fail(self, error: Exception) -> None:
        stopped = isinstance(error, VelaturaError) and error.code == "cancelled"
        self._end("cancelled" if stopped else "failed", "Stopped." if stopped else edit.sentence(error))

    def _end(self, state: State, says: str) -> None:
        self.state, self.says, self.fraction = state, says, 1.0
        self._changed(self)

    def _tell(self, text: str, fraction: float | None = None) -> None:
        if self.state == "running":
            self.says = text
            self.fraction = self.fraction if fraction is None else fraction
            self._changed(self)


def _session(report: Callable) -> Session:
    return Session(edit.FOLDER, f"gimp {Gimp.version()}", report)


def _in_main(work: Callable, *arguments: object) -> None:
    def act() -> bool:
        work(*arguments)
        return False

    GLib.idle_add(act)
