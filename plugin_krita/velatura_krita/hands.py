"""Whether the person holds a mouse button or the pen down: a result that came now would cut their drag."""

from __future__ import annotations

from .qt import QtCore, QtWidgets

CANVASES = ("KisOpenGLCanvas2", "KisQPainterCanvas")  #: classes of the widgets that show a picture
DOWN, UP = QtCore.QEvent.Type.TabletPress, QtCore.QEvent.Type.TabletRelease


class Pen(QtCore.QObject):
    """Watches the pen on the canvases: Qt knows of mouse buttons only."""

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self.is_down = False

    def watch(self) -> None:
        """Watches the canvases that there are now; a watched one is not watched twice."""
        for widget in QtWidgets.QApplication.allWidgets():
            if widget.metaObject().className() in CANVASES:
                widget.installEventFilter(self)

    def eventFilter(self, _widget: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if event.type() in (DOWN, UP):
            self.is_down = event.type() == DOWN
        return False


pen = Pen()


def is_pressed() -> bool:
    """Whether a mouse button or the pen is down."""
    return pen.is_down or QtWidgets.QApplication.mouseButtons() != QtCore.Qt.MouseButton.NoButton
