"""The list below the prompt while it is typed: words that begin like the last one, or earlier prompts.

`velatura_protocol.prompt_offers` decides; here are the list and its keys. It takes no focus, and stands in no
way of typing: nothing is chosen before the first Down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .edges import edge
from .qt import QtCore, QtGui, QtWidgets, Signal
from .velatura_protocol.prompt_history import PromptHistory
from .velatura_protocol.prompt_offers import PromptOffers
from .words import characters, units

KEY = QtCore.Qt.Key
TYPE = QtCore.QEvent.Type
TAKES = (KEY.Key_Return, KEY.Key_Enter, KEY.Key_Tab)
ALT, CONTROL = QtCore.Qt.KeyboardModifier.AltModifier, QtCore.Qt.KeyboardModifier.ControlModifier
ROOM = 4  #: pixels round the rows


class PromptList(QtWidgets.QListWidget):
    """The list of `edit`, a prompt. folder: the state directory, where the earlier prompts are."""

    entered = Signal()  #: the person has come to the prompt: the model's words will be wanted

    def __init__(self, edit: QtWidgets.QPlainTextEdit, folder: Path) -> None:
        super().__init__(edit)
        self.words: Callable[[], Sequence[str]] = list  #: the model's words, as far as they are known
        self._edit, self._offers = edit, PromptOffers(PromptHistory(folder))
        self._takes = False  #: an offer is being taken, which is no typing
        self.setObjectName("prompt.offers")
        self.setAccessibleName("Words, and earlier prompts")
        self.setWindowFlags(QtCore.Qt.WindowType.ToolTip)  # above all, and without the focus
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(QtCore.Qt.TextElideMode.ElideRight)
        self.setUniformItemSizes(True)
        self.itemClicked.connect(lambda item: self._take(self.row(item)))
        edit.installEventFilter(self)
        edit.textChanged.connect(self._on_changed)

    def eventFilter(self, _edit: QtCore.QObject, event: QtCore.QEvent) -> bool:
        """The prompt's keys and focus."""
        if event.type() == TYPE.FocusIn:
            self._offers.enter()
            self.entered.emit()
        elif event.type() in (TYPE.FocusOut, TYPE.Hide):
            self._offers.close()
            self._show()
        elif event.type() in (TYPE.Move, TYPE.Resize) and self._offers.texts:
            self._show()  # below the prompt's new place
        elif event.type() == TYPE.ShortcutOverride and self._means(event):
            event.accept()  # the key comes here, and to no shortcut of Krita's
            return True
        elif event.type() == TYPE.KeyPress and self._means(event):
            self._press(event)
            return True
        return False

    def _means(self, event: QtGui.QKeyEvent) -> bool:
        key, offers = event.key(), self._offers
        if key == KEY.Key_Down and (event.modifiers() & ALT or not self._edit.toPlainText()):
            return True
        if not offers.texts or event.modifiers() & CONTROL:
            return False
        return key in (KEY.Key_Down, KEY.Key_Up, KEY.Key_Escape) or (
            key in TAKES and offers.chosen is not None
        )

    @edge
    def _press(self, event: QtGui.QKeyEvent) -> None:
        offers, key = self._offers, event.key()
        if key in TAKES:
            self._take()
            return
        if key == KEY.Key_Escape:
            offers.close()
        elif key == KEY.Key_Down and not offers.texts:
            offers.earlier(self._edit.toPlainText())
        if key in (KEY.Key_Down, KEY.Key_Up):
            offers.move(1 if key == KEY.Key_Down else -1)
        self._show()

    @edge
    def _on_changed(self) -> None:
        if self._takes or not self._edit.hasFocus():
            return
        text = self._edit.toPlainText()
        self._offers.vocabulary = self.words()
        self._offers.typed(text, characters(text, self._edit.textCursor().position()))
        self._show()

    @edge
    def _take(self, row: int | None = None) -> None:
        """Puts an offer into the prompt, in one step of its own undo."""
        taken = self._offers.take(self._edit.toPlainText(), row)
        if taken is not None:
            self._takes = True
            cursor = self._edit.textCursor()
            cursor.select(QtGui.QTextCursor.SelectionType.Document)
            cursor.insertText(taken[0])
            cursor.setPosition(units(*taken))
            self._edit.setTextCursor(cursor)
            self._takes = False
        self._show()

    def _show(self) -> None:
        texts, chosen = self._offers.texts, self._offers.chosen
        if texts != [self.item(row).text() for row in range(self.count())]:
            self.clear()
            self.addItems(texts)
        if chosen is None:
            self.clearSelection()
            self.setCurrentRow(-1)
        else:
            self.setCurrentRow(chosen)
        if not texts:
            self.hide()
            return
        height = self.sizeHintForRow(0) * len(texts) + ROOM
        corner = self._edit.mapToGlobal(QtCore.QPoint(0, self._edit.height()))
        screen = self._edit.screen().availableGeometry()
        if corner.y() + height > screen.bottom():
            corner = self._edit.mapToGlobal(QtCore.QPoint(0, -height))
        self.setGeometry(corner.x(), corner.y(), self._edit.width(), height)
        self.show()
