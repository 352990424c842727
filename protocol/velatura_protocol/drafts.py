"""When a draft is asked for while something is moved, and what it is made of: the policy of every host.

No host here and no timer: `DraftPolicy` is told what happens, with a clock that is given to it, and says
what to do.  `protocol/DESIGN.md` says why.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from .requests import MAX_SEED

LOOK = 0.15  #: seconds from one look at what has moved to the next
STILL = 0.2  #: seconds without a move after which the movement is over
CHANCE = -1  #: a seed that leaves it to chance

Captured = TypeVar("Captured")


class UnderWay(Enum):
    """What the host is busy with."""

    NOTHING = "nothing"
    DRAFT = "draft"
    OTHER = "other"  #: an edit, or a question that the person has asked by name: drafts give way to it


class Next(Enum):
    """What to do after a look."""

    REST = "rest"  #: nothing; the next move says when to look again
    LOOK = "look"  #: look again, `LOOK` seconds from now
    ASK = "ask"  #: ask for a draft of the form as it stands; one that is under way is cancelled for it


@dataclass(frozen=True)
class Since:
    """What a captured picture is of (`what`), and how often it may have changed before (`changes`)."""

    what: Hashable
    changes: int


class DraftPolicy(Generic[Captured]):
    """One draft lives at a time.

    While something moves, the draft under way is let finish, then the newest state is asked for: if each move
    cancelled it, none would ever finish that takes longer than a move.  Once nothing moves any more, the
    draft of an older state is cancelled at once for that of the last.

    What was captured serves the next drafts too, until the picture may have changed (`forget`).  All drafts
    share one seed where the person leaves it to chance, and the run after them has it: one gets what one saw.

    clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._waits = False  # the newest state is still to be asked for
        self._moved_at = 0.0
        self._seed = CHANCE
        self._changes = 0
        self._kept: tuple[Since, Captured] | None = None

    # When

    @property
    def waits(self) -> bool:
        """Whether the newest state is still to be asked for."""
        return self._waits

    def move(self) -> bool:
        """Something was moved.  Whether to begin to look, `LOOK` seconds from now; else a look is due."""
        self._moved_at = self.clock()
        begins, self._waits = not self._waits, True
        return begins

    def look(self, under_way: UnderWay) -> Next:
        """What to do now that it was time to look."""
        if not self._waits:
            return Next.REST
        is_moving = self.clock() - self._moved_at < STILL
        if under_way is UnderWay.OTHER or (is_moving and under_way is UnderWay.DRAFT):
            return Next.LOOK
        self._waits = False
        return Next.ASK

    def stop(self) -> None:
        """Nothing is to be asked for any more."""
        self._waits = False

    def shows_failure(self) -> bool:
        """A draft has failed: whether to say so and to show nothing any more, since what is shown is of an
        older state.  Not where the newest state is about to be asked for: it may do."""
        return not self._waits

    # Of what

    def seed(self, asked: int) -> int:
        """The seed of a draft, where the form asks for this one."""
        if asked == CHANCE and self._seed == CHANCE:
            self._seed = random.randint(0, MAX_SEED)
        return self.run_seed(asked)

    def run_seed(self, asked: int) -> int:
        """The seed to run with in earnest: that of the drafts, if there were any."""
        return self._seed if asked == CHANCE else asked

    def ran(self) -> None:
        """A run has begun with the drafts' seed: the next ones have another."""
        self._seed = CHANCE

    # From what

    def forget(self) -> None:
        """The picture may change from now on: it is captured anew for the next draft."""
        self._changes += 1
        self._kept = None

    def since(self, what: Hashable) -> Since:
        """What a picture that is captured from now on is of.  what: equal for what looks the same."""
        return Since(what, self._changes)

    def kept(self, since: Since) -> Captured | None:
        """What was captured of the same before, if it still serves."""
        return self._kept[1] if self._kept is not None and self._kept[0] == since else None

    def keep(self, since: Since, captured: Captured) -> None:
        """This was captured; since: from when it was begun, so that a change meanwhile counts."""
        self._kept = since, captured
