"""Small widgets side by side, wrapped into as many lines as the width asks for."""

from __future__ import annotations

from .qt import QtCore, QtWidgets

GAP = 4  #: pixels


class Flow(QtWidgets.QWidget):
    """Lays its widgets out only when it is told to or resized: nothing moves under the pointer by itself."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        self.widgets: list[QtWidgets.QWidget] = []

    def add(self, widget: QtWidgets.QWidget) -> None:
        widget.setParent(self)
        widget.setVisible(True)
        self.widgets.append(widget)

    def arrange(self) -> None:
        """Lay out those that are not hidden; the height becomes what they take."""
        x = y = line = 0
        for widget in self.widgets:
            if widget.isHidden():
                continue
            size = widget.sizeHint()
            width = min(size.width(), max(1, self.width()))
            if x and x + width > self.width():
                x, y = 0, y + line + GAP
                line = 0
            place = QtCore.QRect(x, y, width, size.height())
            if widget.geometry() != place:
                widget.setGeometry(place)
            x, line = x + width + GAP, max(line, size.height())
        if self.minimumHeight() != y + line or self.maximumHeight() != y + line:
            self.setFixedHeight(y + line)
            QtCore.QTimer.singleShot(0, self._tell)

    def _tell(self) -> None:
        """Qt 5 keeps the heights that layouts further out remember when one is set amid a layout."""
        widget: QtWidgets.QWidget | None = self
        while widget is not None and not isinstance(widget, QtWidgets.QAbstractScrollArea):
            widget.updateGeometry()
            widget = widget.parentWidget()

    def resizeEvent(self, event: QtCore.QEvent) -> None:
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self.arrange()
