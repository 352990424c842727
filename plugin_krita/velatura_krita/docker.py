"""Krita's docker around the panel, and the one session that all of its windows share."""

from __future__ import annotations

import contextlib
from pathlib import Path

from krita import DockWidget, Krita

from . import edges
from .network import Network
from .panel import Panel
from .session import Session
from .velatura_protocol.paths import host_config, state_dir

NAME = "velatura_docker"
TITLE = "Velatura"

_session: Session | None = None


def session() -> Session:
    """The session, made when the first window is; it ends with Krita."""
    global _session
    if _session is None:
        host = Krita.instance()
        config = host_config(Path(__file__).parent)
        folder = state_dir(config.get("state_dir") or None)
        with contextlib.suppress(OSError):  # an unwritable folder is reported when an edit needs it
            edges.log_to(folder / "logs")
        _session = Session(host)
        serve = [str(word) for word in config.get("serve", [])]
        _session.start(Network(folder, serve, f"krita {host.version()}", _session.emit_news))
        notifier = host.notifier()
        notifier.setActive(True)
        notifier.applicationClosing.connect(_session.close)
    return _session


class VelaturaDocker(DockWidget):
    """The docker; Krita makes one for each of its windows."""

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle(TITLE)
        self.setWidget(Panel(session()))

    def canvasChanged(self, canvas: object) -> None:
        """Required by Krita; the active document is looked up when it is needed."""
