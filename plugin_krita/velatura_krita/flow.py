"""Small widgets side by side, wrapped into lines."""

from __future__ import annotations

from collections.abc import Sequence

from .qt import QtCore, QtGui, QtWidgets, Signal

GAP = 4  #: pixels
STYLE = """
QToolButton { border: 1px solid rgba(128, 128, 128, 140); border-radius: 8px; padding: 1px 3px; }
QToolButton:hover, QToolButton:focus { border-color: palette(highlight); }
QToolButton[changed="true"] { border-color: palette(highlight); }
QToolButton:checked { background: palette(highlight); color: palette(highlighted-text); }
QToolButton:disabled { color: rgba(128, 128, 128, 160); }
"""  #: of chips


class Flow(QtWidgets.QWidget):
    """Lays its widgets out only on `arrange` or a resize, so that nothing moves under the pointer."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)
        self.widgets: list[QtWidgets.QWidget] = []

    def add(self, widget: QtWidgets.QWidget) -> None:
        widget.setParent(self)
        widget.setVisible(True)
        self.widgets.append(widget)

    def arrange(self) -> None:
        """Lays out the widgets that are not hidden, and sets the height that they need."""
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


class Chips(Flow):
    """Texts to be clicked, as chips."""

    clicked = Signal(int)  #: which of them

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._font = self.font()
        self.setStyleSheet(STYLE)

    def offer(self, texts: Sequence[tuple[str, str]]) -> None:
        """Shows these texts, each with the tooltip of its click; earlier chips are reused."""
        while len(self.widgets) < len(texts):
            self._add_chip(len(self.widgets))
        for i, chip in enumerate(self.widgets):
            chip.setVisible(i < len(texts))
            if i < len(texts):
                text, tip = texts[i]
                chip.setText(text.replace("&", "&&"))
                chip.setToolTip(tip)
                chip.setAccessibleName(tip)
        self.arrange()

    def _add_chip(self, at: int) -> None:
        chip = QtWidgets.QToolButton()
        chip.setObjectName(f"{self.objectName()}.{at}")
        chip.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        chip.setFont(self._font)
        chip.clicked.connect(lambda: self.clicked.emit(at))
        self.add(chip)

    def take_font(self, font: QtGui.QFont) -> None:
        """Takes the docker's small font: a widget with a style sheet does not inherit it."""
        self._font = font
        for chip in self.widgets:
            chip.setFont(font)
        self.arrange()
