"""Ctrl+C and a time limit as a question that is asked now and then."""

from __future__ import annotations

import signal
import time
from types import FrameType


class Interrupt:
    """Inside the block the first SIGINT or SIGTERM only makes `asked` true; a second one raises.

    timeout: seconds after which `asked` is true as well; None for no limit.
    """

    def __init__(self, timeout: float | None) -> None:
        self._end = None if timeout is None else time.monotonic() + timeout
        self._signalled = False

    def __enter__(self) -> Interrupt:
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def timed_out(self) -> bool:
        """Whether the time is over."""
        return self._end is not None and time.monotonic() > self._end

    def asked(self) -> bool:
        """Whether what is under way should stop."""
        return self._signalled or self.timed_out

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self._signalled:
            raise KeyboardInterrupt
        self._signalled = True
