"""Waiting until a document is idle, without a limit; the person learns at once how to help."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

from krita import Krita

from .hands import is_pressed
from .places import root_id
from .qt import QtWidgets
from .velatura_protocol.errors import VelaturaError

PAUSE = 30  #: milliseconds between two looks
SOON = 1.0  #: seconds that a stroke may take before the person is asked to wait or to finish it
#: Tools that keep a stroke open until the person ends it: Krita adds no layer and gives no lock meanwhile.
OPEN_TOOLS = {
    "KisToolTransform": "Finish your transform (Enter, or Esc to give it up)",
    "KritaTransform/KisToolMove": "Finish moving the layer (Enter)",
}
FILTER = "KisDlgFilter"  #: the window of a filter, which shows its effect on the picture while it is open
CLOSE_FILTER = "Close the window of the filter"
FINISH_STROKE = "Finish your stroke"
LET_WORK = "Wait until Krita has finished its work on the picture"

Tell = Callable[[str], None]


class Closed(VelaturaError):
    """The document was closed meanwhile."""

    def __init__(self) -> None:
        super().__init__("busy", "The picture was closed; open it and run again.")


def unheard(_sentence: str) -> None:
    """For callers that report nothing."""


def idle(document: Any, tell: Tell = unheard, released: bool = False) -> Generator[int, None, None]:
    """Waits, without blocking, until no stroke and no filter works on the document; see `steps.Steps`.

    tell: called with the action that the person has to finish first, as soon as it is known and at each
    change, and with an empty text once the document is idle.  released: whether to wait, too, until no mouse
    button and no pen is down: a selection that is being dragged is no stroke.  Raises `Closed` when the
    document is closed.
    """
    shown, begin = "", time.monotonic()
    try:
        while (released and is_pressed()) or not document.tryBarrierLock():
            if document.rootNode() is None:
                raise Closed
            what = obstacle(document)
            if not what and time.monotonic() - begin > SOON:
                what = FINISH_STROKE if is_pressed() else LET_WORK
            if what != shown:
                shown = what
                tell(what)
            yield PAUSE
        document.unlock()
    finally:
        if shown:
            tell("")


def obstacle(document: Any) -> str:
    """An instruction to finish the tool or window that blocks the document; empty if none is known."""
    for widget in QtWidgets.QApplication.topLevelWidgets():
        if widget.isVisible() and widget.metaObject().className() == FILTER:
            return CLOSE_FILTER
    for window in Krita.instance().windows():
        view = window.activeView()
        shown = view.document() if view is not None else None
        if shown is None or root_id(shown) != root_id(document):
            continue
        for tool, what in OPEN_TOOLS.items():
            button = window.qwindow().findChild(QtWidgets.QAbstractButton, tool)  # of the toolbox
            if button is not None and button.isChecked():
                return what
    return ""
