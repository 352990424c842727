"""What the form as it stands would give, while something in it is moved; nothing of it is kept."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from gi.repository import GLib

from velatura_protocol.errors import VelaturaError

from . import edit
from .capture import Capture, Look, Steps
from .conversation import Conversation, Question
from .form import MAX_SEED
from .formats import Rect
from .proposing import Proposer
from .selecting import Selector

QUIET = 150  # ms without a move before a draft is asked for


@dataclass
class Live:
    """What a dialog can do besides being filled in.

    read: takes what would be sent. request: the form as a request. model: the id of the chosen model; empty:
    the daemon's default. look: shows a part of the source, or all of it. selector, proposer: None where
    nobody can. seed: what all drafts were made with where the person wants a random one, and what the run
    begins with: one gets what one saw; -1 as long as there was none.
    """

    read: Callable[[], Steps[Capture]]
    request: Callable[[], dict]
    model: Callable[[], str]
    needs_prompt: bool
    look: Callable[[Rect | None], Steps[Look | None]]
    selector: Selector | None = None
    proposer: Proposer | None = None
    seed: int = -1

    def settle(self, request: dict) -> dict:
        """The request, with the seed of the drafts where it leaves it to chance."""
        return {**request, "seed": self.seed} if request.get("seed") == -1 and self.seed >= 0 else request


class Drafts:
    """Drafts of what `live` has, in a conversation that they give way in to every other question.

    What was read of the image serves the next ones too, as long as nobody can have painted since: until the
    dialog is no longer the window that the person types into.
    """

    def __init__(self, conversation: Conversation, live: Live) -> None:
        self._conversation, self._live = conversation, live
        self._kept: Capture | None = None
        self._reads = 0
        self._timer = 0
        self._question: Question | None = None
        self.wanted = True

    def move(self) -> None:
        """Something was moved: a draft is made once nothing has moved for a moment."""
        self._wait_no_more()
        self._timer = GLib.timeout_add(QUIET, self._due)

    def forget(self) -> None:
        """The picture may change from now on: it is read anew for the next draft."""
        self._kept = None
        self._reads += 1

    def stop(self) -> None:
        """No draft any more, waiting or running."""
        self._wait_no_more()
        if self._question is not None and self._conversation.question is self._question:
            self._conversation.stop()

    def _wait_no_more(self) -> None:
        if self._timer:
            GLib.source_remove(self._timer)
            self._timer = 0

    def _due(self) -> bool:
        under_way = self._conversation.question
        if under_way is not None and under_way is not self._question:
            return True  # wait for its end
        self._timer = 0
        if self.wanted:
            self._ask()
        return False

    def _ask(self) -> None:
        try:
            request = self._live.request()
        except VelaturaError:
            return  # what cannot be read in the form is said when it is run
        if self._live.needs_prompt and not request["prompt"].strip():
            return
        if request["seed"] == -1 and self._live.seed < 0:
            self._live.seed = random.randint(0, MAX_SEED)
        request = {**self._live.settle(request), "variations": 1}
        self._question = Question(
            self._read,
            lambda session, captured, is_stopped, show: edit.draft(
                session, request, captured, is_stopped, show
            ),
            done=lambda _: "",
            over=lambda: None,
        )
        self._conversation.ask(self._question)

    def _read(self) -> Steps[Capture]:
        if self._kept is not None:
            return self._kept
        reads = self._reads
        captured = yield from self._live.read()
        if reads == self._reads:
            self._kept = captured
        return captured
