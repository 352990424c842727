"""Notices that the answer to `methods` has changed: dials were kept or removed, models added or changed,
adapters found."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from velatura.models.adapters.listing import FILE as ADAPTERS
from velatura.models.control.listing import FILE as GUIDES
from velatura.models.model_list import FILE, FOUND
from velatura.shelf.listing import FOLDER

OFFER_SINCE = 7
"""The protocol's MINOR from which clients know the event `offer`."""

EVERY_S = 0.5


class Offered:
    """Looks at the times of change of the lists of models and adapters and of the folder of dials.

    Any process may change them: the worker, or the command line.

    Args:
        state_dir: the daemon's.
        changed: called after a change.
    """

    def __init__(self, state_dir: Path, changed: Callable[[], None]) -> None:
        self._places = [state_dir / name for name in (FILE, FOUND, FOLDER, ADAPTERS, GUIDES)]
        self._changed = changed
        self._stamp = self._now()
        self._looked = time.monotonic()

    def look(self) -> None:
        """Calls `changed` if anything is new; a no-op if it has looked a moment ago."""
        if time.monotonic() - self._looked < EVERY_S:
            return
        self._looked = time.monotonic()
        stamp = self._now()
        if stamp != self._stamp:
            self._stamp = stamp
            self._changed()

    def _now(self) -> list[int]:
        stamps: list[int] = []
        for place in self._places:
            stamps.append(0)
            with suppress(OSError):
                stamps[-1] = os.stat(place).st_mtime_ns
        return stamps
