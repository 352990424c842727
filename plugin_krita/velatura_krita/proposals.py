"""Captions of a layer, asked of the daemon for the caption field; nothing of them is kept.

One question lives at a time: a newer one replaces the older.
"""

from __future__ import annotations

import uuid
from typing import Any

from .capture import Capture, capture
from .edges import edge
from .qt import QtCore, Signal
from .steps import Steps
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.results import NOTHING_SAID, texts
from .wish import Wish


class Proposals(QtCore.QObject):
    """Asks for texts about the active layer.  session: a `session.Session`."""

    answered = Signal(str, str)  #: a question's id and the text; "" if there will be none

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.session, self.state = session, session.state
        self.job = ""  #: the open question's id, or ""
        self._reading: Steps | None = None  #: the capture of its layer
        self._quietly = False

    def ask(self, wish: Wish, quietly: bool = False) -> str:
        """Asks `wish`, of a method of texts; returns the question's id. `answered` is emitted later, once.

        quietly: whether a failure is not reported, since nobody asked.
        """
        self.stop()
        self.job = job = str(uuid.uuid4())
        self._quietly = quietly
        self._say("")
        document = self.session.host.activeDocument()
        self._reading = capture(document, wish.method, wish.whole, self._hold)
        self.session.stepper.start(
            self._reading,
            lambda captured: self._captured(job, wish, captured),
            lambda error: self._failed(job, error),
        )
        return job

    def stop(self) -> None:
        """Cancels the open question."""
        self.session.stepper.drop(self._reading)
        self._reading = None
        if self.job:
            self.session.network.cancel(self.job)
            self._end("")

    def _hold(self, what: str) -> None:
        """Shows the step that the person has to finish before the layer can be captured."""
        self._say(f"{what} to have a caption proposed." if what else "")

    def hear(self, name: str, data: dict) -> None:
        """News of the open question."""
        state = data["state"] if name == "job" else name
        if state == "done":
            captions = texts(data.get("result", {}))
            if not captions:
                self._say(NOTHING_SAID.format("layer"), bad=True)
            self._end(captions[0] if captions else "")
        elif state == "failed":
            error = data.get("error", {})
            self._failed(self.job, error if name == "failed" else VelaturaError.from_wire(error))
        elif state == "cancelled":
            self._end("")

    @edge
    def _captured(self, job: str, wish: Wish, captured: Capture) -> None:
        if job == self.job:
            self.session.network.draft(job, wish.edit, captured.inputs, captured.canvas)

    @edge
    def _failed(self, job: str, error: Exception) -> None:
        if job == self.job:
            self._say(self.session.sentence(error), bad=True)
            self._end("")

    def _say(self, sentence: str, bad: bool = False) -> None:
        if not self._quietly:
            self.state.say(sentence, bad=bad)

    def _end(self, text: str) -> None:
        job, self.job = self.job, ""
        self.answered.emit(job, text)
