"""One editor for each kind of parameter: a widget, its value, and a signal when the value changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .qt import QtCore, QtGui, QtWidgets, Signal
from .velatura_protocol.amounts import decimals, step_of
from .velatura_protocol.choices import offers
from .velatura_protocol.schema import Field

Layers = Callable[[], list[tuple[str, str]]]  #: (id, name) of the picture's layers, from top to bottom
TEXT_MARGIN = 1  #: pixels that styles leave on each side of a combo box's text
FOCUS = QtCore.Qt.FocusPolicy.StrongFocus


class WheelGuard(QtCore.QObject):
    """Ignores the wheel over a value while the docker is scrolled."""

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if event.type() == QtCore.QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


def guard_wheel(widget: QtWidgets.QWidget) -> None:
    """Gives the wheel to `widget` only while it has the focus."""
    widget.setFocusPolicy(FOCUS)
    widget.installEventFilter(WheelGuard(widget))


class Combo(QtWidgets.QComboBox):
    """A combo box that may be narrower than its entries: the shown one then ends in dots, and the open list
    is as wide as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        guard_wheel(self)

    def showPopup(self) -> None:
        view = self.view()
        bar = view.verticalScrollBar().sizeHint().width()
        view.setMinimumWidth(view.sizeHintForColumn(0) + bar + 2 * view.frameWidth() if self.count() else 0)
        super().showPopup()

    def paintEvent(self, _event: QtCore.QEvent) -> None:
        painter, option = QtWidgets.QStylePainter(self), QtWidgets.QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = self.fitting(option)
        painter.drawComplexControl(QtWidgets.QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_ComboBoxLabel, option)

    def fitting(self, option: QtWidgets.QStyleOptionComboBox) -> str:
        """The text that there is room for."""
        edit = QtWidgets.QStyle.SubControl.SC_ComboBoxEditField
        whole = QtWidgets.QStyle.ComplexControl.CC_ComboBox
        room = self.style().subControlRect(whole, option, edit, self).width() - 2 * TEXT_MARGIN
        return self.fontMetrics().elidedText(option.currentText, QtCore.Qt.TextElideMode.ElideRight, room)


