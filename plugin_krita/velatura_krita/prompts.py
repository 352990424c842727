"""What is said in words: the prompt, the caption of what is there, and the words of the prompt one by one."""

from __future__ import annotations

from collections.abc import Sequence

from .fields import TextBox
from .qt import QtCore, QtWidgets, Signal
from .velatura_protocol.schema import Field
from .words import Words

ENTERS = (QtCore.Qt.Key.Key_Return, QtCore.Qt.Key.Key_Enter)
LINES = 3  #: of the prompt


class Prompts(QtWidgets.QWidget):
    """The prompt; above it the caption and below it the words, for methods that have such parameters."""

    entered = Signal()  #: Ctrl+Enter

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.source: TextBox | None = None
        self.words: Words | None = None
        self.edit = QtWidgets.QPlainTextEdit()
        self.edit.setTabChangesFocus(True)
        self.edit.setFixedHeight(self.edit.fontMetrics().lineSpacing() * LINES + 14)
        self.edit.installEventFilter(self)
        self.source_title, self.title = QtWidgets.QLabel(), QtWidgets.QLabel("Should be")
        self.title.setBuddy(self.edit)
        self.copy = QtWidgets.QToolButton()
        self.copy.setText("Copy")
        self.copy.setObjectName("copy")
        self.copy.setAccessibleName("Copy what is shown now into the prompt")
        self.copy.setToolTip("Begin the prompt with what the picture shows now, then change words in it")
        self.copy.clicked.connect(lambda: self._copy())
        middle = QtWidgets.QHBoxLayout()
        middle.addWidget(self.title, 1)
        middle.addWidget(self.copy)
        self.column = column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.source_title)
        column.addLayout(middle)
        column.addWidget(self.edit)
        self.show_fields([])

    def text(self) -> str:
        return self.edit.toPlainText()

    def show_fields(self, fields: Sequence[Field]) -> list[TextBox | Words]:
        """Make editors of the fields that belong here, in the place of those of before; return them."""
        for old in filter(None, (self.source, self.words)):
            old.setParent(None)  # its fields' names are free at once
            old.deleteLater()
        self.source = self.words = None
        caption = next((f for f in fields if f.source_prompt), None)
        group = next((f for f in fields if f.words), None)
        if caption is not None:
            self.source = TextBox(caption, lines=2)
            self.source.edit.installEventFilter(self)
            self.source_title.setText(caption.title)
            self.source_title.setToolTip(caption.description)
            self.source_title.setBuddy(self.source)
            self.source.changed.connect(self._show_copy)
            self.column.insertWidget(1, self.source)
        if group is not None:
            self.words = Words(group, self.edit)
            self.column.addWidget(self.words)
        for widget in (self.source_title, self.title, self.copy):
            widget.setVisible(caption is not None)
        self._show_copy()
        return [editor for editor in (self.source, self.words) if editor is not None]

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """Ctrl+Enter runs; a caption that is left behind becomes the prompt where there is none yet."""
        is_enter = event.type() == QtCore.QEvent.Type.KeyPress and event.key() in ENTERS
        if is_enter and event.modifiers() & QtCore.Qt.KeyboardModifier.ControlModifier:
            self.entered.emit()
            return True
        if (
            event.type() == QtCore.QEvent.Type.FocusOut
            and watched is not self.edit
            and not self.text().strip()
        ):
            self._copy()
        return super().eventFilter(watched, event)

    def _copy(self) -> None:
        """In one step, which the prompt's own undo takes back."""
        if self.source is not None:
            self.edit.selectAll()
            self.edit.insertPlainText(self.source.value().strip())

    def _show_copy(self) -> None:
        self.copy.setEnabled(self.source is not None and bool(self.source.value().strip()))
