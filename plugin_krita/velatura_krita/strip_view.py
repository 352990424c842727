"""The strip of an edit in the docker: its candidates side by side, the best first."""

from __future__ import annotations

import functools
from collections.abc import Callable

from .activity import Sentence, tip
from .controls import name_widget
from .edges import edge
from .qt import QtCore, QtGui, QtWidgets, Signal
from .strips import Strips
from .velatura_protocol.strip import Cell

SIDE = 50  #: pixels of a candidate: four stand side by side in a docker of 260 pixels
ROOM = QtCore.QSize(SIDE + 4, SIDE + 4)  #: of a place
FRAME = 3  #: pixels round the chosen one
KEYS = (
    "Left and Right choose the one that shows on the canvas. Enter keeps it, Shift+Enter keeps it and goes "
    "on to the next, Delete drops it, S stars it, M makes more like it. Hold B to see the picture before the "
    "edit."
)
#: The name of a method of `Strips`, the text, the share of the line, and the tooltip.
BUTTONS = (
    ("star", "Star", 2, "Mark this result, so that you find it again (S)"),
    ("drop", "Drop", 2, "Remove this result; undo brings it back (Delete)"),
    ("more", "More like this", 4, "Make others that lie close to this result (M)"),
)
ROLE = QtCore.Qt.ItemDataRole
KEY = QtCore.Qt.Key


