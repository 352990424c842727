"""Finds what a plug-in's windows show, and presses it with the mouse."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.daemon_fixture import wait_for
from tests.hosts.gimp import GimpWindow

#: On the PYTHONPATH of GIMP: see `sitecustomize.py` there.
FOLDER = Path(__file__).parent


class Eyes:
    """Looks at the windows of the plug-in's process `pid` in GIMP's open window."""

    def __init__(self, window: GimpWindow, pid: int) -> None:
        self._window, self._pid = window, pid
        self._file = window.session.profile / "eyes.json"

    def look(self, **wishes: object) -> list[dict]:
        """All widgets in sight, with their places on the display. wishes: see `sitecustomize.py`."""
        if wishes:
            (self._file.parent / "wishes.json").write_text(json.dumps(wishes))
        self._file.unlink(missing_ok=True)
        os.kill(self._pid, signal.SIGUSR1)
        wait_for(self._file.exists, 30, "the plug-in does not look", every=0.05)
        return json.loads(self._file.read_text())

    def find(self, **facts: object) -> dict | None:
        """The first widget with these facts; None where there is none. A callable is asked about its fact."""

        def fits(widget: dict) -> bool:
            return all(
                wanted(widget.get(key)) if callable(wanted) else widget.get(key) == wanted
                for key, wanted in facts.items()
            )

        return next((widget for widget in self.look() if fits(widget)), None)

    def wait(self, **facts: object) -> dict:
        """The same, once it is there."""
        try:
            return wait_for(lambda: self.find(**facts), 40, f"no widget has {facts}", every=0.2)
        except AssertionError:
            self._window.screenshot("failure.png")
            raise

    def point(self, widget: dict) -> None:
        """Moves the pointer to the middle of a widget."""
        x, y = widget["x"] + widget["width"] // 2, widget["y"] + widget["height"] // 2
        self._window.display.xdotool("mousemove", "--sync", x - 1, y)
        self._window.display.xdotool("mousemove", "--sync", x, y)

    def press(self, **facts: object) -> dict:
        """Clicks a widget once it is there."""
        widget = self.wait(**{"on": True, **facts})
        self.point(widget)
        self._window.display.xdotool("click", 1)
        return widget

    def until(self, holds: Callable[[list[dict]], bool], what: str) -> list[dict]:
        """What is in sight, once it is so."""

        def there() -> list[dict] | None:
            seen = self.look()
            return seen if holds(seen) else None

        try:
            return wait_for(there, 60, what, every=0.2)
        except AssertionError:
            self._window.screenshot("failure.png")
            raise
