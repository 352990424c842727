"""The texts: the prompt, the caption of the layer, and the words of the prompt one by one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .dials import Dials
from .fields import Layers, TextBox
from .prompt_list import PromptList
from .qt import QtCore, QtGui, QtWidgets, Signal
from .velatura_protocol.schema import Field
from .words import Words

ENTERS = (QtCore.Qt.Key.Key_Return, QtCore.Qt.Key.Key_Enter)
KEYS = (QtCore.QEvent.Type.KeyPress, QtCore.QEvent.Type.ShortcutOverride)
CONTROL = QtCore.Qt.KeyboardModifier.ControlModifier
LINES = 3  #: of the prompt, and of the caption
WANTED = "What should be there?"
MAY_BE_EMPTY = "May stay empty: what else should be there?"
PROPOSE = ("Propose", "Propose a caption: look at the layer and write what it shows")
LOOKING = ("Looking…", "Looking at the layer; click to stop")


def means_run(event: QtCore.QEvent) -> bool:
    """Whether it is Ctrl+Enter, pressed or about to be: then it is accepted.

    Krita opens its search with these keys unless the focused widget accepts the override first.
    """
    if event.type() not in KEYS or event.key() not in ENTERS or not event.modifiers() & CONTROL:
        return False
    event.accept()
    return True


class Prompts(QtWidgets.QWidget):
    """The prompt; above it the caption and the dials, below it the words, for methods that have them.

    folder: the state directory, where presets of dials are.
    """

    entered = Signal()  #: Ctrl+Enter
    asked = Signal()  #: the person wants a caption proposed
    unasked = Signal()  #: the person cancels that

    def __init__(
        self,
        folder: Path | None = None,
        layers: Layers = list,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.folder, self.layers = folder, layers
        self.source: TextBox | None = None
        self.dials: Dials | None = None
        self._copies = False  #: the prompt begins as the caption
        self._question = ""  #: the id of the open question, or ""
        self._before = ""  #: the caption at that time
        self._offer, self._lack, self._ready = False, "", False  #: see `offer_proposal`
        self.words: Words | None = None
        self.edit = QtWidgets.QPlainTextEdit()
        self.edit.setTabChangesFocus(True)
        self.edit.setFixedHeight(self.edit.fontMetrics().lineSpacing() * LINES + 14)
        self.edit.installEventFilter(self)
        self.offers = PromptList(self.edit, folder) if folder is not None else None
        self.source_title, self.title = QtWidgets.QLabel(), QtWidgets.QLabel("Should be")
        self.title.setBuddy(self.edit)
        self.propose = QtWidgets.QToolButton()
        self.propose.setObjectName("propose")
        self.propose.clicked.connect(lambda: self._ask())
        self.copy = QtWidgets.QToolButton()
        self.copy.setText("Copy")
        self.copy.setObjectName("copy")
        self.copy.setAccessibleName("Copy what is shown now into the prompt")
        self.copy.setToolTip(
            "Begin the prompt with what the picture shows now, then write what should differ"
        )
        self.copy.clicked.connect(lambda: self._copy())
        top, middle = QtWidgets.QHBoxLayout(), QtWidgets.QHBoxLayout()
        top.addWidget(self.source_title, 1)
        top.addWidget(self.propose)
        middle.addWidget(self.title, 1)
        middle.addWidget(self.copy)
        self.column = column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(top)
        column.addLayout(middle)
        column.addWidget(self.edit)
        self.show_fields([])

    def text(self) -> str:
        return self.edit.toPlainText()

    def show_fields(self, fields: Sequence[Field], optional: bool = False) -> list[TextBox | Dials | Words]:
        """Makes editors for the fields that belong here, in place of the earlier ones, and returns them.

        optional: the prompt may stay empty, so it does not begin as the caption.
        """
        for old in filter(None, (self.source, self.dials, self.words)):
            old.setParent(None)  # its fields' names are free at once
            old.deleteLater()
        self.source = self.dials = self.words = None
        self._end_question()
        self._copies = not optional
        self.edit.setPlaceholderText(MAY_BE_EMPTY if optional else WANTED)
        caption = next((f for f in fields if f.source_prompt), None)
        group = next((f for f in fields if f.words), None)
        dials = next((f for f in fields if f.dials), None)
        if caption is not None:
            self.source = TextBox(caption, lines=LINES)
            self.source.edit.installEventFilter(self)
            self.source_title.setText(caption.title)
            self.source_title.setToolTip(caption.description)
            self.source_title.setBuddy(self.source)
            self.source.changed.connect(self._show_copy)
            self.column.insertWidget(1, self.source)
        if dials is not None:
            self.dials = Dials(dials, self.caption, self.folder, self.layers)
            self.column.insertWidget(1 if self.source is None else 2, self.dials)
            if self.source is not None:
                self.source.changed.connect(self.dials.show_words)
        if group is not None:
            self.words = Words(group, self.edit, self.layers)
            self.column.addWidget(self.words)
        for widget in (self.source_title, self.title, self.copy):
            widget.setVisible(caption is not None)
        self._show_copy()
        return [editor for editor in (self.source, self.dials, self.words) if editor is not None]

    def caption(self) -> str:
        return self.source.value() if self.source is not None else ""

    # The caption

    def offer_proposal(self, is_there: bool, lack: str, ready: bool) -> None:
        """is_there: whether a method can do it. lack: the reason why the chosen model cannot. ready: whether
        the daemon is connected."""
        self._offer = is_there
        self._lack = lack
        self._ready = ready
        self._show_propose()

    @property
    def wants_proposal(self) -> bool:
        """Whether the caption is empty and one could be proposed."""
        can_ask = self._offer and self._ready and not self._lack and not self._question
        return can_ask and self.source is not None and not self.caption().strip()

    def wait_for(self, question: str) -> None:
        """The caption was asked for; `hear` gets the answer."""
        self._question = question
        self._before = self.caption()
        self._show_propose()

    def hear(self, question: str, text: str) -> None:
        """Puts the answer into the field, unless the person has written there meanwhile, and into a prompt
        that is empty or a copy of the caption.
        """
        if question != self._question:
            return  # another docker's, or of a field that is gone
        self._question = ""
        if text and self.source is not None and self.source.value() == self._before:
            self.source.write(text)
            if self._copies and self.text().strip() in ("", self._before.strip()):
                self._copy()
        self._show_propose()

    def _ask(self) -> None:
        if self._question:
            self._end_question()
        else:
            self.asked.emit()

    def _end_question(self) -> None:
        if self._question:
            self._question = ""
            self.unasked.emit()
        self._show_propose()

    def _show_propose(self) -> None:
        looks = bool(self._question)
        title, tip = LOOKING if looks else PROPOSE
        self.propose.setText(title)
        self.propose.setAccessibleName(tip)
        self.propose.setToolTip(self._lack or tip)
        self.propose.setEnabled(looks or (self._ready and not self._lack))
        self.propose.setVisible(self._offer and self.source is not None)

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """Ctrl+Enter runs; when the caption loses the focus, it becomes the prompt if that is empty."""
        kind = event.type()
        if kind in KEYS and event.key() in ENTERS and event.modifiers() & CONTROL:
            event.accept()  # of an override: the key comes here, and opens no search of Krita's
            if kind == QtCore.QEvent.Type.KeyPress and not event.isAutoRepeat():
                self.entered.emit()
            return True
        left = kind == QtCore.QEvent.Type.FocusOut and watched is not self.edit
        if left and self._copies and not self.text().strip():
            self._copy()
        return super().eventFilter(watched, event)

    def _copy(self) -> None:
        """In one step of the prompt's own undo."""
        if self.source is not None:
            self.write(self.caption().strip())

    def write(self, text: str) -> None:
        """Puts this into the prompt in one step of its own undo."""
        cursor = QtGui.QTextCursor(self.edit.document())
        cursor.select(QtGui.QTextCursor.SelectionType.Document)
        cursor.insertText(text)

    def _show_copy(self) -> None:
        self.copy.setEnabled(bool(self.caption().strip()))
