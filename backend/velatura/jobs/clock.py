"""The time by which jobs age: a system clock that is set forward by a month makes no result a month old."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

DAY = 24 * 3600.0
CATCHING_UP = 2.0  # seconds gained a second of running, where it is behind the system's clock
_WRITTEN_EVERY = 600.0


def steady() -> float:
    """Seconds that nobody can set; they go on while a machine sleeps, where the system tells that."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Clock:
    """Seconds since the epoch, at most the system's clock, and less after that has jumped forward.

    A wrong date cannot be told from a long absence. So an absence counts as one day at once, and the rest of
    it little by little, while the daemon runs. A result is lost to a wrong date only if that stays for weeks.
    """

    def __init__(
        self, path: Path, wall: Callable[[], float] = time.time, steady: Callable[[], float] = steady
    ) -> None:
        """Goes on from the time that the last daemon wrote.

        Args:
            path: a file of the state directory, which need not exist.
            wall: the system's clock.
            steady: a clock that nobody can set.
        """
        self._path = path
        self._wall = wall
        self._steady = steady
        last = _read(path)
        self._now = wall() if last is None else min(wall(), last + DAY)
        self._at = steady()
        self._written = -math.inf if last is None else last

    def now(self) -> float:
        """Seconds since the epoch, for the ages of jobs."""
        at = self._steady()
        self._now = min(self._wall(), self._now + CATCHING_UP * (at - self._at))
        self._at = at
        if abs(self._now - self._written) > _WRITTEN_EVERY:
            self._written = self._now
            with suppress(OSError):  # a full disk; then the next absence counts as a longer one
                self._path.write_text(f"{self._now:.0f}\n", "ascii")
        return self._now


def _read(path: Path) -> float | None:
    with suppress(OSError, ValueError):
        value = float(path.read_text("ascii")[:40])
        if math.isfinite(value):
            return value
    return None
