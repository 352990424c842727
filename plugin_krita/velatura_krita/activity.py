"""What is going on: progress with a preview, the status line, and the list of edits."""

from __future__ import annotations

import time

from .edges import edge
from .qt import QtCore, QtGui, QtWidgets
from .state import Job, Phase, State

PREVIEW = 88  #: pixels
ROWS = 4  #: rows of the list that are seen at once
RANGE = 1000
MARKS = {Phase.DONE: "✓", Phase.FAILED: "✗", Phase.CANCELLED: "–", Phase.HOMELESS: "…"}
BAD = "#d9706b"  #: legible on Krita's dark and light themes


class Activity(QtWidgets.QWidget):
    """The edit that is shown: its bar and preview while it runs; below it, always, the status line."""

    def __init__(self, state: State, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = state
        self._drawn = b""
        self.preview = QtWidgets.QLabel()
        self.preview.setObjectName("preview")
        self.preview.setAccessibleName("Preview")
        self.preview.setToolTip("What is being painted, as far as it has come")
        self.preview.setFixedSize(PREVIEW, PREVIEW)
        self.preview.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        self.preview.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        self.title = Elided()
        self.stage = Elided()
        self.bar = QtWidgets.QProgressBar()
        self.bar.setObjectName("progress")
        self.bar.setAccessibleName("Progress")
        self.bar.setFixedHeight(16)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self.bar.setSizePolicy(policy)
        self.status = Sentence()
        self.status.setObjectName("status")
        self.status.setAccessibleName("Status")
        self.status.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)

        words = QtWidgets.QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(self.title)
        words.addWidget(self.bar)
        words.addWidget(self.stage)
        words.addStretch(1)
        self.running = QtWidgets.QWidget()
        row = QtWidgets.QHBoxLayout(self.running)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.preview, 0, QtCore.Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.running)
        column.addWidget(self.status)

        state.statusChanged.connect(self._show_status)
        state.jobChanged.connect(self._show_job)
        state.currentChanged.connect(self._show_job)
        state.draftChanged.connect(self._show_job)
        state.previewsChanged.connect(self._show_job)
        self._show_status()
        self._show_job()

    @edge
    def _show_status(self) -> None:
        self.status.setText(self.state.status)
        self.status.setStyleSheet(f"color: {BAD};" if self.state.status_bad else "")
        self.status.setVisible(bool(self.state.status))

    @edge
    def _show_job(self, changed: str = "") -> None:
        if changed not in ("", self.state.current):
            return
        job = self.state.jobs.get(self.state.current)
        if job is None or not job.phase.active:
            job = self.state.draft
        # The place is there before a slider is moved: nothing above it may move with the slider.
        self.running.setVisible(job is not None or self.state.previews)
        self.bar.setVisible(job is not None and job.phase.active)
        png = job.preview if job is not None else b""
        self.preview.setVisible(self.state.previews or bool(png))
        if png != self._drawn:
            self._drawn = png
            self._draw(png)
        if job is None:
            self.title.setText("Preview")
            self.stage.setText("Move a slider")
            return
        self.title.setText(job.label)
        self.stage.setText("Preview" if job.phase.ended else job.describe())
        self.bar.setRange(0, 0 if job.fraction is None else RANGE)
        self.bar.setValue(round((job.fraction or 0) * RANGE))

    def _draw(self, png: bytes) -> None:
        picture = QtGui.QPixmap()
        if picture.loadFromData(png):
            keep = QtCore.Qt.AspectRatioMode.KeepAspectRatio
            smooth = QtCore.Qt.TransformationMode.SmoothTransformation
            picture = picture.scaled(self.preview.size(), keep, smooth)
        self.preview.setPixmap(picture)


class Sentence(QtWidgets.QLabel):
    """Text that is wrapped and asks for the height that this takes, however deep in layouts it lies."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)

    def setText(self, text: str) -> None:
        super().setText(text)
        self._fit()

    def resizeEvent(self, event: QtCore.QEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setMinimumHeight(0)  # what it asked for the last text must not count
        self.setMinimumHeight(self.heightForWidth(self.width()))


class Elided(QtWidgets.QLabel):
    """One line that is shortened with dots where there is no room for it; the tooltip has it whole."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setToolTip(text)

    def paintEvent(self, _event: QtCore.QEvent) -> None:
        metrics = self.fontMetrics()
        text = metrics.elidedText(self.text(), QtCore.Qt.TextElideMode.ElideRight, self.width())
        QtGui.QPainter(self).drawText(0, (self.height() + metrics.ascent() - metrics.descent()) // 2, text)


class JobList(QtWidgets.QListWidget):
    """The edits of this session, the newest on top; the one that is clicked is shown above."""

    def __init__(self, state: State, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.state = state
        self.setObjectName("jobs")
        self.setAccessibleName("Edits")
        self.setTextElideMode(QtCore.Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setUniformItemSizes(True)
        self.setMinimumHeight(self.fontMetrics().lineSpacing() * ROWS + 12)
        state.jobsChanged.connect(self._fill)
        state.jobChanged.connect(self._change)
        self.itemClicked.connect(lambda item: state.show_job(item.data(QtCore.Qt.ItemDataRole.UserRole)))
        self._fill()

    @edge
    def _fill(self) -> None:
        self.clear()
        for job in reversed(list(self.state.jobs.values())):
            item = QtWidgets.QListWidgetItem()
            item.setData(QtCore.Qt.ItemDataRole.UserRole, job.id)
            self.addItem(item)
            self._write(item, job)
        self.setVisible(self.count() > 0)

    @edge
    def _change(self, name: str) -> None:
        for row in range(self.count()):
            item = self.item(row)
            if item.data(QtCore.Qt.ItemDataRole.UserRole) == name:
                self._write(item, self.state.jobs[name])

    def _write(self, item: QtWidgets.QListWidgetItem, job: Job) -> None:
        mark = MARKS.get(job.phase, "▸")
        item.setText(f"{mark}  {job.label}")
        when = time.strftime("%H:%M", time.localtime(job.created))
        item.setToolTip(
            "\n".join(filter(None, [job.title, job.document, when, job.message or job.describe()]))
        )
