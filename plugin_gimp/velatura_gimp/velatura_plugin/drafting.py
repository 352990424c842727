"""What the form as it stands would give, while something in it is moved; nothing of it is kept."""

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
    """What a dialog can do besides being filled in.

    target: where the result of a run goes. read: takes what would be sent. request: the form as a request.
    model: the id of the chosen model; empty: the daemon's default. look: shows a part of the source, or all
    of it. selector, proposer: None where nobody can. waiting: where words go that are to become dials; None
    where no method has dials. chosen: what `read` takes beside the layer and the selection. begins_with: a
    sentence that the dialog opens with, or "".
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
    chosen: Callable[[], tuple[Wanted, ...]] = tuple
    begins_with: str = ""


class Drafts:
    """Drafts of what `live` has, in a conversation that they give way in to every other question.

    `velatura_protocol.drafts` says when one is asked for and what drafts share; here are the timer, the
    reading and what the window shows. What was read of the image serves until the dialog is no longer the
    window that the person types into, or an answer has changed the selection: nobody can have painted before.
    """

    def __init__(self, conversation: Conversation, live: Live) -> None:
        self._conversation, self._live = conversation, live
        self._policy: DraftPolicy[Capture] = DraftPolicy(time.monotonic)
        self._timer = 0  # there for as long as the newest state is still to be asked for
        self._question: Question | None = None
        self._is_answered = False
        self.wanted = True

    def move(self) -> None:
        """Something was moved: a draft of the form, as it is by then, is made as soon as may be."""
        if self._policy.move():
            self._timer = GLib.timeout_add(round(1000 * LOOK), self._tick)

    def forget(self) -> None:
        """The picture may change from now on: it is read anew for the next draft."""
        self._policy.forget()

    def settle(self, request: Edit) -> Edit:
        """The request to run, with the seed of the drafts where it leaves it to chance."""
        return replace(request, seed=self._policy.run_seed(request.seed))

    def stop(self) -> None:
        """No draft any more, waiting, running or shown."""
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
        under_way = UnderWay.NOTHING
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
            request = None  # what cannot be read in the form is said when it is run
        if request is None or (self._live.needs_prompt and not request.prompt.strip()):
            self.stop()  # what is shown would be of another state
            return
        request = replace(request, seed=self._policy.seed(request.seed), variations=1)
        self._question = Question(
            self._read,
            lambda session, captured, is_stopped, show: edit.draft(
                session, request, captured, is_stopped, show
            ),
            done=self._done,
            over=self._over,
            stopped=self.move,  # it is asked again after what it gave way to
        )
        self._is_answered = False
        self._conversation.ask(self._question)
        self._wait_no_more()  # for the one that this has stopped

    def _done(self, _: dict) -> str:
        self._is_answered = True
        return ""

    def _over(self) -> None:
        if not self._is_answered and self._policy.shows_failure():
            self._conversation.window.clear()  # it has failed, and what is shown is of another state

    def _read(self) -> Steps[Capture]:
        since = self._policy.since((self._conversation.changes, self._live.chosen()))
        kept = self._policy.kept(since)
        if kept is None:
            kept = yield from self._live.read()
            self._policy.keep(since, kept)
        return kept
