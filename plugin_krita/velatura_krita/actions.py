"""Krita's actions for the docker's buttons: for shortcuts, Krita's search, the menu and the toolbars.

Their texts and tips for Krita's own lists are in velatura_krita.action, which is installed beside the plugin.
"""

from __future__ import annotations

import functools
from typing import Any

from krita import Extension, Krita

from .docker import NAME, session
from .qt import QtCore, QtGui, QtWidgets

PREFIX = "velatura_"
MENU = "tools/scripts"  #: the place for plugins' actions, by Krita's manual
#: An action's name without the prefix, its name for `Panel.perform`, and its text (no colon: Krita's search
#: shows nothing behind one).
ACTIONS = (
    ("run", "Run Velatura Edit"),
    ("cancel", "Cancel Velatura Edit"),
    ("adjust", "Adjust Velatura Result"),
    ("next", "Show Next Velatura Variation"),
    ("previous", "Show Previous Velatura Variation"),
    ("keep", "Keep Velatura Variation"),
    ("prompt", "Go to Velatura Prompt"),
)
SHOWN = 4000  #: milliseconds for which a sentence is over the canvas


class Actions(Extension):
    """Krita makes one for all of its windows."""

    def setup(self) -> None:
        """Called by Krita before there is a window."""
        self._listens, self._told = False, ""

    def createActions(self, window: Any) -> None:
        """Make the actions of a new window; each works in the docker of the window in front."""
        for name, text in ACTIONS:
            action = window.createAction(PREFIX + name, text, MENU)
            action.triggered.connect(functools.partial(self._perform, name))
        if not self._listens:
            self._listens = True
            QtCore.QTimer.singleShot(0, self._listen)

    def _listen(self) -> None:
        state = session().state
        state.statusChanged.connect(lambda: self._tell(state.status))
        state.jobChanged.connect(self._on_job)

    def _on_job(self, job: str) -> None:
        """Shows each new obstacle of an edit: an obstacle is not part of the status."""
        obstacle = session().state.jobs[job].obstacle
        if obstacle != self._told:
            self._told = obstacle
            self._tell(obstacle)

    def _perform(self, name: str, *_: object) -> None:
        docker = docker_in_front()
        if docker is None:
            return
        if name == "prompt":
            docker.setVisible(True)
            docker.raise_()
        docker.widget().perform(name)

    def _tell(self, sentence: str) -> None:
        """Shows a sentence over the canvas while no docker is visible."""
        docker, window = docker_in_front(), Krita.instance().activeWindow()
        if not sentence or docker is None or docker.widget().isVisible():
            return
        if window.activeView() is not None:
            window.activeView().showFloatingMessage(sentence, QtGui.QIcon(), SHOWN, 1)


def docker_in_front() -> QtWidgets.QDockWidget | None:
    """Velatura's docker in the window that is in front; None while there is no window."""
    window = Krita.instance().activeWindow()
    return window.qwindow().findChild(QtWidgets.QDockWidget, NAME) if window is not None else None
