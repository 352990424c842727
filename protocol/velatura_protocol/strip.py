"""The strip of a run: its candidates in order, the chosen one, and the person's word on each.

A host draws it and moves it; nothing here knows a widget. `protocol/DESIGN.md` says how the
parts fit together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Literal, NamedTuple

from .candidates import Candidate, best_first
from .errors import VelaturaError
from .messages import Bytes

State = Literal["running", "done", "failed", "cancelled"]

PIXELS_HELD = 512 * 1024**2  #: bytes of fetched candidates that a host holds by default
AHEAD = 1  #: candidates on each side of the chosen one whose pixels are fetched before they are asked for


class Cell(NamedTuple):
    """A place of the strip. candidate: at this place. kept, starred: by the person."""

    candidate: Candidate
    kept: bool
    starred: bool


class Strip:
    """The candidates of one run.

    The person's place is a candidate, not a number: where a better candidate arrives, the chosen one stays
    chosen. Until the person has chosen, the best one is.

    Args:
        job: the run's id.
        count: the variations that the run makes.
    """

    def __init__(self, job: str, count: int) -> None:
        self.job, self.count = job, max(1, count)
        self.state: State = "running"
        self.is_open = True
        self.is_before = False
        self._found: dict[int, Candidate] = {}
        self._kept: set[int] = set()
        self._starred: set[int] = set()
        self._dropped: list[int] = []
        self._chosen: int | None = None

    # What has come

    def add(self, candidate: Candidate) -> bool:
        """Adds a candidate, or takes its newer state; returns whether the strip has changed.

        A candidate of another run changes nothing: events may come late.
        """
        if candidate.job != self.job or self._found.get(candidate.index) == candidate:
            return False
        self._found[candidate.index] = candidate
        self.count = max(self.count, len(self._found))
        return True

    def end(self, state: State, candidates: Iterable[Candidate] = ()) -> None:
        """The run has ended; with `done` the candidates have their final ranks. The others stay usable."""
        self.state = state
        for candidate in candidates:
            self.add(candidate)

    @property
    def cells(self) -> list[Cell]:
        """The places from left to right, best first, without the dropped ones."""
        return [Cell(c, c.index in self._kept, c.index in self._starred) for c in self._listed()]

    @property
    def dropped(self) -> list[Candidate]:
        """The candidates that were dropped, the last one last."""
        return [self._found[index] for index in self._dropped]

    @property
    def awaited(self) -> int:
        """The variations that are still to come: empty places at the end of the strip."""
        return max(0, self.count - len(self._found)) if self.state == "running" else 0

    @property
    def sentence(self) -> str:
        """The state of the strip for the person; '' before the first candidate."""
        here, dropped = len(self._found), len(self._dropped)
        if not here:
            return ""
        if self.awaited:
            return f"{here} of {self.count} are here, the best so far first."
        kept = len(self._kept)
        parts = [f"{here} candidates" if here > 1 else "1 candidate"]
        parts += [f"{kept} kept"] if kept else []
        parts += [f"{dropped} dropped"] if dropped else []
        return ", ".join(parts) + "."

    # Where the person is

    @property
    def chosen(self) -> Candidate | None:
        """The candidate that Enter keeps; None where the strip is empty."""
        listed = self._listed()
        own = next((c for c in listed if c.index == self._chosen), None)
        return own or next(iter(listed), None)

    @property
    def shown(self) -> Candidate | None:
        """The candidate to show in place on the canvas; None for the picture without it."""
        return None if self.is_before or not self.is_open else self.chosen

    def choose(self, index: int) -> bool:
        """Chooses the candidate of this index; returns whether there is one."""
        if all(c.index != index for c in self._listed()):
            return False
        self._chosen, self.is_open = index, True
        return True

    def move(self, by: int) -> Candidate | None:
        """Chooses the next (1) or the previous (-1) place; it stops at both ends."""
        listed = self._listed()
        chosen = self.chosen
        if chosen is None:
            return None
        at = min(max(listed.index(chosen) + by, 0), len(listed) - 1)
        self.choose(listed[at].index)
        return listed[at]

    def before(self, is_held: bool) -> None:
        """The person holds the key that shows the picture without a candidate, or lets it go."""
        self.is_before = is_held

    # What the person says

    def keep(self, *, several: bool = False) -> Candidate | None:
        """Keeps the chosen candidate; returns it if it has to be inserted, None if it is kept already.

        several: the strip stays open for more, and goes on to the next place. Else it closes; the candidates
            stay in the document's history.
        """
        chosen = self.chosen
        self.is_open = several
        if chosen is None:
            return None
        is_new = chosen.index not in self._kept
        self._kept.add(chosen.index)
        self._chosen = chosen.index
        if several:
            self.move(1)
        return chosen if is_new else None

    def unkeep(self, index: int) -> None:
        """The inserted layer of this candidate is gone, or could not be inserted."""
        self._kept.discard(index)

    def drop(self) -> Candidate | None:
        """Takes the chosen candidate out of the strip and returns it; the next place is chosen.

        A kept candidate leaves the strip only; its layer is the person's.
        """
        chosen = self.chosen
        if chosen is None:
            return None
        listed = self._listed()
        at = listed.index(chosen)
        rest = listed[at + 1 :] or listed[:at][-1:]
        self._dropped.append(chosen.index)
        self._chosen = rest[0].index if rest else None
        return chosen

    def take_back(self) -> Candidate | None:
        """Brings the candidate that was dropped last back, chosen; None where none was."""
        if not self._dropped:
            return None
        index = self._dropped.pop()
        self.choose(index)
        return self._found[index]

    def star(self, index: int | None = None) -> bool:
        """Stars a candidate, by default the chosen one, or takes its star away; returns whether it has
        one."""
        chosen = self.chosen
        wanted = index if index is not None else chosen.index if chosen else None
        if wanted not in self._found:
            return False
        self._starred ^= {wanted}
        return wanted in self._starred

    def wanted(self) -> list[Candidate]:
        """The candidates whose pixels to fetch, most urgent first: the chosen one, then its neighbours."""
        listed = self._listed()
        chosen = self.chosen
        if chosen is None:
            return []
        at = listed.index(chosen)
        near = sorted(range(len(listed)), key=lambda i: (abs(i - at), i < at))
        return [listed[i] for i in near if abs(i - at) <= AHEAD]

    def _listed(self) -> list[Candidate]:
        return [c for c in best_first(self._found.values()) if c.index not in self._dropped]


class Held:
    """The pixels of candidates that were fetched, by digest, within a budget.

    The pixels that were used least recently go first. A picture larger than the budget is held alone.

    Args:
        budget: bytes.
    """

    def __init__(self, budget: int = PIXELS_HELD) -> None:
        self.budget = budget
        self._held: OrderedDict[str, Bytes] = OrderedDict()

    def put(self, candidate: Candidate, pixels: Bytes) -> None:
        """Holds a candidate's pixels. Raises `blob-corrupt` if they have another size than its raster."""
        size = memoryview(pixels).nbytes
        if size != candidate.raster.nbytes:
            raise VelaturaError(
                "blob-corrupt", "A candidate arrived damaged; run the edit again.", detail=f"{size} bytes"
            )
        self._held[candidate.raster.digest] = pixels
        self._held.move_to_end(candidate.raster.digest)
        while len(self._held) > 1 and self.nbytes > self.budget:
            self._held.popitem(last=False)

    def get(self, candidate: Candidate) -> Bytes | None:
        """A candidate's pixels; None where they have to be fetched."""
        pixels = self._held.get(candidate.raster.digest)
        if pixels is not None:
            self._held.move_to_end(candidate.raster.digest)
        return pixels

    def forget(self) -> None:
        """Lets all pixels go, for a strip that is closed."""
        self._held.clear()

    @property
    def nbytes(self) -> int:
        """The bytes of all held pixels."""
        return sum(memoryview(pixels).nbytes for pixels in self._held.values())
