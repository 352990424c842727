"""The policy of drafts in every host: when to ask for one while something moves, its seed and its pixels.

`DraftPolicy` needs no host and no timer: the host reports events and passes a clock, the policy answers with
the next action. `protocol/DESIGN.md` gives the reasons.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from .requests import MAX_SEED

LOOK = 0.15  #: seconds from one look at the movement to the next
STILL = 0.2  #: seconds without a move after which the movement is over
CHANCE = -1  #: the seed that stands for a random one

Captured = TypeVar("Captured")


class UnderWay(Enum):
    """The host's present work."""

    NOTHING = "nothing"
    DRAFT = "draft"
    OTHER = "other"  #: an edit, or another request of the person: drafts wait for it


class Next(Enum):
    """The action after a look."""

    REST = "rest"  #: nothing, until the next move
    LOOK = "look"  #: look again, `LOOK` seconds from now
    ASK = "ask"  #: cancel the running draft, ask for one of the present form


@dataclass(frozen=True)
class Since:
    """The identity of a captured picture.

    what: equal for equal layers and settings. changes: how often the picture may have changed before.
    """

    what: Hashable
    changes: int


class DraftPolicy(Generic[Captured]):
    """One draft lives at a time.

    While something moves, the running draft finishes, then the newest state is asked for: if each move
    cancelled it, no draft that takes longer than a move would ever finish. Once nothing moves any more, the
    draft of an older state is cancelled at once for one of the last state.

    A captured picture serves the next drafts too, until the picture may have changed (`forget`). All drafts
    share one seed where the form asks for a random one, and the run after them uses it, so that it gives the
    picture that the drafts have shown.

    clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._waits = False  # the newest state is still to be asked for
        self._moved_at = 0.0
        self._seed = CHANCE
        self._changes = 0
        self._kept: tuple[Since, Captured] | None = None

    # The time

    @property
    def waits(self) -> bool:
        """Whether the newest state is still to be asked for."""
        return self._waits

    def move(self) -> bool:
        """Something was moved. True where the host has to start its timer, to look `LOOK` seconds from now;
        False where it runs already.

        A host calls it only where there are drafts: the person wants them, the daemon knows them, and the
        method gives them (`MethodInfo.drafts`).
        """
        self._moved_at = self.clock()
        begins, self._waits = not self._waits, True
        return begins

    def look(self, under_way: UnderWay) -> Next:
        """The action for this look; under_way: the host's present work."""
        if not self._waits:
            return Next.REST
        is_moving = self.clock() - self._moved_at < STILL
        if under_way is UnderWay.OTHER or (is_moving and under_way is UnderWay.DRAFT):
            return Next.LOOK
        self._waits = False
        return Next.ASK

    def stop(self) -> None:
        """Ends the wait for a draft."""
        self._waits = False

    def shows_failure(self) -> bool:
        """Whether to report a draft's failure and to clear the preview, which is of an older state. Not while
        a newer draft is about to be asked for: it may succeed."""
        return not self._waits

    # The seed

    def seed(self, asked: int) -> int:
        """The seed of a draft. asked: the form's seed."""
        if asked == CHANCE and self._seed == CHANCE:
            self._seed = random.randint(0, MAX_SEED)
        return self.run_seed(asked)

    def run_seed(self, asked: int) -> int:
        """The seed of a run: that of the drafts before it, if there were any. asked: the form's seed."""
        return self._seed if asked == CHANCE else asked

    def ran(self) -> None:
        """A run has begun with the drafts' seed: the next drafts get another one."""
        self._seed = CHANCE

    # The captured picture

    def forget(self) -> None:
        """The picture may change from now on: the next draft captures it again."""
        self._changes += 1
        self._kept = None

    def since(self, what: Hashable) -> Since:
        """The identity of a picture whose capture begins now. what: equal for equal layers and settings."""
        return Since(what, self._changes)

    def kept(self, since: Since) -> Captured | None:
        """The earlier capture of the same picture; None where there is none."""
        return self._kept[1] if self._kept is not None and self._kept[0] == since else None

    def keep(self, since: Since, captured: Captured) -> None:
        """Keeps a capture. since: from the begin of the capture, so that a change meanwhile counts."""
        self._kept = since, captured
