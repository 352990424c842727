"""Drafts: previews of the form's result while the person moves a slider. Nothing of them is kept.

`velatura_protocol.drafts` has the policy; here are the timer, the capture and the docker's preview. A capture
serves until the pointer leaves the docker or Krita's undo names another step: nobody can have painted before.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .capture import Capture, capture
from .edges import edge
from .places import root_id
from .qt import QtCore
from .recipes import bare
from .state import Job, Phase
from .steps import Steps
from .velatura_protocol.drafts import LOOK, DraftPolicy, Next, Since, UnderWay
from .velatura_protocol.errors import VelaturaError
from .wish import Wish

TO_SEE = "to see a preview"
PHASES = {"uploading": Phase.SENDING, "queued": Phase.QUEUED, "started": Phase.RUNNING}


class Drafts(QtCore.QObject):
    """Belongs to a session, whose host, state, stepper and network it uses."""

    def __init__(self, session: Any) -> None:
        super().__init__(session)
        self.session, self.state = session, session.state
        self.job = ""  #: the newest draft's id; the session hands its news to `hear`
        self._wish: Callable[[], Wish | None] = lambda: None
        self.policy: DraftPolicy[Capture] = DraftPolicy(time.monotonic)
        self._reading: Steps | None = None  #: the capture for the newest draft
        self._timer = QtCore.QTimer(self)  #: active for as long as the newest state is still to be asked for
        self._timer.setSingleShot(True)
        self._timer.setInterval(round(1000 * LOOK))
        self._timer.timeout.connect(self._tick)
        self.state.previewsChanged.connect(self._on_previews)

    def ask(self, wish: Callable[[], Wish | None]) -> None:
        """Something was moved: a draft of `wish()`, called later, is made soon."""
        self._wish = wish
        self.state.say("")
        if self.policy.move():
            self._timer.start()

    def stop(self) -> None:
        """Cancels the waiting or running draft, and clears the preview."""
        self.policy.stop()
        self._timer.stop()
        self._drop()

    def forget(self) -> None:
        """The picture may change from now on: the next draft captures it again."""
        self.policy.forget()

    def begin_run(self, wish: Wish) -> Wish:
        """Ends the drafts before a run; returns the wish to run, with their seed."""
        wish = replace(wish, seed=self.policy.run_seed(wish.seed))
        self.policy.ran()
        self.stop()
        self.forget()
        return wish

    # One draft

    @edge
    def _tick(self) -> None:
        under_way = UnderWay.DRAFT if self._is_active() else UnderWay.NOTHING
        if any(job.phase.active for job in self.state.jobs.values()):
            under_way = UnderWay.OTHER
        todo = self.policy.look(under_way)
        if todo is Next.LOOK:
            self._timer.start()
        elif todo is Next.ASK:
            self._begin()

    def _begin(self) -> None:
        document, wish = self.session.host.activeDocument(), self._wish()
        if document is None or wish is None or wish.is_unfinished:
            self._drop()  # the preview is of an older state
            return
        self._cancel()
        wish = replace(wish, seed=self.policy.seed(wish.seed), variations=1)
        before = self.state.draft
        job = Job(str(uuid.uuid4()), wish.method.title, wish.about, document.name())
        if before is not None:  # until there is a newer one
            job.preview, job.shown, job.selected = before.preview, before.shown, before.selected
        self.job = job.id
        self.state.set_draft(job)
        since = self._since(document, wish)
        kept = self.policy.kept(since)
        if kept is not None:
            self._send(job.id, wish, kept)
            return
        self._reading = capture(
            document,
            wish.method,
            wish.whole,
            lambda what: self.state.change_draft(obstacle=f"{what} {TO_SEE}." if what else ""),
            wish.further,
            wish.sees,
        )
        self.session.stepper.start(
            self._reading,
            lambda captured: self._captured(job.id, wish, since, captured),
            lambda error: self._failed(job.id, error),
        )

    def _since(self, document: Any, wish: Wish) -> Since:
        node, undo = document.activeNode(), self.session.host.action("edit_undo")
        active = bare(node.uniqueId()) if node is not None else ""
        what = root_id(document), active, undo.text(), wish.method.id, wish.whole, wish.sees
        return self.policy.since((*what, *wish.wanted))

    @edge
    def _captured(self, job: str, wish: Wish, since: Since, captured: Capture) -> None:
        self.policy.keep(since, captured)
        if job == self.job:  # else a newer one came meanwhile
            self._send(job, wish, captured)

    def _send(self, job: str, wish: Wish, captured: Capture) -> None:
        self.session.network.draft(job, wish.edit, captured.inputs, captured.canvas)
        self.state.change_draft(phase=Phase.SENDING, selected=captured.selection)

    def _is_active(self) -> bool:
        draft = self.state.draft
        return draft is not None and draft.id == self.job and draft.phase.active

    def _cancel(self) -> None:
        self.session.stepper.drop(self._reading)
        self._reading = None
        if self._is_active():
            self.session.network.cancel(self.job)

    def _drop(self) -> None:
        self._cancel()
        self.job = ""
        self.state.set_draft(None)

    def _on_previews(self) -> None:
        if not self.state.previews:
            self.stop()

    @edge
    def _failed(self, job: str, error: Exception) -> None:
        if job == self.job:
            self._drop()
            if self.policy.shows_failure():
                self.state.say(self.session.sentence(error), bad=True)

    # Answers of the network

    def hear(self, name: str, data: dict) -> None:
        """News of the newest draft."""
        if name == "preview":
            self.state.change_draft(preview=data["png"], shown=data["rect"])
        elif name == "progress":
            stage, fraction = data.get("stage", ""), data.get("fraction")
            self.state.change_draft(phase=Phase.RUNNING, stage=stage, fraction=fraction)
        elif name == "sent":
            self.state.change_draft(fraction=data["fraction"])
        elif name == "failed":
            self._failed(self.job, data["error"])
        elif name == "job" and data["state"] == "done":
            self.state.change_draft(phase=Phase.DONE, fraction=None)
        elif name == "job" and data["state"] == "failed":
            self._failed(self.job, VelaturaError.from_wire(data.get("error", {})))
        elif name == "job" and data["state"] == "cancelled":
            self.state.set_draft(None)
        elif name == "job":
            self.state.change_draft(phase=PHASES.get(data["state"], Phase.QUEUED), fraction=None)
