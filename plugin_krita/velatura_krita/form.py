"""A method's schema as a form: basic and advanced fields, repeatable groups, reset to the defaults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .fields import Editor, Switch, editor_for
from .qt import QtCore, QtWidgets, Signal
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.schema import Field

LABEL_WIDTH = 96  #: pixels; a longer title wraps into a second line


class Section(QtWidgets.QWidget):
    """A header that is clicked to show and hide what stands below it."""

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
        self, fields: Sequence[Field], label_width: int, parent: QtWidgets.QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.editors: dict[str, Editor | Group] = {}
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(1, 1)
        for row, spec in enumerate(fields):
            editor = Group(spec) if spec.kind == "group" else editor_for(spec)(spec)
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
        """Show these values; a key that is absent keeps what it shows, a value out of bounds is left out."""
        show(self.editors, values)


class Group(QtWidgets.QWidget):
    """A list of entries of the same fields, which the person lengthens and shortens within the bounds."""

    changed, slid = Signal(), Signal()

    def __init__(self, spec: Field, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.spec = spec
        self.setObjectName(spec.key)
        self.setAccessibleName(spec.title)
        self.setToolTip(spec.description)
        self.entries: list[tuple[QtWidgets.QFrame, Rows, QtWidgets.QToolButton]] = []
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        head = QtWidgets.QHBoxLayout()
        head.addWidget(QtWidgets.QLabel(spec.title), 1)
        self.add = QtWidgets.QToolButton()
        self.add.setText("Add")
        self.add.setAccessibleName(f"Add to {spec.title}")
        self.add.setObjectName(spec.key + ".add")
        self.add.clicked.connect(lambda: self._add({}))
        head.addWidget(self.add)
        column.addLayout(head)
        self.column = QtWidgets.QVBoxLayout()
        self.column.setSpacing(4)
        column.addLayout(self.column)
        self._settle()

    def value(self) -> list[dict[str, Any]]:
        return [rows.values() for _frame, rows, _remove in self.entries]

    def set_value(self, value: list[dict[str, Any]]) -> None:
        while self.entries:
            self._remove(self.entries[-1][0])
        for entry in value:
            self._add(entry)

    def _add(self, values: dict[str, Any]) -> None:
        if len(self.entries) >= self.spec.max_items:
            return
        number = len(self.entries)
        fields = self.spec.fields
        frame = QtWidgets.QFrame()
        frame.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        line = QtWidgets.QHBoxLayout(frame)
        line.setContentsMargins(6, 6, 6, 6)
        rows = Rows(fields, title_width(fields, frame) if len(fields) > 1 else 56)
        rows.setObjectName(f"{self.spec.key}.{number}")
        rows.set_values({f.key: f.default for f in fields} | values)
        rows.changed.connect(self.changed)
        rows.slid.connect(self.slid)
        line.addWidget(rows, 1)
        remove = QtWidgets.QToolButton()
        remove.setText("✕")
        remove.setToolTip("Remove this entry")
        remove.setAccessibleName(f"Remove entry of {self.spec.title}")
        remove.setAutoRaise(True)
        remove.clicked.connect(lambda: self._remove(frame))
        line.addWidget(remove, 0, QtCore.Qt.AlignmentFlag.AlignTop)
        self.column.addWidget(frame)
        self.entries.append((frame, rows, remove))
        self._settle()
        self.changed.emit()

    def _remove(self, frame: QtWidgets.QFrame) -> None:
        self.entries = [entry for entry in self.entries if entry[0] is not frame]
        frame.setParent(None)
        frame.deleteLater()
        for number, (_frame, rows, _button) in enumerate(self.entries):
            rows.setObjectName(f"{self.spec.key}.{number}")
        self._settle()
        self.changed.emit()

    def _settle(self) -> None:
        self.add.setEnabled(len(self.entries) < self.spec.max_items)
        for _frame, _rows, remove in self.entries:
            remove.setEnabled(len(self.entries) > self.spec.min_items)


class Form(QtWidgets.QWidget):
    """The form of one method.  Values outside their bounds cannot be entered.

    elsewhere: editors of fields that are shown beside the prompt, not here, but are the form's too.
    """

    changed, slid = Signal(), Signal()

    def __init__(
        self,
        fields: Sequence[Field],
        elsewhere: Sequence[Any] = (),
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.fields = list(fields)
        self.elsewhere = {editor.spec.key: editor for editor in elsewhere}
        here = [f for f in self.fields if f.key not in self.elsewhere]
        width = title_width(here, self)
        self.basic = Rows([f for f in here if not f.advanced], width)
        self.advanced = Rows([f for f in here if f.advanced], width)
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
    """Let each editor show its value, if there is one within its bounds."""
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
