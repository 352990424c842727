"""The edge between Qt and the plugin's code: it logs every exception and shows none as a traceback."""

from __future__ import annotations

import functools
import logging
import logging.handlers
from collections.abc import Callable
from pathlib import Path
from typing import Any

log = logging.getLogger("velatura.krita")

FAULT = "Velatura met a fault of its own and left your picture as it was; its log says more."


def log_to(folder: Path) -> None:
    """Writes the plugin's log to `folder`/krita.log, at most 1 MiB and one older file.

    Raises OSError where the folder cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for handler in log.handlers:
        log.removeHandler(handler)
        handler.close()
    handler = logging.handlers.RotatingFileHandler(
        folder / "krita.log", maxBytes=1 << 20, backupCount=1, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


def edge(method: Callable[..., Any]) -> Callable[..., Any]:
    """Guards a method that Qt calls: an exception is logged and reported in the status line of
    `self.state`."""

    @functools.wraps(method)
    def guarded(self: Any, *args: Any) -> Any:
        try:
            return method(self, *args)
        except Exception:
            log.exception("in %s", method.__qualname__)
            self.state.say(FAULT, bad=True)
            return None

    return guarded