class StripView(QtWidgets.QWidget):
    """The strip that is shown; hidden as long as there are no candidates."""

    def __init__(self, strips: Strips, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.strips = strips
        self._drawn: tuple = ()
        self.cells = Cells(self._can_take_back)
        self.says = Sentence()
        self.says.setObjectName("strip.says")
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self.cells)
        column.addWidget(self.says)
        line = QtWidgets.QHBoxLayout()
        line.setSpacing(6)
        self.buttons: dict[str, QtWidgets.QPushButton] = {}
        for name, text, stretch, about in BUTTONS:
            made = self.buttons[name] = QtWidgets.QPushButton(text)
            name_widget(made, f"strip.{name}", text, about)
            made.setMinimumWidth(1)
            made.clicked.connect(functools.partial(self._press, name))
            line.addWidget(made, stretch)
        self.before = QtWidgets.QPushButton("Before")
        name_widget(self.before, "strip.before", "Before", "Hold it to see the picture before the edit (B)")
        self.before.setMinimumWidth(1)
        self.before.pressed.connect(functools.partial(self._on_before, True))
        self.before.released.connect(functools.partial(self._on_before, False))
        line.insertWidget(0, self.before, 3)
        column.addLayout(line)
        self.cells.currentItemChanged.connect(self._on_current)
        self.cells.pressed_key.connect(self._on_key)
        self.cells.held_before.connect(self._on_before)
        self.cells.looked.connect(self._look)
        strips.changed.connect(self.draw)
        self.draw()

    @edge
    def draw(self) -> None:
        """Draws the present state, where it has changed."""
        strip = self.strips.shown
        self.setVisible(strip is not None)
        if strip is None:
            self._look()
            return
        self.says.setText(strip.sentence)
        pictures = self.strips.pictures
        has = [one.thumbnail is not None and one.thumbnail.digest in pictures for one, *_ in strip.cells]
        wanted = (strip.job, strip.cells, has, strip.awaited)
        chosen = strip.chosen.index if strip.chosen is not None else None
        self.cells.blockSignals(True)
        if wanted != self._drawn:
            self._drawn = wanted
            self.cells.clear()
            for cell in strip.cells:
                self.cells.addItem(self._item(cell))
            for _ in range(strip.awaited):
                self.cells.addItem(self._awaited())
        for at, cell in enumerate(strip.cells):
            if cell.candidate.index == chosen and self.cells.currentRow() != at:
                self.cells.setCurrentRow(at)
        self.cells.blockSignals(False)
        self._look()

    def _item(self, cell: Cell) -> QtWidgets.QListWidgetItem:
        candidate = cell.candidate
        picture = QtGui.QPixmap()
        if candidate.thumbnail is not None:
            picture.loadFromData(self.strips.pictures.get(candidate.thumbnail.digest, b""))
        marks = [word for word, is_on in (("★", cell.starred), ("✓", cell.kept)) if is_on]
        icon = QtGui.QIcon()
        for mode, framed in ((QtGui.QIcon.Mode.Normal, False), (QtGui.QIcon.Mode.Selected, True)):
            icon.addPixmap(self._drawing(picture, str(candidate.index + 1), "".join(marks), framed), mode)
        item = QtWidgets.QListWidgetItem(icon, "")
        item.setSizeHint(ROOM)
        item.setData(ROLE.UserRole, candidate.index)
        title = f"{candidate.title} · {candidate.why}" if candidate.why else candidate.title
        states = [word for word, is_on in (("starred", cell.starred), ("kept", cell.kept)) if is_on]
        item.setData(ROLE.AccessibleTextRole, ", ".join((title, *states)))
        item.setToolTip(tip(f"{title}\n{KEYS}"))
        return item

    def _awaited(self) -> QtWidgets.QListWidgetItem:
        """The place of a candidate that is still to come."""
        item = QtWidgets.QListWidgetItem(QtGui.QIcon(self._drawing(QtGui.QPixmap(), "…", "", False)), "")
        item.setSizeHint(ROOM)
        item.setFlags(QtCore.Qt.ItemFlag.NoItemFlags)
        item.setData(ROLE.AccessibleTextRole, "still to come")
        return item

    def _drawing(self, picture: QtGui.QPixmap, text: str, marks: str, framed: bool) -> QtGui.QPixmap:
        """A candidate's picture, or `text` where there is none; marks: at its lower edge."""
        ratio, palette = self.devicePixelRatioF(), self.palette()
        drawn = QtGui.QPixmap(QtCore.QSize(SIDE, SIDE) * ratio)
        drawn.setDevicePixelRatio(ratio)
        drawn.fill(palette.color(QtGui.QPalette.ColorRole.Base))
        painter, room = QtGui.QPainter(drawn), QtCore.QRect(0, 0, SIDE, SIDE)
        aspect = QtCore.Qt.AspectRatioMode.KeepAspectRatio
        if picture.isNull():
            painter.setPen(palette.color(QtGui.QPalette.ColorRole.PlaceholderText))
            painter.drawRect(room.adjusted(0, 0, -1, -1))
            painter.drawText(room, QtCore.Qt.AlignmentFlag.AlignCenter, text)
        else:
            size = picture.size().scaled(room.size(), aspect)
            smooth = QtCore.Qt.TransformationMode.SmoothTransformation
            scaled = picture.scaled(size * ratio, QtCore.Qt.AspectRatioMode.IgnoreAspectRatio, smooth)
            place = QtCore.QRect(QtCore.QPoint(0, 0), size)
            place.moveCenter(room.center())
            painter.drawPixmap(place, scaled)
        if marks:
            line = QtCore.QRect(0, SIDE - 16, 14 * len(marks) + 4, 16)
            painter.fillRect(line, QtGui.QColor(0, 0, 0, 170))
            painter.setPen(QtGui.QColor(255, 255, 255))
            painter.drawText(line, QtCore.Qt.AlignmentFlag.AlignCenter, marks)
        if framed:
            pen = QtGui.QPen(palette.color(QtGui.QPalette.ColorRole.Highlight), FRAME)
            pen.setJoinStyle(QtCore.Qt.PenJoinStyle.MiterJoin)
            painter.setPen(pen)
            painter.drawRect(room.adjusted(1, 1, -2, -2))
        painter.end()
        return drawn

    @edge
    def _on_current(self, item: QtWidgets.QListWidgetItem | None, *_: object) -> None:
        strip = self.strips.shown
        if item is not None and strip is not None and item.data(ROLE.UserRole) is not None:
            self.strips.choose(strip.job, item.data(ROLE.UserRole))

    @edge
    def _look(self) -> None:
        """The candidate below the pointer shows on the canvas, else the chosen one while keys choose it."""
        strip, index = self.strips.shown, self.cells.pointed
        if index is None and strip is not None and strip.chosen is not None and self.cells.hasFocus():
            index = strip.chosen.index
        self.strips.look_at(strip.job if strip is not None else "", index)

    @edge
    def _on_before(self, is_held: bool) -> None:
        strip = self.strips.shown
        if strip is not None and strip.is_before != is_held:
            self.strips.before(strip.job, is_held)

    def hideEvent(self, event: QtCore.QEvent) -> None:
        super().hideEvent(event)
        self._on_before(False)
        self.strips.look_at("", None)

    def _press(self, name: str, *_: object) -> None:
        self._on_key(name)

    @edge
    def _on_key(self, name: str) -> None:
        strip = self.strips.shown
        if strip is not None:
            getattr(self.strips, name)(strip.job)

    def _can_take_back(self) -> bool:
        strip = self.strips.shown
        return strip is not None and self.strips.can_take_back(strip.job)

    def changeEvent(self, event: QtCore.QEvent) -> None:
        """Another theme has other colours."""
        super().changeEvent(event)
        if event.type() == QtCore.QEvent.Type.PaletteChange and self._drawn:
            self._drawn = ()
            QtCore.QTimer.singleShot(0, self.draw)


