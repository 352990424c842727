"""The prompt as words: a chip for each, and below them a strip for the chosen word."""

from __future__ import annotations

from collections.abc import Sequence

from .fields import Layers
from .flow import STYLE, Flow
from .qt import QtCore, QtGui, QtWidgets, Signal
from .velatura_protocol.amounts import decimals, step_of
from .velatura_protocol.marks import Edit
from .velatura_protocol.schema import Field
from .velatura_protocol.word_settings import FULL, Chip, Entry, WordSettings
from .word_strip import Strip


class Words(QtWidgets.QWidget):
    """The editor of a group that is about words of the prompt.

    As other editors it has `spec`, `value`, `set_value` and `changed`; `slid` says that the person moves
    something, `selected` that they ask where the word is (its text, and which of several equal ones),
    `dialled` that they want a dial of it (a `words.Word` of the prompt), `said` that there is a sentence for
    them, and whether something went wrong.
    """

    changed, slid = Signal(), Signal()
    selected = Signal(str, int)
    dialled = Signal(object)
    said = Signal(str, bool)

    def __init__(
        self,
        spec: Field,
        prompt: QtWidgets.QPlainTextEdit,
        layers: Layers = list,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.spec, self.prompt = spec, prompt
        self.settings = WordSettings(spec, prompt.toPlainText())
        self.setObjectName(spec.key)
        self.setAccessibleName(spec.title)
        self.chips: list[ChipButton] = []
        self.flow, self.strip = Flow(), Strip(spec, self.settings.settings, layers)
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
        self._show()

    def value(self) -> list[Entry]:
        return self.settings.value()

    def set_value(self, value: list[Entry]) -> None:
        self.settings.load(value)
        self._show()
        self.changed.emit()

    def offer(self, action: str, on: bool) -> None:
        """Whether the daemon can say where a word is (`select`), and make a dial of it (`dial`)."""
        self.strip.buttons[action].setVisible(on)
        self.strip.flow.arrange()

    # Actions of the person

    def _on_prompt(self) -> None:
        text = self.prompt.toPlainText()
        before = self.settings.value()
        self.settings.follow(text, characters(text, self.prompt.textCursor().position()))
        self._show()
        if self.settings.value() != before:
            self.changed.emit()

    def choose(self, at: int) -> None:
        """Show the strip for the word at this place, or hide it if it is shown for that."""
        chip = self.settings.chips()[at]
        self.settings.choose(None if chip.is_chosen else chip.word)
        self._show()
        for delay in (0, 60):  # once it has its place, and once its contents have theirs
            QtCore.QTimer.singleShot(delay, self._reveal)

    def _on_values(self) -> None:
        chosen = self.settings.chosen()
        if chosen is None or self.strip.is_filling:
            return
        if not self.settings.set(chosen.word, self.strip.rows.values()):
            self.said.emit(FULL.format(self.spec.max_items), True)
            self.strip.fill(chosen.word.text, chosen.values)
            return
        for button, chip in zip(self.chips, self.settings.chips()):  # noqa: B905 - some are spare
            if chip.is_chosen:
                button.show_chip(chip)
                self._show_reset(chip)
        self.changed.emit()

    def _on_asked(self, what: str) -> None:
        chosen = self.settings.chosen()
        if chosen is None:
            return
        word, new = chosen.word, self.strip.another()
        if what == "select":
            self.selected.emit(word.text, word.which)
        elif what == "dial":
            self.dialled.emit(word)
        elif what == "reset":
            self.settings.reset(word)
            self._show()
            self.changed.emit()
        elif what == "remove":
            self._rewrite(self.settings.remove(word))
        elif new:
            if what == "swap":
                edit = self.settings.swap(word, new)
            else:
                edit = self.settings.add(word, new, before=what == "before")
            self.strip.edit.clear()
            self._rewrite(edit)

    def _rewrite(self, edit: Edit) -> None:
        """Makes the prompt's edit in its editor, in one step of its undo."""
        text = self.prompt.toPlainText()
        cursor = QtGui.QTextCursor(self.prompt.document())
        cursor.setPosition(units(text, edit.start))
        cursor.setPosition(units(text, edit.old_end), QtGui.QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(self.settings.prompt[edit.start : edit.new_end])
        self._show()
        self.changed.emit()

    # Drawing

    def _reveal(self) -> None:
        """Scrolls to the strip, which would be out of sight in a low docker."""
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
        chips = self.settings.chips()
        while len(self.chips) < len(chips):
            self._add_chip()
        for i, button in enumerate(self.chips):
            chip = chips[i] if i < len(chips) else None
            button.setVisible(chip is not None)
            button.setChecked(chip is not None and chip.is_chosen)
            if chip is not None:
                button.show_chip(chip)
        self.flow.arrange()
        self.flow.setVisible(bool(chips))
        chosen = next((chip for chip in chips if chip.is_chosen), None)
        self.strip.setVisible(chosen is not None)
        if chosen is not None:
            self.strip.fill(chosen.word.text, chosen.values)
            self._show_reset(chosen)
        self.setVisible(bool(chips))

    def _show_reset(self, chosen: Chip) -> None:
        self.strip.buttons["reset"].setEnabled(chosen.is_set)

    def _add_chip(self) -> None:
        at = len(self.chips)
        button = ChipButton(f"word.{at}", self.spec.description, widest(self.settings.settings))
        button.setFont(self.font())
        button.clicked.connect(lambda: self.choose(at))
        self.chips.append(button)
        self.flow.add(button)


class ChipButton(QtWidgets.QToolButton):
    """A word and its settings. A chosen chip has room for any value, so that its width stays."""

    def __init__(self, name: str, tip: str, room: str) -> None:
        super().__init__()
        self.chip: Chip | None = None
        self._hint: tuple[tuple[str, bool], QtCore.QSize] | None = None
        self._room, self._tip = room, tip
        self.setObjectName(name)
        self.setCheckable(True)

    def show_chip(self, chip: Chip) -> None:
        tip = f"{chip.about or chip.label}\n{self._tip}"
        if (chip.label, tip) != (self.text(), self.toolTip()):
            self.setText(chip.label)
            self.setAccessibleName(chip.label)
            self.setToolTip(tip)
        self.chip = chip
        if self.property("changed") != chip.is_set:
            self.setProperty("changed", chip.is_set)
            self.style().unpolish(self)
            self.style().polish(self)

    def sizeHint(self) -> QtCore.QSize:
        """Kept for each text: with a style sheet Qt takes a third of a millisecond to find it."""
        what = (self.text(), self.isChecked())
        if self._hint is None or self._hint[0] != what:
            hint = super().sizeHint()
            if self.isChecked() and self.chip is not None:
                metrics = self.fontMetrics()
                room = metrics.horizontalAdvance(f"{self.chip.word.text} {self._room}")
                hint.setWidth(hint.width() + max(0, room - metrics.horizontalAdvance(self.text())))
            self._hint = (what, hint)
        return self._hint[1]

    def changeEvent(self, event: QtCore.QEvent) -> None:
        self._hint = None
        super().changeEvent(event)


def widest(settings: Sequence[Field]) -> str:
    """The longest text that a chip may show beside its word."""
    first = next((f for f in settings if f.kind in ("integer", "number")), None)
    if first is None:
        return "✓"
    places = decimals(step_of(first))
    return max((f"×{end:.{places}f}" for end in (first.minimum, first.maximum)), key=len)


def units(text: str, count: int) -> int:
    """Qt's length of the first `count` characters: those beyond the basic plane count twice."""
    return len(text[:count].encode("utf-16-le", "surrogatepass")) // 2


def characters(text: str, count: int) -> int:
    """The number of characters for Qt's length `count`."""
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * count].decode("utf-16-le", "ignore"))
