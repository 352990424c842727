"""Drafts: previews of the form's result while something in it moves. They leave no result."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from gi.repository import GLib

from velatura_protocol.choices import Wanted
from velatura_protocol.drafts import LOOK, DraftPolicy, Next, UnderWay
from velatura_protocol.errors import VelaturaError
from velatura_protocol.requests import Edit

from . import edit
from .capture import Capture, Look, Steps
from .conversation import Conversation, Question
from .formats import Rect
from .proposing import Proposer
from .selecting import Selector
from .waiting import Waiting


@dataclass
class Live:
    """The services of an open dialog beside its form.

    Attributes:
        target: the place of a run's result.
        read: captures the pixels of a request.
        request: the form as a request.
        model: the id of the model that captions; empty: the daemon's default.
        needs_prompt: whether the method needs a prompt.
        look: reads a part of the source for the preview, or all of it.
        selector: selects a word; None where no method can.
        proposer: proposes a caption; None where no method can.
        waiting: keeps words that are to become dials; None where no method has dials.
        chosen: what the model sees, and the rasters that `read` captures beside it and the selection.
        begins_with: a sentence that the dialog opens with, or "".
        note: a sentence on the model that runs the form, or "".
        gives_drafts: whether the method gives drafts.
        painter: the id of the model that runs the form; empty: the daemon's default.
    """

    target: edit.Target
    read: Callable[[], Steps[Capture]]
    request: Callable[[], Edit]
    model: Callable[[], str]
    needs_prompt: bool
    look: Callable[[Rect | None], Steps[Look | None]]
    selector: Selector | None = None
    proposer: Proposer | None = None
    waiting: Waiting | None = None
    chosen: Callable[[], tuple[str | Wanted, ...]] = tuple
    begins_with: str = ""
    gives_drafts: bool = True
    note: Callable[[], str] = str
    painter: Callable[[], str] = str


class Drafts:
    """Drafts of the form of `live`. In the conversation every other question has priority.

    `velatura_protocol.drafts` has the policy; here are the timer, the capture and the window's preview. A
    capture serves until the dialog loses the focus, or an answer changes the selection: nobody can have
    painted before.
    """

    def __init__(self, conversation: Conversation, live: Live) -> None:
        self._conversation, self._live = conversation, live
        self._policy: DraftPolicy[Capture] = DraftPolicy(time.monotonic)
        self._timer = 0  # GLib's number while the newest state is still to be asked for, else 0
        self._question: Question | None = None
        self._is_answered = False
        self.wanted = True
        self.is_held: Callable[[], bool] = bool  #: whether runs outside the conversation go first

    def move(self) -> None:
        """Something was moved: a draft of the form is asked for soon, if the method gives any."""
        if self._live.gives_drafts and self._policy.move():
            self._timer = GLib.timeout_add(round(1000 * LOOK), self._tick)

    def forget(self) -> None:
        """The picture may change from now on: the next draft captures it again."""
        self._policy.forget()

    def with_draft_seed(self, request: Edit) -> Edit:
        """The request to run, with the drafts' seed where the form asks for a random one."""
        return replace(request, seed=self._policy.run_seed(request.seed))

    def stop(self) -> None:
        """Cancels the waiting or running draft, and clears the preview."""
        if self._question is not None and self._conversation.question is self._question:
            self._conversation.stop()
        self._wait_no_more()
        self._conversation.window.clear()

    def _wait_no_more(self) -> None:
        self._policy.stop()
        if self._timer:
            GLib.source_remove(self._timer)
            self._timer = 0

    def _tick(self) -> bool:
        question = self._conversation.question
        under_way = UnderWay.OTHER if self.is_held() else UnderWay.NOTHING
        if question is not None:
            under_way = UnderWay.DRAFT if question is self._question else UnderWay.OTHER
        todo = self._policy.look(under_way)
        if todo is Next.LOOK:
            return True
        self._timer = 0
        if todo is Next.ASK and self.wanted:
            self._ask()
        return False

    def _ask(self) -> None:
        try:
            request = self._live.request()
        except VelaturaError:
            request = None  # Run reports what is wrong in the form
        if request is None or (self._live.needs_prompt and not request.prompt.strip()):
            self.stop()  # the preview is of an older state
            return
        request = replace(request, seed=self._policy.seed(request.seed), variations=1)
        self._question = Question(
            self._read,
            lambda session, captured, is_stopped, show: edit.draft(
                session, request, captured, is_stopped, show
            ),
            done=self._done,
            over=self._over,
            stopped=self.move,  # it is asked again after the other question
        )
        self._is_answered = False
        self._conversation.ask(self._question)
        self._wait_no_more()  # this has stopped the waiting one

    def _done(self, _: dict) -> str:
        self._is_answered = True
        return ""

    def _over(self) -> None:
        if not self._is_answered and self._policy.shows_failure():
            self._conversation.window.clear()  # it has failed, and the preview is of an older state

    def _read(self) -> Steps[Capture]:
        since = self._policy.since((self._conversation.changes, self._live.chosen()))
        kept = self._policy.kept(since)
        if kept is None:
            kept = yield from self._live.read()
            self._policy.keep(since, kept)
        return kept
