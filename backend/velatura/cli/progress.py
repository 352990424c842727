"""What a person sees of a long edit: one bar on stderr, where that is a terminal."""

from __future__ import annotations

import sys

from tqdm import tqdm

UPLOAD = 0.05  # of the bar


class Progress:
    """A bar from 0 to 1: sending the picture first, then the daemon's own fraction."""

    def __init__(self) -> None:
        self._bar = tqdm(
            total=1.0,
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            bar_format="{desc:24} {percentage:3.0f}% |{bar}| {elapsed}",
            leave=False,
        )

    def sent(self, done: int, size: int) -> None:
        """Bytes of the picture that the daemon has."""
        self._show("Sending the picture", UPLOAD * done / max(size, 1))

    def event(self, event: dict, _payload: object = None) -> None:
        """An event of the job or of the connection."""
        if event.get("type") == "progress":
            self._show(str(event.get("stage", "")), UPLOAD + (1 - UPLOAD) * float(event.get("fraction", 0)))
        elif event.get("type") == "job":
            self._show({"queued": "Waiting", "started": "Starting"}.get(event.get("state"), ""), self._bar.n)
        elif event.get("type") == "connection" and event.get("state") == "lost":
            self.say("The daemon is gone; waiting for it to come back.")

    def say(self, sentence: str) -> None:
        """Put a line above the bar; it is shown without a terminal too."""
        tqdm.write(sentence, file=sys.stderr)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()

    def _show(self, stage: str, fraction: float) -> None:
        self._bar.set_description_str(stage, refresh=False)
        self._bar.n = max(0.0, min(fraction, 1.0))
        self._bar.refresh()