class Editor(QtWidgets.QWidget):
    """The part that all editors share.  Subclasses build their widgets and define `value` and `set_value`."""

    changed = Signal()
    slid = Signal()  #: the person moves a number, by the slider or beside it

    def __init__(self, spec: Field, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.spec = spec
        self.row = QtWidgets.QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(6)

    def value(self) -> Any:
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Shows `value`, which is within the field's bounds; emits `changed` if it differs."""
        raise NotImplementedError

    def adopt(self, widget: QtWidgets.QWidget, name: str = "", stretch: int = 1) -> None:
        """Name `widget` for people, screen readers and scripts, and put it into the row.

        A click on the title focuses the widget that has the key itself (no `name`).
        """
        widget.setToolTip(self.spec.description)
        widget.setAccessibleName(self.spec.title)
        widget.setAccessibleDescription(self.spec.description)
        widget.setObjectName(f"{self.spec.key}.{name}" if name else self.spec.key)
        if not name:
            self.setFocusProxy(widget)
        self.row.addWidget(widget, stretch)


class TextLine(Editor):
    def __init__(self, spec: Field, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(spec, parent)
        self.edit = QtWidgets.QLineEdit()
        self.edit.setMaxLength(spec.max_length)
        self.edit.textChanged.connect(lambda _text: self.changed.emit())
        self.adopt(self.edit)

    def value(self) -> str:
        return self.edit.text()

    def set_value(self, value: str) -> None:
        self.edit.setText(value)


class TextBox(Editor):
    """Several lines; text beyond the longest length is cut off."""

    def __init__(self, spec: Field, parent: QtWidgets.QWidget | None = None, lines: int = 3) -> None:
        super().__init__(spec, parent)
        self.edit = QtWidgets.QPlainTextEdit()
        self.edit.setTabChangesFocus(True)
        self.edit.setFixedHeight(self.edit.fontMetrics().lineSpacing() * lines + 14)
        self.edit.textChanged.connect(self._changed)
        self.adopt(self.edit)

    def _changed(self) -> None:
        if len(self.edit.toPlainText()) > self.spec.max_length:
            self.edit.textCursor().deletePreviousChar()
            return
        self.changed.emit()

    def value(self) -> str:
        return self.edit.toPlainText()[: self.spec.max_length]

    def set_value(self, value: str) -> None:
        if value != self.edit.toPlainText():
            self.edit.setPlainText(value[: self.spec.max_length])

    def write(self, value: str) -> None:
        """As `set_value`, in one step for the field's own undo."""
        cursor = QtGui.QTextCursor(self.edit.document())
        cursor.select(QtGui.QTextCursor.SelectionType.Document)
        cursor.insertText(value[: self.spec.max_length])


class Number(Editor):
    """A slider, which walks the field's steps, beside a spin box, which takes any value within its bounds."""

    def __init__(self, spec: Field, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(spec, parent)
        self.whole = spec.kind == "integer"
        self._is_set = False  #: the value comes from `set_value`
        low, high = spec.minimum, spec.maximum
        self.step = step_of(spec)
        self.slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self.slider.setRange(0, max(0, round((high - low) / self.step)))
        self.slider.setPageStep(max(1, self.slider.maximum() // 10))
        self.slider.setMinimumWidth(40)
        if self.whole:
            self.spin: Any = QtWidgets.QSpinBox()
            self.spin.setSingleStep(int(self.step))
        else:
            self.spin = QtWidgets.QDoubleSpinBox()
            self.spin.setDecimals(decimals(self.step))
            self.spin.setSingleStep(spec.step or (high - low) / 20 or 1.0)
        self.spin.setRange(low, high)
        self.spin.setKeyboardTracking(False)
        self.spin.setSizePolicy(QtWidgets.QSizePolicy.Policy.Fixed, QtWidgets.QSizePolicy.Policy.Fixed)
        guard_wheel(self.slider)
        guard_wheel(self.spin)
        self.adopt(self.slider, name="slider")
        self.adopt(self.spin, stretch=0)
        self.slider.valueChanged.connect(self._slid)
        self.spin.valueChanged.connect(self._spun)
        self._show(self.spin.value())

    def _slid(self, position: int) -> None:
        value = min(self.spec.maximum, self.spec.minimum + position * self.step)
        self.spin.setValue(round(value) if self.whole else value)

    def _spun(self, value: float) -> None:
        if self.whole and (rest := value % int(self.step)):
            self.spin.setValue(
                int(value - rest if value - rest >= self.spec.minimum else value - rest + self.step)
            )
            return
        self._show(value)
        self.changed.emit()
        if not self._is_set:
            self.slid.emit()

    def _show(self, value: float) -> None:
        """Put the slider where the value is."""
        self.slider.blockSignals(True)
        self.slider.setValue(round((value - self.spec.minimum) / self.step))
        self.slider.blockSignals(False)

    def value(self) -> float:
        self.spin.interpretText()
        return (
            self.spin.value()
            if self.whole
            else min(max(self.spin.value(), self.spec.minimum), self.spec.maximum)
        )

    def set_value(self, value: float) -> None:
        self._is_set = True
        self.spin.setValue(round(value) if self.whole else value)
        self._is_set = False


class Switch(Editor):
    def __init__(self, spec: Field, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(spec, parent)
        self.box = QtWidgets.QCheckBox(spec.title)
        self.box.toggled.connect(lambda _on: self.changed.emit())
        self.adopt(self.box)

    def value(self) -> bool:
        return self.box.isChecked()

    def set_value(self, value: bool) -> None:
        self.box.setChecked(bool(value))


class Choice(Editor):
    def __init__(self, spec: Field, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(spec, parent)
        self.combo = Combo()
        for value, title in spec.choices:
            self.combo.addItem(title, value)
        self.combo.currentIndexChanged.connect(lambda _index: self.changed.emit())
        self.adopt(self.combo)

    def value(self) -> str:
        return self.combo.currentData()

    def set_value(self, value: str) -> None:
        self.combo.setCurrentIndex(max(0, self.combo.findData(value)))


class RasterChoice(Editor):
    """A layer of the picture, by its name, or the selection, or nothing. layers: returns (id, name) of the
    present layers, from top to bottom; called each time the list is opened."""

    def __init__(self, spec: Field, layers: Layers, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(spec, parent)
        self.layers = layers
        self.combo = Opening(self.refresh)
        self.refresh()
        self.combo.currentIndexChanged.connect(self._chosen)
        self.adopt(self.combo)

    def refresh(self) -> None:
        """Offers the present layers; the choice stays as long as its layer exists."""
        chosen = self.combo.currentData()
        self.combo.blockSignals(True)
        self.combo.clear()
        for choice, title in offers(self.spec, self.layers()):
            self.combo.addItem(title, choice)
        self.combo.setCurrentIndex(max(0, self.combo.findData(chosen) if chosen else 0))
        self.combo.blockSignals(False)
        if self.combo.currentData() != chosen:
            self.changed.emit()

    def _chosen(self, _index: int) -> None:
        self.changed.emit()
        self.slid.emit()

    def value(self) -> str | None:
        return self.combo.currentData()

    def set_value(self, value: str | None) -> None:
        self.refresh()
        self.combo.setCurrentIndex(max(0, self.combo.findData(value) if value else 0))


class Opening(Combo):
    """A combo box that calls `opens` before it shows its list."""

    def __init__(self, opens: Callable[[], None]) -> None:
        super().__init__()
        self.opens = opens

    def showPopup(self) -> None:
        self.opens()
        super().showPopup()


EDITORS: dict[str, type[Editor]] = {"integer": Number, "number": Number, "boolean": Switch, "enum": Choice}


def editor_for(spec: Field, layers: Layers) -> Editor:
    """The editor of a field that is not a group."""
    if spec.kind == "raster":
        return RasterChoice(spec, layers)
    if spec.kind == "string":
        return TextBox(spec) if spec.multiline else TextLine(spec)
    return EDITORS[spec.kind](spec)
