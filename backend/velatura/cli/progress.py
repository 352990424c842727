"""The progress bar of an edit on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from velatura_protocol.remaining import Remaining

UPLOAD = 0.05  # share of the bar


class Progress:
    """A bar from 0 to 1: first the upload of the picture, then the daemon's own progress."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._is_quiet = is_quiet
        self._remaining = Remaining()
        self._bar = tqdm(
            total=1.0,
            file=sys.stderr,
            disable=is_quiet or not sys.stderr.isatty(),
            bar_format="{desc:24} {percentage:3.0f}% |{bar}| {elapsed}{postfix}",
            leave=False,
        )

    def sent(self, done: int, size: int) -> None:
        """Show the upload: `done` of `size` bytes have arrived at the daemon."""
        self._show("Sending the picture", UPLOAD * done / max(size, 1))

    def event(self, event: dict[str, Any], _payload: object = None) -> None:
        """Show an event of the job or of the connection (SPEC section 4)."""
        if event.get("type") == "progress":
            self._bar.set_postfix_str(self._remaining.heard(event.get("fraction")), refresh=False)
            self._show(str(event.get("stage", "")), UPLOAD + (1 - UPLOAD) * float(event.get("fraction", 0)))
        elif event.get("type") == "job":
            stage = {"queued": "Waiting", "started": "Starting"}.get(str(event.get("state")), "")
            self._show(stage, self._bar.n)
        elif event.get("type") == "connection" and event.get("state") == "lost":
            self.say("The daemon has ended; waiting for it to come back.")

    def say(self, sentence: str) -> None:
        """Print a line above the bar, also without a terminal."""
        if not self._is_quiet:
            tqdm.write(sentence, file=sys.stderr)

    def stage(self, stage: str) -> None:
        """Show work after the daemon's, whose end is not known."""
        self._show(stage, 1.0)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()

    def _show(self, stage: str, fraction: float) -> None:
        self._bar.set_description_str(stage, refresh=False)
        self._bar.n = max(0.0, min(fraction, 1.0))
        self._bar.refresh()
