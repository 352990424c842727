"""How far a run is, over all of its stages: one fraction, which never falls."""

from __future__ import annotations

from .base import Stage


class Progress:
    """The fraction of a run that is done.

    A run is made of parts (batches of variations), and a part of stages that follow each other.
    """

    def __init__(self) -> None:
        self._fraction = 0.0
        self.part(0.0, 1.0)

    def part(self, start: float, whole: float) -> None:
        """The next part begins. start: where in the run, in [0, 1]. whole: how much of the run it is."""
        self._whole, self._left = whole, whole
        self._start, self._share = start, 0.0
        self._stage: str | None = None

    def step(self, i: int, n: int, stage: Stage) -> float:
        """Step i of n (from 1) of a stage is done. Returns how much of the run is, in [0, 1].

        Where the stage is another than before, that one is over, however far it was. No stage takes more than
        what is left of the part.
        """
        if stage.name != self._stage:
            self._start, self._left = self._start + self._share, self._left - self._share
            self._share, self._stage = min(stage.share * self._whole, self._left), stage.name
        self._fraction = max(self._fraction, self._start + self._share * i / n)
        return self._fraction