class Cells(QtWidgets.QListWidget):
    """One line of pictures, which scrolls sideways. Krita gets none of the keys that mean something here."""

    pressed_key = Signal(str)  #: the name of a method of `Strips`
    held_before = Signal(bool)  #: whether the person holds the key for the picture before the edit
    looked = Signal()  #: the pointer or the focus came to another place

    KEYS = {
        KEY.Key_Return: "keep",
        KEY.Key_Enter: "keep",
        KEY.Key_Delete: "drop",
        KEY.Key_S: "star",
        KEY.Key_M: "more",
    }
    SEVERAL, BEFORE = (KEY.Key_Return, KEY.Key_Enter), KEY.Key_B
    MOVES = (KEY.Key_Left, KEY.Key_Right, KEY.Key_Home, KEY.Key_End)

    def __init__(self, can_take_back: Callable[[], bool]) -> None:
        """can_take_back: whether undo is for the strip and not for Krita."""
        super().__init__()
        self._can_take_back = can_take_back
        self.pointed: int | None = None  #: the candidate's index below the pointer
        self.setMouseTracking(True)
        self.itemEntered.connect(self._on_entered)
        self.viewportEntered.connect(self._on_entered)
        self.setObjectName("strip")
        self.setAccessibleName("Results of this edit")
        self.setAccessibleDescription(KEYS)
        self.setFlow(QtWidgets.QListView.Flow.LeftToRight)
        self.setWrapping(False)
        self.setIconSize(QtCore.QSize(SIDE, SIDE))
        self.setSpacing(1)
        self.setHorizontalScrollMode(QtWidgets.QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(1)
        bar = self.style().pixelMetric(QtWidgets.QStyle.PixelMetric.PM_ScrollBarExtent)
        self.setFixedHeight(SIDE + 8 + bar)

    def event(self, event: QtCore.QEvent) -> bool:
        """Takes its keys before Krita's shortcuts do."""
        if event.type() == QtCore.QEvent.Type.ShortcutOverride and self._means(event):
            event.accept()
            return True
        return super().event(event)

    def _means(self, event: QtGui.QKeyEvent) -> bool:
        if event.matches(QtGui.QKeySequence.StandardKey.Undo):
            return self._can_take_back()
        modifier = QtCore.Qt.KeyboardModifier
        if event.modifiers() & ~modifier.KeypadModifier == modifier.ShiftModifier:
            return event.key() in self.SEVERAL
        plain = modifier.NoModifier, modifier.KeypadModifier
        return event.modifiers() in plain and event.key() in (*self.KEYS, *self.MOVES, self.BEFORE)

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        if event.matches(QtGui.QKeySequence.StandardKey.Undo) and self._can_take_back():
            self.pressed_key.emit("take_back")
        elif not self._means(event) or event.key() in self.MOVES:
            super().keyPressEvent(event)
        elif event.key() == self.BEFORE:
            self.held_before.emit(True)
        elif event.modifiers() & QtCore.Qt.KeyboardModifier.ShiftModifier:
            self.pressed_key.emit("keep_several")
        else:
            self.pressed_key.emit(self.KEYS[event.key()])

    def keyReleaseEvent(self, event: QtGui.QKeyEvent) -> None:
        if event.key() == self.BEFORE:
            if not event.isAutoRepeat():
                self.held_before.emit(False)
        else:
            super().keyReleaseEvent(event)

    def focusInEvent(self, event: QtGui.QFocusEvent) -> None:
        super().focusInEvent(event)
        self.looked.emit()

    def focusOutEvent(self, event: QtGui.QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.held_before.emit(False)  # the key may be let go elsewhere
        self.looked.emit()

    def leaveEvent(self, event: QtCore.QEvent) -> None:
        super().leaveEvent(event)
        self._on_entered()

    def _on_entered(self, item: QtWidgets.QListWidgetItem | None = None) -> None:
        self.pointed = item.data(ROLE.UserRole) if item is not None else None
        self.looked.emit()
