"""Work on the user interface's thread, cut into pieces that each take one turn of the event loop."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from .qt import QtCore

#: Yields the milliseconds to wait before the next piece; returns the outcome.
Steps = Generator[int, None, Any]


class Stepper(QtCore.QObject):
    """Runs generators of pieces one piece per turn, so that none blocks longer than its longest piece."""

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._running: set[Steps] = set()

    def start(self, steps: Steps, done: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
        """Runs `steps` from the next turn on; `done` gets its result, `failed` its exception."""
        self._running.add(steps)
        QtCore.QTimer.singleShot(0, lambda: self._step(steps, done, failed))

    def drop(self, steps: Steps | None) -> None:
        """Drops `steps`, if they run: neither `done` nor `failed` is called any more."""
        if steps is not None and steps in self._running:
            self._running.discard(steps)
            steps.close()

    def stop(self) -> None:
        """Closes the running generators, so that their `finally` clauses run now."""
        while self._running:
            self._running.pop().close()

    def _step(self, steps: Steps, done: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
        if steps not in self._running:
            return
        try:
            wait = next(steps)
        except StopIteration as end:
            self._running.discard(steps)
            done(end.value)
        except Exception as error:
            self._running.discard(steps)
            failed(error)
        else:
            QtCore.QTimer.singleShot(wait, lambda: self._step(steps, done, failed))
