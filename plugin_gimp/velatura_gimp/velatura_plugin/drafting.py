"""What the form as it stands would give, while something in it is moved; nothing of it is kept."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from gi.repository import GLib

from velatura_protocol.choices import Wanted
from velatura_protocol.errors import VelaturaError
from velatura_protocol.requests import MAX_SEED, Edit

from . import edit
from .capture import Capture, Look, Steps
from .conversation import Conversation, Question
from .formats import Rect
from .proposing import Proposer
from .selecting import Selector
from .waiting import Waiting

TICK = 150  # ms between two looks at what has moved; one without a move ends the movement


@dataclass
class Live:
    """What a dialog can do besides being filled in.

    target: where the result of a run goes. read: takes what would be sent. request: the form as a request.
    model: the id of the chosen model; empty: the daemon's default. look: shows a part of the source, or all
    of it. selector, proposer: None where nobody can. waiting: where words go that are to become dials; None
    where no method has dials. chosen: what `read` takes beside the layer and the selection. begins_with: a
    sentence that the dialog opens with, or "". seed: what all drafts were made with where the person wants a
    random one, and what the run begins with: one gets what one saw; -1 as long as there was none.
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
    seed: int = -1

    def settle(self, request: Edit) -> Edit:
        """The request, with the seed of the drafts where it leaves it to chance."""
        return replace(request, seed=self.seed) if request.seed == -1 and self.seed >= 0 else request


class Drafts:
    """Drafts of what `live` has, in a conversation that they give way in to every other question.

    While something moves, the draft under way is let finish, then the newest state is asked for: if each
    move stopped it, none would ever finish that takes longer than a move. Once nothing moves any more, the
    draft of an older state is stopped at once for that of the last.

    What was read of the image serves the next ones too, as long as nobody can have painted since: until the
    dialog is no longer the window that the person types into, or an answer has changed the selection.
    """

    def __init__(self, conversation: Conversation, live: Live) -> None:
        self._conversation, self._live = conversation, live
        self._kept: tuple[tuple, Capture] | None = None
        self._reads = 0
        self._moved = False  # since the last look
        self._timer = 0  # there for as long as the newest state is still to be asked for
        self._question: Question | None = None
        self._is_answered = False
        self.wanted = True

    def move(self) -> None:
        """Something was moved: a draft of the form, as it is by then, is made as soon as may be."""
        self._moved = True
        if not self._timer:
            self._timer = GLib.timeout_add(TICK, self._tick)

    def forget(self) -> None:
        """The picture may change from now on: it is read anew for the next draft."""
        self._kept = None
        self._reads += 1

    def stop(self) -> None:
        """No draft any more, waiting, running or shown."""
        if self._question is not None and self._conversation.question is self._question:
            self._conversation.stop()
        self._wait_no_more()
        self._conversation.window.clear()

    def _wait_no_more(self) -> None:
        if self._timer:
            GLib.source_remove(self._timer)
            self._timer = 0

    def _tick(self) -> bool:
        moving, self._moved = self._moved, False
        under_way = self._conversation.question
        if under_way is not None and (moving or under_way is not self._question):
            return True  # wait for its end
        self._timer = 0
        if self.wanted:
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
        if request.seed == -1 and self._live.seed < 0:
            self._live.seed = random.randint(0, MAX_SEED)
        request = replace(self._live.settle(request), variations=1)
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
        if not (self._is_answered or self._timer):
            self._conversation.window.clear()  # it has failed, and what is shown is of another state

    def _read(self) -> Steps[Capture]:
        since = self._reads, self._conversation.changes, self._live.chosen()
        if self._kept is None or self._kept[0] != since:
            self._kept = since, (yield from self._live.read())
        return self._kept[1]
