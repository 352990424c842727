"""A method's schema as a form: basic and advanced fields, repeatable groups, reset to the defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .fields import Editor, Layers, Switch, editor_for
from .qt import QtCore, QtWidgets, Signal
from .velatura_protocol import dials
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.schema import Field

LABEL_WIDTH = 96  #: pixels; a longer title wraps into a second line


class Section(QtWidgets.QWidget):
    """A header; a click shows or hides its body."""

    def __init__(self, title: str, name: str, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.header = QtWidgets.QToolButton()
        self.header.setText(title)
        self.header.setAccessibleName(title)
        self.header.setObjectName(name)
        self.header.setAutoRaise(True)
        self.header.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setIconSize(QtCore.QSize(9, 9))
        self.body = QtWidgets.QWidget()
        self.head = QtWidgets.QHBoxLayout()
        self.head.setContentsMargins(0, 0, 0, 0)
        self.head.addWidget(self.header)
        self.head.addStretch(1)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self.head)
        column.addWidget(self.body, 1)
        column.addStretch()
        self.header.clicked.connect(lambda: self.open(self.body.isHidden()))
        self.open(False)

    def open(self, on: bool) -> None:
        """Show or hide the body."""
        self.header.setArrowType(QtCore.Qt.ArrowType.DownArrow if on else QtCore.Qt.ArrowType.RightArrow)
        self.body.setVisible(on)


class Rows(QtWidgets.QWidget):
    """Fields one below the other, the titles of equal width at the left."""

    changed, slid = Signal(), Signal()

    def __init__(
        self,
        fields: Sequence[Field],
        label_width: int,
        layers: Layers = list,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.editors: dict[str, Editor | Group] = {}
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        for row, spec in enumerate(fields):
            editor = Group(spec, layers) if spec.kind == "group" else editor_for(spec, layers)
            editor.changed.connect(self.changed)
            editor.slid.connect(self.slid)
            self.editors[spec.key] = editor
            if isinstance(editor, (Group, Switch)):
                grid.addWidget(editor, row, 0, 1, 2)
            else:
                label = QtWidgets.QLabel(spec.title)
                label.setWordWrap(True)
                label.setFixedWidth(label_width)
                label.setToolTip(spec.description)
                label.setBuddy(editor)
                grid.addWidget(label, row, 0)
                grid.addWidget(editor, row, 1)

    def values(self) -> dict[str, Any]:
        return {key: editor.value() for key, editor in self.editors.items()}

    def set_values(self, values: dict[str, Any]) -> None:
        """Shows these values; missing keys keep their value, a value out of bounds is ignored."""
        show(self.editors, values)


class Group(QtWidgets.QWidget):
    """A list of entries of the same fields: added and removed within the bounds, and moved."""

    changed, slid = Signal(), Signal()

    def __init__(self, spec: Field, layers: Layers, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.spec, self.layers = spec, layers
        self.setObjectName(spec.key)
        self.setAccessibleName(spec.title)
        self.setToolTip(spec.description)
        self.entries: list[Entry] = []
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        head = QtWidgets.QHBoxLayout()
        head.addWidget(QtWidgets.QLabel(spec.title), 1)
        self.add = QtWidgets.QToolButton()
        self.add.setText("Add")
        self.add.setAccessibleName(f"Add to {spec.title}")
        self.add.setObjectName(spec.key + ".add")
        self.add.clicked.connect(self._on_add)
        head.addWidget(self.add)
        column.addLayout(head)
        self.column = QtWidgets.QVBoxLayout()
        self.column.setSpacing(4)
        column.addLayout(self.column)
        self._update_buttons()

    def value(self) -> list[dict[str, Any]]:
        return [entry.rows.values() for entry in self.entries]

    def set_value(self, value: list[dict[str, Any]]) -> None:
        while self.entries:
            self._take_out(self.entries[-1])
        for entry in value:
            self._add(entry)

    def _on_add(self) -> None:
        self._add({})
        self.slid.emit()

    def _add(self, values: dict[str, Any]) -> None:
        if dials.is_full(self.spec, self.entries):
            return
        entry = Entry(self.spec, self.layers, values)
        entry.rows.changed.connect(self.changed)
        entry.rows.slid.connect(self.slid)
        entry.up.clicked.connect(lambda: self._move(entry, -1))
        entry.down.clicked.connect(lambda: self._move(entry, 1))
        entry.remove.clicked.connect(lambda: self._on_remove(entry))
        self.column.addWidget(entry)
        self.entries.append(entry)
        self._update_buttons()
        self.changed.emit()

    def _on_remove(self, entry: Entry) -> None:
        self._take_out(entry)
        self.slid.emit()

    def _take_out(self, entry: Entry) -> None:
        self.entries.remove(entry)
        entry.setParent(None)
        entry.deleteLater()
        self._update_buttons()
        self.changed.emit()

    def _move(self, entry: Entry, by: int) -> None:
        at = self.entries.index(entry)
        self.entries = dials.move(self.entries, at, at + by)
        for place, each in enumerate(self.entries):
            self.column.insertWidget(place, each)
        self._update_buttons()
        self.changed.emit()
        self.slid.emit()

    def _update_buttons(self) -> None:
        count = len(self.entries)
        self.add.setEnabled(not dials.is_full(self.spec, self.entries))
        for number, entry in enumerate(self.entries):
            entry.name(number)
            entry.up.setEnabled(number > 0)
            entry.down.setEnabled(number + 1 < count)
            entry.remove.setEnabled(count > self.spec.min_items)


class Entry(QtWidgets.QFrame):
    """One entry of a group, with the buttons that all of them have."""

    def __init__(self, spec: Field, layers: Layers, values: dict[str, Any]) -> None:
        super().__init__()
        self.spec = spec
        self.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        fields = spec.fields
        self.rows = Rows(fields, title_width(fields, self) if len(fields) > 1 else 56, layers)
        self.rows.set_values({field.key: field.default for field in fields} | values)
        self.up = tool("▲", "Move this entry up", f"Move entry of {spec.title} up")
        self.down = tool("▼", "Move this entry down", f"Move entry of {spec.title} down")
        self.remove = tool("✕", "Remove this entry", f"Remove entry of {spec.title}")
        tools = QtWidgets.QVBoxLayout()
        tools.setSpacing(0)
        for button in (self.remove, self.up, self.down):
            tools.addWidget(button)
        tools.addStretch(1)
        line = QtWidgets.QHBoxLayout(self)
        line.setContentsMargins(6, 6, 6, 6)
        line.addWidget(self.rows, 1)
        line.addLayout(tools)

    def name(self, number: int) -> None:
        """Name the parts for scripts, by the place in the list."""
        self.rows.setObjectName(f"{self.spec.key}.{number}")
        for button, what in ((self.up, "up"), (self.down, "down"), (self.remove, "remove")):
            button.setObjectName(f"{self.spec.key}.{number}.{what}")


def tool(text: str, tip: str, title: str) -> QtWidgets.QToolButton:
    """A small button.  title: for screen readers."""
    made = QtWidgets.QToolButton()
    made.setText(text)
    made.setToolTip(tip)
    made.setAccessibleName(title)
    made.setAutoRaise(True)
    return made


class Form(QtWidgets.QWidget):
    """The form of one method.  Values outside their bounds cannot be entered.

    elsewhere: the form's editors that are shown beside the prompt. layers: the picture's layers for raster
    fields; see `fields.RasterChoice`.
    """

    changed, slid = Signal(), Signal()

    def __init__(
        self,
        fields: Sequence[Field],
        elsewhere: Sequence[Any] = (),
        layers: Layers = list,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.fields = list(fields)
        self.elsewhere = {editor.spec.key: editor for editor in elsewhere}
        here = [f for f in self.fields if f.key not in self.elsewhere]
        width = title_width(here, self)
        self.basic = Rows([f for f in here if not f.advanced], width, layers)
        self.advanced = Rows([f for f in here if f.advanced], width, layers)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.basic)
        self.section = Section("Advanced", "advanced")
        inner = QtWidgets.QVBoxLayout(self.section.body)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.advanced)
        column.addWidget(self.section)
        self.section.setVisible(bool(self.fields))
        self.section.header.setVisible(bool(self.advanced.editors))
        self.defaults = QtWidgets.QToolButton()
        self.defaults.setText("Defaults")
        self.defaults.setToolTip("Set all parameters of this method back to their defaults")
        self.defaults.setAccessibleName("Reset to the defaults")
        self.defaults.setObjectName("reset")
        self.defaults.setAutoRaise(True)
        self.defaults.clicked.connect(lambda: self.reset())
        self.section.head.addWidget(self.defaults)
        for part in (self.basic, self.advanced, *elsewhere):
            part.changed.connect(self._changed)
            part.slid.connect(self.slid)
        self.reset()
        self._changed()

    def _changed(self) -> None:
        self.defaults.setEnabled(not self.is_default())
        self.changed.emit()

    def values(self) -> dict[str, Any]:
        elsewhere = {key: editor.value() for key, editor in self.elsewhere.items()}
        return self.basic.values() | self.advanced.values() | elsewhere

    def set_values(self, values: dict[str, Any]) -> None:
        for editors in (self.basic.editors, self.advanced.editors, self.elsewhere):
            show(editors, values)

    def reset(self) -> None:
        self.set_values({f.key: f.default for f in self.fields})

    def is_default(self) -> bool:
        return self.values() == {f.key: f.default for f in self.fields}


def show(editors: dict[str, Any], values: dict[str, Any]) -> None:
    """Shows each value that is within its editor's bounds."""
    for key, editor in editors.items():
        if key not in values:
            continue
        try:
            editor.set_value(editor.spec.check(values[key]))
        except VelaturaError:
            continue  # a recipe of another version of the method: its other values still serve


def title_width(fields: Sequence[Field], widget: QtWidgets.QWidget) -> int:
    """The width that the titles of `fields` need, up to `LABEL_WIDTH`."""
    metrics = widget.fontMetrics()
    widths = [metrics.horizontalAdvance(f.title) + 2 for f in fields if f.kind not in ("boolean", "group")]
    return min(LABEL_WIDTH, max(widths, default=0))
