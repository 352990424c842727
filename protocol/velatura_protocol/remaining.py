"""The time that a job will still take, estimated from its progress, in words for the person."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW = 60.0  #: seconds of the past that count
SURE = 5.0  #: seconds of observation before there is an estimate
SHORT = 15.0  #: seconds below which nothing is said
LONG = 2 * 24 * 3600.0  #: seconds above which nothing is said: such an estimate comes from a pause


class Remaining:
    """One job's progress over time.

    The speed is that of the last minute, since the stages of a job differ in speed.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: deque[tuple[float, float]] = deque()  # time, fraction

    def heard(self, fraction: float | None) -> str:
        """Notes the progress, from 0 to 1, and returns the estimate, such as "about 3 minutes left".

        Returns "" where there is none, or where it is hardly worth saying.
        """
        now = self._clock()
        if fraction is None:
            return ""
        if self._heard and fraction < self._heard[-1][1]:
            self._heard.clear()  # the job has begun again
        self._heard.append((now, fraction))
        while len(self._heard) > 2 and now - self._heard[1][0] >= WINDOW:
            self._heard.popleft()
        since, first = self._heard[0]
        passed, done = now - since, fraction - first
        if passed < SURE or done <= 0.0:
            return ""
        return in_words((1.0 - fraction) * passed / done)


def in_words(seconds: float) -> str:
    """An amount of time that is left, roughly; "" if it is short or beyond belief."""
    if not SHORT <= seconds <= LONG:
        return ""
    if seconds < 55.0:
        return f"about {round(seconds / 10.0) * 10} seconds left"
    minutes = round(seconds / 60.0)
    if minutes < 90:
        return f"about {minutes} minute{'s' if minutes > 1 else ''} left"
    return f"about {round(minutes / 60.0)} hours left"
