"""The list of edits: each with its picture, what it changes, its progress, and its own buttons."""

from __future__ import annotations

import time

from .activity import RANGE, Elided, tip
from .edges import edge
from .preview import fitted
from .qt import QtCore, QtGui, QtWidgets, Signal
from .state import Job, Phase, State

ROWS = 3  #: edits that are seen at once
THUMB = 30  #: pixels of an edit's picture
MARKS = {Phase.DONE: "✓", Phase.FAILED: "✗", Phase.CANCELLED: "–", Phase.HOMELESS: "…", Phase.KEPT: "…"}
#: Name, text and tooltip of each button; those of a result without a picture come second.
CANCEL = ("cancel", "✕", "Cancel this edit")
HOMELESS = (
    ("here", "Put it here", "Put the result on top of the picture in front"),
    ("new", "New picture", "Open the result as a new picture"),
    ("dismiss", "Let go", "Let the result go: it cannot be fetched afterwards"),
)


class Row(QtWidgets.QWidget):
    """One edit."""

    pressed = Signal(str, str)  #: the job, and the name of the button

    def __init__(self, job: Job, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.job = job
        self.thumb = QtWidgets.QLabel()
        self.thumb.setFixedSize(THUMB, THUMB)
        self.thumb.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.title, self.detail = Elided(), Elided()
        self.bar = QtWidgets.QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(4)
        self.buttons = {name: self._button(name, text, about) for name, text, about in (CANCEL, *HOMELESS)}
        words = QtWidgets.QVBoxLayout()
        words.setSpacing(1)
        for widget in (self.title, self.detail, self.bar):
            words.addWidget(widget)
        choice = QtWidgets.QHBoxLayout()
        choice.setSpacing(3)
        for name, _text, _tip in HOMELESS:
            choice.addWidget(self.buttons[name], 1)
        words.addLayout(choice)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(3, 3, 3, 3)
        row.setSpacing(6)
        row.addWidget(self.thumb, 0, QtCore.Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        row.addWidget(self.buttons["cancel"], 0, QtCore.Qt.AlignmentFlag.AlignTop)
        self.draw(job)

    def _button(self, name: str, text: str, about: str) -> QtWidgets.QToolButton:
        button = QtWidgets.QToolButton()
        button.setObjectName(f"{name}.{self.job.id}")
        button.setText(text)
        button.setToolTip(about)
        button.setAccessibleName(about)
        button.setAutoRaise(name == "cancel")
        button.setMinimumWidth(1)
        policy = QtWidgets.QSizePolicy.Policy
        button.setSizePolicy(policy.Fixed if name == "cancel" else policy.Ignored, policy.Fixed)
        button.clicked.connect(lambda: self.pressed.emit(self.job.id, name))
        return button

    def draw(self, job: Job) -> None:
        """Shows the present state of the edit; its last preview stays as its picture."""
        self.job = job
        mark = MARKS.get(job.phase, "")
        self.title.setText(f"{mark}  {job.label}" if mark else job.label)
        self.detail.setText(" · ".join(filter(None, (job.describe(), job.document))))
        picture = QtGui.QPixmap()
        if job.preview and picture.loadFromData(job.preview):
            self.thumb.setPixmap(fitted(picture, job, self.thumb.size(), self.devicePixelRatioF()))
        self.bar.setVisible(job.phase.active)
        self.bar.setRange(0, 0 if job.fraction is None else RANGE)
        self.bar.setValue(round((job.fraction or 0) * RANGE))
        self.buttons["cancel"].setVisible(job.phase.cancellable and not job.cancelling)
        for name, _text, _tip in HOMELESS:
            self.buttons[name].setVisible(job.phase is Phase.HOMELESS)
        when = time.strftime("%H:%M", time.localtime(job.created))
        lines = filter(None, (job.title, job.document, when, job.message or job.describe()))
        self.setToolTip(tip("\n".join(lines)))


class JobList(QtWidgets.QListWidget):
    """The edits of this session, the newest on top; a click shows an edit below."""

    pressed = Signal(str, str)  #: see `Row.pressed`

    def __init__(self, state: State, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = state
        self.rows: dict[str, Row] = {}
        self.setObjectName("jobs")
        self.setAccessibleName("Edits")
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QtWidgets.QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setMinimumHeight((THUMB + 12) * ROWS)
        state.jobsChanged.connect(self._fill)
        state.jobChanged.connect(self._change)
        self.itemClicked.connect(lambda item: state.show_job(item.data(QtCore.Qt.ItemDataRole.UserRole)))
        self._fill()

    def sizeHint(self) -> QtCore.QSize:
        """The least height: the widgets above scroll together with it."""
        return QtCore.QSize(super().sizeHint().width(), self.minimumHeight())

    @edge
    def _fill(self) -> None:
        """Adds the new edits on top, and removes those that are no longer listed."""
        for at in reversed(range(self.count())):
            name = self.item(at).data(QtCore.Qt.ItemDataRole.UserRole)
            if name not in self.state.jobs:
                self.takeItem(at)
                self.rows.pop(name).deleteLater()
        for name, job in self.state.jobs.items():
            if name not in self.rows:
                item = QtWidgets.QListWidgetItem()
                item.setData(QtCore.Qt.ItemDataRole.UserRole, name)
                self.insertItem(0, item)
                row = self.rows[name] = Row(job)
                row.pressed.connect(self.pressed)
                self.setItemWidget(item, row)
                self._fit(item, row)
        self.setVisible(self.count() > 0)

    @edge
    def _change(self, name: str) -> None:
        row = self.rows.get(name)
        if row is None:
            return
        row.draw(self.state.jobs[name])
        for at in range(self.count()):
            if self.item(at).data(QtCore.Qt.ItemDataRole.UserRole) == name:
                self._fit(self.item(at), row)

    def _fit(self, item: QtWidgets.QListWidgetItem, row: Row) -> None:
        item.setData(QtCore.Qt.ItemDataRole.AccessibleTextRole, f"{row.title.text()}, {row.detail.text()}")
        hint = QtCore.QSize(1, row.sizeHint().height())
        if item.sizeHint() != hint:
            item.setSizeHint(hint)
