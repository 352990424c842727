"""The prompt as words: a chip for each, and below them a strip to change the one that is chosen."""

from __future__ import annotations

from .fields import Layers, decimals, step_of
from .flow import STYLE, Flow
from .qt import QtCore, QtGui, QtWidgets, Signal
from .strip import Strip
from .velatura_protocol.schema import Field
from .wording import Mark, Piece, Wording, difference


class Words(QtWidgets.QWidget):
    """The editor of a group that is about words of the prompt.

    As other editors it has `spec`, `value`, `set_value` and `changed`; `slid` says that the person moves
    something, `selected` that they ask where the word is (its text, and which of several equal ones),
    `dialled` that they want a dial of it.
    """

    changed, slid = Signal(), Signal()
    selected = Signal(str, int)
    dialled = Signal(str)

    def __init__(
        self,
        spec: Field,
        prompt: QtWidgets.QPlainTextEdit,
        layers: Layers = list,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.spec, self.prompt = spec, prompt
        self.wording = Wording(spec)
        self.chosen: Mark | None = None
        self.setObjectName(spec.key)
        self.setAccessibleName(spec.title)
        self.chips: list[Chip] = []
        self.flow, self.strip = Flow(), Strip(spec, self.wording.fields, layers)
        self.flow.setStyleSheet(STYLE)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.flow)
        column.addWidget(self.strip)
        self.strip.rows.changed.connect(self._on_values)
        self.strip.rows.slid.connect(self.slid)
        self.strip.asked.connect(self._on_asked)
        prompt.textChanged.connect(self._on_prompt)
        self._on_prompt()

    def value(self) -> list[dict]:
        return self.wording.entries()

    def set_value(self, value: list[dict]) -> None:
        self.wording.load(value)
        self.chosen = None
        self._show()
        self.changed.emit()

    def offer(self, action: str, on: bool) -> None:
        """Whether the daemon can say where a word is (`select`), and make a dial of it (`dial`)."""
        self.strip.buttons[action].setVisible(on)
        self.strip.flow.arrange()

    # What the person does

    def _on_prompt(self) -> None:
        text = self.prompt.toPlainText()
        before = self.wording.entries()
        self.wording.follow(text, characters(text, self.prompt.textCursor().position()))
        if self.wording.piece_of(self.chosen) is None:
            self.chosen = None
        self._show()
        if self.wording.entries() != before:
            self.changed.emit()

    def choose(self, at: int) -> None:
        """Show the strip for the piece at this place, or hide it if it is shown for that."""
        piece = self.wording.pieces()[at]
        same = self.chosen is not None and piece.mark is self.chosen
        self.chosen = None if same else self.wording.mark(piece.word)
        self.wording.tidy(keep=self.chosen)
        self._show()
        for delay in (0, 60):  # once it has its place, and once what is in it has
            QtCore.QTimer.singleShot(delay, self._reveal)

    def _on_values(self) -> None:
        if self.chosen is None or self.strip.is_filling:
            return
        self.chosen.values = self.strip.rows.values()
        for chip in self.chips:
            if chip.piece is not None and chip.piece.mark is self.chosen:
                chip.show_piece(chip.piece, self._suffix(self.chosen), self.wording.is_set(self.chosen))
        self._show_reset()
        self.changed.emit()

    def _on_asked(self, what: str) -> None:
        piece = self.wording.piece_of(self.chosen)
        if piece is None:
            return
        word, new = piece.word, self.strip.another()
        if what == "select":
            self.selected.emit(word.text, word.which)
        elif what == "dial":
            self.dialled.emit(word.text)
        elif what == "reset":
            self.chosen.values = self.wording.defaults()
            self._show()
            self.changed.emit()
        elif what == "remove":
            self.wording.remove(word)
            self._rewrite()
        elif new:
            if what == "swap":
                self.wording.swap(word, new)
            else:
                self.wording.add(word, new, before=what == "before")
            self.strip.edit.clear()
            self._rewrite()

    def _rewrite(self) -> None:
        """Bring the prompt's editor to what the wording says, in one step that its undo takes back."""
        text, new = self.prompt.toPlainText(), self.wording.prompt
        start, old_end, new_end = difference(text, new)
        cursor = QtGui.QTextCursor(self.prompt.document())
        cursor.setPosition(units(text, start))
        cursor.setPosition(units(text, old_end), QtGui.QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(new[start:new_end])
        self._show()
        self.changed.emit()

    # Drawing

    def _reveal(self) -> None:
        """Scroll to the strip: in a low docker it would open out of sight."""
        widget = self.parentWidget()
        while widget is not None and not isinstance(widget, QtWidgets.QScrollArea):
            widget = widget.parentWidget()
        if widget is not None and self.strip.isVisible():
            widget.ensureWidgetVisible(self.strip, 0, 4)

    def changeEvent(self, event: QtCore.QEvent) -> None:
        """The chips are as small as all else in a docker, which buttons with a style sheet are not."""
        super().changeEvent(event)
        if event.type() == QtCore.QEvent.Type.FontChange:
            for chip in self.chips:
                chip.setFont(self.font())
            self.flow.arrange()

    def _show(self) -> None:
        pieces = self.wording.pieces()
        while len(self.chips) < len(pieces):
            self._add_chip()
        for i, chip in enumerate(self.chips):
            piece = pieces[i] if i < len(pieces) else None
            chip.setVisible(piece is not None)
            chip.setChecked(piece is not None and piece.mark is not None and piece.mark is self.chosen)
            if piece is not None:
                chip.show_piece(piece, self._suffix(piece.mark), self.wording.is_set(piece.mark))
        self.flow.arrange()
        self.flow.setVisible(bool(pieces))
        piece = self.wording.piece_of(self.chosen)
        self.strip.setVisible(piece is not None)
        if piece is not None:
            self.strip.fill(piece.word.text, self.chosen.values)
            self._show_reset()
        self.setVisible(bool(pieces))

    def _show_reset(self) -> None:
        self.strip.buttons["reset"].setEnabled(self.wording.is_set(self.chosen))

    def _add_chip(self) -> None:
        at = len(self.chips)
        chip = Chip(f"word.{at}", self.spec.description, widest(self.wording.fields))
        chip.setFont(self.font())
        chip.clicked.connect(lambda: self.choose(at))
        self.chips.append(chip)
        self.flow.add(chip)

    def _suffix(self, mark: Mark | None) -> str:
        return suffix(self.wording.fields, mark.values) if self.wording.is_set(mark) else ""


class Chip(QtWidgets.QToolButton):
    """A word, and what is set for it.  One that is chosen has room for any value: it keeps its width."""

    def __init__(self, name: str, tip: str, room: str) -> None:
        super().__init__()
        self.piece: Piece | None = None
        self._hint: tuple[tuple[str, bool], QtCore.QSize] | None = None
        self._room, self._tip = room, tip
        self.setObjectName(name)
        self.setCheckable(True)

    def show_piece(self, piece: Piece, suffix: str, changed: bool) -> None:
        self.piece = piece
        text = piece.word.text + suffix
        if text != self.text():
            self.setText(text)
            self.setAccessibleName(text)
            self.setToolTip(f"{text}\n{self._tip}")
        if self.property("changed") != changed:
            self.setProperty("changed", changed)
            self.style().unpolish(self)
            self.style().polish(self)

    def sizeHint(self) -> QtCore.QSize:
        """Kept for each text: with a style sheet Qt takes a third of a millisecond to find it."""
        what = (self.text(), self.isChecked())
        if self._hint is None or self._hint[0] != what:
            hint = super().sizeHint()
            if self.isChecked() and self.piece is not None:
                metrics = self.fontMetrics()
                room = metrics.horizontalAdvance(self.piece.word.text + self._room)
                hint.setWidth(hint.width() + max(0, room - metrics.horizontalAdvance(self.text())))
            self._hint = (what, hint)
        return self._hint[1]

    def changeEvent(self, event: QtCore.QEvent) -> None:
        self._hint = None
        super().changeEvent(event)


def suffix(fields: list[Field], values: dict) -> str:
    """What a chip shows beside its word: the first of the numbers, or a dot if something else is set."""
    first = next((f for f in fields if f.kind in ("integer", "number")), None)
    if first is not None and values[first.key] != first.default:
        return f" ×{number(first, values[first.key])}"
    return " ✓" if len(fields) == 1 and fields[0].kind == "boolean" else " •"


def widest(fields: list[Field]) -> str:
    """The longest that a chip may show beside its word."""
    first = next((f for f in fields if f.kind in ("integer", "number")), None)
    if first is None:
        return " •"
    places = 0 if first.kind == "integer" else decimals(step_of(first))
    return max((f" ×{end:.{places}f}" for end in (first.minimum, first.maximum)), key=len)


def number(field: Field, value: float) -> str:
    """2 of a field of whole numbers, else 2.0 or 1.25."""
    if field.kind == "integer":
        return str(round(value))
    places = decimals(step_of(field))
    text = f"{value:.{places}f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def units(text: str, count: int) -> int:
    """What Qt counts for the first `count` characters: those beyond the basic plane are two to it."""
    return len(text[:count].encode("utf-16-le", "surrogatepass")) // 2


def characters(text: str, count: int) -> int:
    """How many characters Qt's `count` of them are."""
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * count].decode("utf-16-le", "ignore"))
