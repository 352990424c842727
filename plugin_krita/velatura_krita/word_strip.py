"""The strip below the words: the settings of the chosen word, and its buttons."""

from __future__ import annotations

from collections.abc import Sequence

from .fields import Layers
from .flow import Flow
from .form import Rows, title_width
from .qt import QtWidgets, Signal
from .velatura_protocol.schema import Field
from .velatura_protocol.word_settings import Entry, clean


class Strip(QtWidgets.QFrame):
    """The settings and buttons of the chosen word."""

    asked = Signal(str)

    WITH_ANOTHER = (
        ("swap", "Swap", "Replace this word by the words entered here"),
        ("before", "Before", "Put the words entered here before this word"),
        ("after", "After", "Put the words entered here after this word"),
    )
    ACTIONS = (
        ("select", "Select", "Select where this word is in the layer"),
        ("remove", "Remove", "Remove this word from the prompt"),
        ("reset", "Reset", "Set this word back to normal"),
        ("dial", "Turn into a dial", "Make a slider that turns this word up or down"),
    )

    def __init__(self, spec: Field, fields: Sequence[Field], layers: Layers = list) -> None:
        super().__init__()
        self.is_filling = False
        self.setObjectName(spec.key + ".strip")
        self.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        self.rows = Rows(fields, title_width(fields, self), layers)
        self.rows.setObjectName(spec.key + ".values")
        self.edit = QtWidgets.QLineEdit()
        self.edit.setPlaceholderText("Another word")
        self.edit.setObjectName("word.another")
        self.edit.setAccessibleName("Another word")
        self.edit.setToolTip("A word to put in the place of this one, or beside it")
        self.edit.setMaxLength(next(f.max_length for f in spec.fields if f.key == "text"))
        self.edit.setMinimumWidth(60)
        self.edit.textChanged.connect(self._on_text)
        self.edit.returnPressed.connect(lambda: self.asked.emit("swap"))
        self.buttons: dict[str, QtWidgets.QToolButton] = {}
        line = QtWidgets.QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.edit, 1)
        for name, text, tip in self.WITH_ANOTHER:
            line.addWidget(self._button(name, text, tip))
        self.flow = Flow()
        for name, text, tip in self.ACTIONS:
            self.flow.add(self._button(name, text, tip))
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        column.addWidget(self.rows)
        column.addLayout(line)
        column.addWidget(self.flow)
        self._on_text()

    def fill(self, word: str, values: Entry) -> None:
        """Shows the settings of `word`."""
        self.setAccessibleName(f"Settings of '{word}'")
        self.is_filling = True
        self.rows.set_values(values)
        self.is_filling = False

    def another(self) -> str:
        return clean(self.edit.text())

    def _on_text(self) -> None:
        for name, _text, _tip in self.WITH_ANOTHER:
            self.buttons[name].setEnabled(bool(self.another()))

    def _button(self, name: str, text: str, tip: str) -> QtWidgets.QToolButton:
        made = QtWidgets.QToolButton()
        made.setText(text)
        made.setToolTip(tip)
        made.setAccessibleName(text)
        made.setAccessibleDescription(tip)
        made.setObjectName("word." + name)
        made.clicked.connect(lambda: self.asked.emit(name))
        self.buttons[name] = made
        return made
