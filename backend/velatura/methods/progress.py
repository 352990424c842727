"""The progress of a run over all its stages: one fraction, which never falls."""

from __future__ import annotations

from .base import Stage


class Progress:
    """The fraction of a run that is done.

    A run consists of parts (batches of variations), and a part of successive stages.
    """

    def __init__(self) -> None:
        self._fraction = 0.0
        self.part(0.0, 1.0)

    def part(self, start: float, whole: float) -> None:
        """Begins the next part. start: its place in the run, in [0, 1]. whole: its share of the run."""
        self._whole, self._left = whole, whole
        self._start, self._share, self._end = start, 0.0, start + whole
        self._stage: str | None = None

    def step(self, i: int, n: int, stage: Stage) -> float:
        """Notes that step i of n (from 1) of a stage is done. Returns the fraction of the run, in [0, 1].

        A new stage ends the one before, even if that one has steps left. No stage takes more than the rest of
        the part.
        """
        if stage.name != self._stage:
            self._start, self._left = self._start + self._share, self._left - self._share
            self._share, self._stage = min(stage.share * self._whole, self._left), stage.name
        reached = min(self._start + self._share * i / n, self._end)
        self._fraction = max(self._fraction, reached)
        return self._fraction
