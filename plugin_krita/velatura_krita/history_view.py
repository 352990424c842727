"""The history of the picture in front: a list with thumbnails, and a search."""

from __future__ import annotations

import time
from typing import Any

from .activity import Sentence, tip
from .controls import name_widget
from .edges import edge
from .form import Section
from .histories import Histories
from .places import root_id
from .qt import QtCore, QtGui, QtWidgets, Signal
from .velatura_protocol.history import History
from .velatura_protocol.history_entries import RELATIONS, Entry

SIDE = 40  #: pixels of a thumbnail
ROWS = 4  #: results that are seen at once
FATES = {"kept": "kept", "dropped": "dropped", "candidate": ""}
ROLE = QtCore.Qt.ItemDataRole


class HistoryView(Section):
    """Folded away at first: it is read when it is opened."""

    asked = Signal(object)  #: an `Entry` whose settings are wanted in the form
    asked_to_run = Signal(object)  #: an `Entry` that is to be made again

    def __init__(self, histories: Histories, host: Any, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__("History", "history.header", parent)
        self.histories, self.host = histories, host
        self._drawn: tuple = ()
        self.search = QtWidgets.QLineEdit()
        self.search.setPlaceholderText("Search words")
        name_widget(self.search, "history.search", "Search the history", "Words of the prompt or the method")
        self.entries = Entries()
        self.list = QtWidgets.QListView()
        name_widget(self.list, "history", "History of this picture", "What was made for this picture")
        self.list.setModel(self.entries)
        self.list.setUniformItemSizes(True)
        self.list.setIconSize(QtCore.QSize(SIDE, SIDE))
        self.list.setTextElideMode(QtCore.Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setFixedHeight((SIDE + 6) * ROWS)
        self.list.setMinimumWidth(1)
        self.run = QtWidgets.QPushButton("Run again")
        tip_run = "Make this result again on the layer and the selection of now; the form stays as it is"
        name_widget(self.run, "history.run", "Run again", tip_run)
        self.again = QtWidgets.QPushButton("Edit again")
        tip_again = "Load the settings of this result, to run them on the layer and the selection of now"
        name_widget(self.again, "history.again", "Edit again", tip_again)
        self.star = QtWidgets.QPushButton("Star")
        name_widget(self.star, "history.star", "Star", "Mark this result: it is never let go for room")
        self.says = Sentence()
        self.says.setObjectName("history.says")
        line = QtWidgets.QHBoxLayout()
        line.setSpacing(6)
        for made, stretch in ((self.run, 3), (self.again, 3), (self.star, 2)):
            made.setMinimumWidth(1)
            line.addWidget(made, stretch)
        column = QtWidgets.QVBoxLayout(self.body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widget in (self.search, self.list):
            column.addWidget(widget)
        column.addLayout(line)
        column.addWidget(self.says)
        self.search.textChanged.connect(self.draw)
        self.header.clicked.connect(self.draw)
        self.list.activated.connect(self._on_again)
        self.again.clicked.connect(self._on_again)
        self.star.clicked.connect(self._on_star)
        self.run.clicked.connect(self._on_run)
        self.list.selectionModel().currentChanged.connect(lambda *_: self._enable())
        histories.changed.connect(self.draw)

    @property
    def chosen(self) -> Entry | None:
        """The entry that is selected."""
        return self.entries.at(self.list.currentIndex())

    @edge
    def draw(self, *_: object) -> None:
        """Shows the history of the picture in front, where it has changed; called now and then."""
        if self.body.isHidden():
            return
        document = self.host.activeDocument()
        root = root_id(document) if document is not None else ""
        wanted = (root, self.search.text(), self.histories.revision)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        chosen, history = self.chosen, self.histories.of(root)
        self.entries.show(history, self.search.text())
        keys = [entry.key for entry in self.entries.listed]
        if chosen is not None and chosen.key in keys:
            self.list.setCurrentIndex(self.entries.index(keys.index(chosen.key)))
        self.says.setText(self.histories.sentence(root))
        self._enable()

    def _enable(self) -> None:
        for button in (self.run, self.again, self.star):
            button.setEnabled(self.chosen is not None)

    @edge
    def _on_again(self, *_: object) -> None:
        if self.chosen is not None:
            self.asked.emit(self.chosen)

    @edge
    def _on_run(self, *_: object) -> None:
        if self.chosen is not None:
            self.asked_to_run.emit(self.chosen)

    @edge
    def _on_star(self, *_: object) -> None:
        document = self.host.activeDocument()
        if self.chosen is not None and document is not None:
            self.histories.star(root_id(document), self.chosen.key, not self.chosen.starred)


class Entries(QtCore.QAbstractListModel):
    """Entries of a history, the newest first. A picture is read when its row is first seen."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[Entry] = []
        self._history: History | None = None
        self._icons: dict[tuple, QtGui.QIcon] = {}

    def show(self, history: History | None, words: str) -> None:
        """Lists the entries that have all of these words."""
        self.beginResetModel()
        if history is not self._history:
            self._icons.clear()
        self._history = history
        self.listed = history.search(words) if history is not None else []
        self.endResetModel()

    def at(self, index: QtCore.QModelIndex) -> Entry | None:
        return self.listed[index.row()] if index.isValid() and index.row() < len(self.listed) else None

    def rowCount(self, parent: QtCore.QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.listed)

    def data(self, index: QtCore.QModelIndex, role: int = ROLE.DisplayRole) -> object:
        entry = self.at(index)
        if entry is None:
            return None
        if role == ROLE.DisplayRole:
            return f"{'★ ' if entry.starred else ''}{title(entry)}\n{about(entry)}"
        if role == ROLE.AccessibleTextRole:
            star = "starred" if entry.starred else ""
            return ", ".join(filter(None, (title(entry), about(entry), star)))
        if role == ROLE.DecorationRole:
            return self._icon(entry)
        return tip(self._tip(entry)) if role == ROLE.ToolTipRole else None

    def _icon(self, entry: Entry) -> QtGui.QIcon:
        name = (entry.key, len(entry.thumbnail))
        if name not in self._icons:
            picture = QtGui.QPixmap(SIDE, SIDE)
            picture.fill(QtCore.Qt.GlobalColor.transparent)
            if entry.thumbnail:
                picture.loadFromData(entry.thumbnail)
            icon = self._icons[name] = QtGui.QIcon(picture)
            icon.addPixmap(picture, QtGui.QIcon.Mode.Selected)  # Qt would tint it
        return self._icons[name]

    def _tip(self, entry: Entry) -> str:
        """All about a result, with the results that it came of."""
        lines = [title(entry), about(entry), f"Seed {entry.seed}"]
        before = self._history.lineage(entry.key)[:-1] if self._history is not None else []
        if before:
            came = f"{RELATIONS[entry.relation]} of " if entry.relation else ""
            lines.append(f"Came as {came}" + " ← ".join(f"“{title(one)}”" for one in before[::-1]))
        return "\n".join(lines)


def title(entry: Entry) -> str:
    return " ".join((entry.prompt or entry.title).split()) or entry.method


def about(entry: Entry) -> str:
    """The method, the time and the person's word on it."""
    made, today = time.localtime(entry.at), time.localtime()
    when = time.strftime("%H:%M" if made[:3] == today[:3] else "%Y-%m-%d", made)
    return " · ".join(filter(None, (FATES[entry.fate], entry.method, when)))
