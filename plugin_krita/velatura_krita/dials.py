"""Dials: a list of sliders, each between two texts; words of the caption may become dials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .dial import Dial, tool_button
from .fields import Layers
from .flow import Chips
from .presets import PresetButton
from .qt import QtCore, QtWidgets, Signal
from .velatura_protocol import dials
from .velatura_protocol.preset_shelves import DialShelf
from .velatura_protocol.schema import Field

HINT = "Click a word to turn it up or down."
NO_WORDS = "Write above what the layer shows; its words can become dials."
OTHER = ("Other…", "Add a dial between words of your own")


class Dials(QtWidgets.QWidget):
    """The editor of a group of dials.

    As other editors it has `spec`, `value`, `set_value`, `changed` and `slid`.  caption: the caption of the
    layer.  folder: the state directory, for presets; None: there are none.
    layers: of the picture, for rasters.
    """

    changed = Signal()
    slid = Signal()  #: a dial was moved, added or removed: its draft may be shown
    said = Signal(str, bool)  #: a sentence for the person, and whether something went wrong

    def __init__(
        self,
        spec: Field,
        caption: Callable[[], str],
        folder: Path | None = None,
        layers: Layers = list,
        parent: QtWidgets.QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.spec, self.caption, self.layers = spec, caption, layers
        self.dials: list[Dial] = []
        self.setObjectName(spec.key)
        self.setAccessibleName(spec.title)
        self.setToolTip(spec.description)
        self.add = tool_button("Add", f"Add to {spec.title}: words of the caption, or your own")
        self.add.setObjectName(spec.key + ".add")
        self.add.setCheckable(True)
        self.add.toggled.connect(self._show_offer)
        self.hint, self.chips = QtWidgets.QLabel(), Chips()
        self.hint.setWordWrap(True)
        self.hint.setEnabled(False)  # it is no text of the person's
        self.chips.setObjectName(spec.key + ".offer")
        self.chips.clicked.connect(self._on_chip)
        self.list = QtWidgets.QVBoxLayout()
        self.list.setSpacing(4)
        head = QtWidgets.QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(QtWidgets.QLabel(spec.title), 1)
        head.addWidget(self.add)
        if folder is not None:
            shelf = DialShelf(folder, spec, self.value, self._load)
            self.presets = PresetButton(shelf, spec.key + ".presets")
            self.presets.said.connect(self.said)
            head.addWidget(self.presets)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.hint)
        column.addWidget(self.chips)
        column.addLayout(self.list)
        self.set_value([])

    def value(self) -> list[dict]:
        """The dials that have words; the daemon would refuse the others."""
        return dials.spoken(dial.entry() for dial in self.dials)

    def set_value(self, value: list[dict]) -> None:
        for dial in list(self.dials):
            self._take_out(dial)
        for entry in value:
            self._put(entry)
        self.add.setChecked(not value)
        self._on_list()

    def show_words(self) -> None:
        """Offers the words of the new caption."""
        words = dials.offered(self.caption(), self.value())
        self.hint.setText(HINT if words else NO_WORDS)
        self.chips.offer([(word, f"Add a dial for '{word}'") for word in words] + [OTHER])
        self.chips.setEnabled(not dials.is_full(self.spec, self.dials))

    def add_word(self, more: str, less: str = "") -> None:
        """Adds a dial for words, or goes to the existing one."""
        new = dials.new(self.spec, less, more)
        there = [dial for dial in self.dials if dials.same(dial.entry(), new)]
        if not there and dials.is_full(self.spec, self.dials):
            self.said.emit(dials.FULL.format(self.spec.max_items), True)
            return
        dial = there[0] if there else self._put(new)
        dial.focus()
        if not there:
            self._on_list()
            self.slid.emit()

    # Actions of the person

    def _on_chip(self, at: int) -> None:
        words = dials.offered(self.caption(), self.value())
        if at < len(words):
            self.add_word(words[at])
        elif not dials.is_full(self.spec, self.dials):
            dial = self._put(dials.new(self.spec))
            self._on_list()
            dial.edit()

    def _load(self, entries: list[dict]) -> None:
        self.set_value(entries)
        self.slid.emit()

    def _remove(self, dial: Dial) -> None:
        said_something = dials.says_something(dial.entry())
        at = self.dials.index(dial)
        self._take_out(dial)
        if self.dials:
            self.dials[min(at, len(self.dials) - 1)].focus()
        else:
            self.add.setChecked(True)
            self.add.setFocus()
        self._on_list()
        if said_something:
            self.slid.emit()

    def _step(self, dial: Dial, by: int) -> None:
        self._move(dial, self.dials.index(dial) + by)

    def _drag(self, dial: Dial, height: int) -> None:
        """The pointer is so far below the top of the dial's handle: change places with whom it has passed."""
        at = self.dials.index(dial)
        y = dial.handle.mapTo(self, QtCore.QPoint(0, height)).y()
        if at > 0 and y < self.dials[at - 1].geometry().center().y():
            self._move(dial, at - 1)
        elif at + 1 < len(self.dials) and y > self.dials[at + 1].geometry().center().y():
            self._move(dial, at + 1)

    def _move(self, dial: Dial, to: int) -> None:
        self.dials = dials.move(self.dials, self.dials.index(dial), to)
        for at, each in enumerate(self.dials):
            self.list.insertWidget(at, each)
        self.list.activate()
        self._on_list()

    # The list

    def _put(self, entry: dict) -> Dial:
        dial = Dial(self.spec, entry, self.layers)
        dial.changed.connect(self.changed)
        dial.slid.connect(self.slid)
        dial.removed.connect(lambda: self._remove(dial))
        dial.handle.stepped.connect(lambda by: self._step(dial, by))
        dial.handle.dragged.connect(lambda height: self._drag(dial, height))
        self.list.addWidget(dial)
        self.dials.append(dial)
        dial.setVisible(True)
        return dial

    def _take_out(self, dial: Dial) -> None:
        self.dials.remove(dial)
        dial.setParent(None)
        dial.deleteLater()

    def _on_list(self) -> None:
        for number, dial in enumerate(self.dials):
            dial.name(number)
            dial.remove.setEnabled(len(self.dials) > self.spec.min_items)
            dial.handle.setVisible(len(self.dials) > 1)
        self.show_words()
        self.changed.emit()

    def _show_offer(self, on: bool) -> None:
        self.chips.setVisible(on)
        self.hint.setVisible(on)

    def changeEvent(self, event: QtCore.QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QtCore.QEvent.Type.FontChange:
            self.chips.take_font(self.font())
