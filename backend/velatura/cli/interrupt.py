"""Ctrl+C and a time limit as a flag that a long task reads now and then."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Generator
from types import FrameType


class Interrupt:
    """A context in which the first SIGINT or SIGTERM only makes `asked` true; a second one interrupts.

    timeout: seconds after which `asked` is true, too; None for no limit.
    """

    def __init__(self, timeout: float | None) -> None:
        self._end = None if timeout is None else time.monotonic() + timeout
        self._timeout = timeout
        self._signalled = False
        self._is_at_once = False

    def __enter__(self) -> Interrupt:
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def timed_out(self) -> bool:
        """Whether the time limit has passed."""
        return self._end is not None and time.monotonic() > self._end

    def asked(self) -> bool:
        """Whether the task should stop."""
        return self._signalled or self.timed_out

    @property
    def signalled(self) -> bool:
        """Whether a signal has come."""
        return self._signalled

    def begin_again(self) -> None:
        """Begin the time limit anew, for the next task."""
        self._end = None if self._timeout is None else time.monotonic() + self._timeout

    @contextlib.contextmanager
    def at_once(self) -> Generator[None]:
        """A context in which the first signal interrupts, too: for work that cannot read `asked`."""
        self._is_at_once = True
        try:
            yield
        finally:
            self._is_at_once = False

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self._signalled or self._is_at_once:
            self._signalled = True
            raise KeyboardInterrupt
        self._signalled = True
