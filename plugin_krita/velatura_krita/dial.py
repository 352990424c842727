"""One dial: two texts that it leads between, and a slider for the strength."""

from __future__ import annotations

from .fields import Layers, Number, TextLine
from .form import Rows, title_width
from .qt import QtCore, QtGui, QtWidgets, Signal
from .velatura_protocol import dials
from .velatura_protocol.amounts import amount
from .velatura_protocol.schema import Field

KEYS = {QtCore.Qt.Key.Key_Up: -1, QtCore.Qt.Key.Key_Down: 1}
TITLE_TIP = "Click to change the words and the name"
NOTHING = "nothing"  #: shown in an empty text field of a dial


class Dial(QtWidgets.QFrame):
    """An entry of a field of dials.  The texts are folded away below the title."""

    changed = Signal()
    slid = Signal()  #: the person moves it, and it says something
    removed = Signal()

    def __init__(
        self,
        spec: Field,
        entry: dict,
        layers: Layers = list,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.spec = spec
        self.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        self.handle, self.title = Handle(), Title()
        self.title.setCheckable(True)
        self.title.toggled.connect(self._show_texts)
        self.remove = tool_button("✕", "Remove this dial")
        self.remove.setAutoRaise(True)
        self.remove.clicked.connect(lambda: self.removed.emit())
        self.number = Number(dials.strength(spec))
        self.number.slider.installEventFilter(self)
        self._mark_rest(self.number.slider)
        self.number.changed.connect(self._changed)
        self.number.slid.connect(self._slid)
        self.back = tool_button(amount(dials.rest(spec)), "Back to where nothing changes")
        self.back.setAutoRaise(True)
        self.back.clicked.connect(lambda: self.rest())
        self.number.row.addWidget(self.back)
        fields = [f for f in dials.in_order(spec.fields) if f.key != "strength"]
        self.texts = Rows(fields, title_width(fields, self), layers)
        self.texts.changed.connect(self._changed)
        for editor in self.texts.editors.values():
            if isinstance(editor, TextLine):
                editor.edit.returnPressed.connect(self._done)
                editor.edit.setPlaceholderText(NOTHING if editor.spec.key in ("less", "more") else "")
        self._build()
        self.set_entry(entry)
        self._show_texts(False)

    def _build(self) -> None:
        head = QtWidgets.QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(self.handle)
        head.addWidget(self.title, 1)
        head.addWidget(self.remove)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(4, 3, 4, 4)
        column.setSpacing(3)
        column.addLayout(head)
        column.addWidget(self.number)
        column.addWidget(self.texts)

    def _mark_rest(self, slider: QtWidgets.QSlider) -> None:
        """A tick at the position that changes nothing, in the middle of most dials."""
        spec = self.number.spec
        steps = round((dials.rest(self.spec) - spec.minimum) / self.number.step)
        if 0 < steps < slider.maximum():
            slider.setTickPosition(QtWidgets.QSlider.TickPosition.TicksBothSides)
            slider.setTickInterval(steps)

    def name(self, number: int) -> None:
        """Its place in the list, for scripts."""
        stem = f"{self.spec.key}.{number}"
        self.setObjectName(stem)
        for widget, part in (
            (self.handle, "handle"),
            (self.title, "title"),
            (self.remove, "remove"),
            (self.back, "rest"),
        ):
            widget.setObjectName(f"{stem}.{part}")

    def entry(self) -> dict:
        return self.texts.values() | {"strength": self.number.value()}

    def set_entry(self, entry: dict) -> None:
        """Shows the entry; missing values stay."""
        self.texts.set_values(entry)
        if "strength" in entry:
            self.number.set_value(entry["strength"])
        self._show_title()

    def rest(self) -> None:
        """Moves the slider to the position that changes nothing."""
        self.number.spin.setValue(dials.rest(self.spec))

    def edit(self) -> None:
        """Unfolds the texts for editing."""
        self.title.setChecked(True)
        self.texts.editors["less"].setFocus()

    def focus(self) -> None:
        self.number.slider.setFocus()

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if event.type() == QtCore.QEvent.Type.MouseButtonDblClick:
            self.rest()
            return True
        return super().eventFilter(watched, event)

    def _done(self) -> None:
        self.title.setChecked(False)
        self.focus()

    def _changed(self) -> None:
        self._show_title()
        self.changed.emit()

    def _slid(self) -> None:
        if dials.says_something(self.entry()):
            self.slid.emit()

    def _show_texts(self, on: bool) -> None:
        self.title.setArrowType(QtCore.Qt.ArrowType.DownArrow if on else QtCore.Qt.ArrowType.RightArrow)
        self.texts.setVisible(on)

    def _show_title(self) -> None:
        entry = self.entry()
        title = dials.title(entry)
        if title != self.title.full:
            self.title.show_text(title)
            self.setAccessibleName(title)
            self.handle.setAccessibleName(f"Move '{title}' up or down")
            self.remove.setAccessibleName(f"Remove '{title}'")
            self.back.setAccessibleName(f"'{title}' back to where nothing changes")
            for widget in (self.number.slider, self.number.spin):
                widget.setAccessibleName(f"{title}: {self.number.spec.title}")
        self.back.setEnabled(entry["strength"] != dials.rest(self.spec))


class Title(QtWidgets.QToolButton):
    """A button whose text is shortened with dots where there is no room for it."""

    def __init__(self) -> None:
        super().__init__()
        self.full = ""
        self.setAutoRaise(True)
        self.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setIconSize(QtCore.QSize(9, 9))
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)

    def show_text(self, text: str) -> None:
        self.full = text
        self.setAccessibleName(text)
        self.setAccessibleDescription(TITLE_TIP)
        self.setToolTip(f"{text}\n{TITLE_TIP}")
        self._fit()

    def resizeEvent(self, event: QtCore.QEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = max(0, self.width() - 26)
        mode = QtCore.Qt.TextElideMode.ElideRight
        self.setText(self.fontMetrics().elidedText(self.full, mode, room).replace("&", "&&"))


class Handle(QtWidgets.QWidget):
    """The handle that moves a dial up and down, by dragging or with the arrow keys."""

    stepped = Signal(int)  #: up is -1
    dragged = Signal(int)  #: to this height, counted from the handle's own top

    def __init__(self) -> None:
        super().__init__()
        self.setFixedWidth(12)
        self.setCursor(QtCore.Qt.CursorShape.SizeVerCursor)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.setToolTip("Drag up or down, or use the arrow keys, to put the dials in order")

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        if event.key() in KEYS:
            self.stepped.emit(KEYS[event.key()])
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        self.setFocus()

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        self.dragged.emit(event.pos().y())

    def focusInEvent(self, event: QtGui.QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QtGui.QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()

    def paintEvent(self, _event: QtCore.QEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        role = QtGui.QPalette.ColorRole.Highlight if self.hasFocus() else QtGui.QPalette.ColorRole.WindowText
        painter.setPen(QtCore.Qt.PenStyle.NoPen)
        painter.setBrush(self.palette().color(role))
        painter.setOpacity(1.0 if self.hasFocus() else 0.45)
        middle = QtCore.QPointF(self.width() / 2, self.height() / 2)
        for x in (-2.5, 2.5):
            for y in (-5.0, 0.0, 5.0):
                painter.drawEllipse(middle + QtCore.QPointF(x, y), 1.3, 1.3)


def tool_button(text: str, tip: str) -> QtWidgets.QToolButton:
    made = QtWidgets.QToolButton()
    made.setText(text)
    made.setToolTip(tip)
    made.setAccessibleName(tip)
    made.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
    return made
