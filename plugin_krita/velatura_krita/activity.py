"""The activity: a preview beside the buttons, progress or the status line."""

from __future__ import annotations

import html

from .edges import edge
from .preview import Preview
from .qt import QtCore, QtGui, QtWidgets
from .state import State

RANGE = 1000
CONTRAST = 4.5  #: of the text of an error to what is behind it, at least
HINT = "Move a slider to see a preview"


class Activity(QtWidgets.QWidget):
    """The shown edit: its preview, and beside it the buttons and the progress or the status.

    The preview keeps its place, so that no control moves when a preview appears or disappears.
    """

    def __init__(
        self, state: State, buttons: QtWidgets.QLayout, parent: QtWidgets.QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.state = state
        self._said = ("", False)
        self.preview = Preview()
        self.title, self.stage = Elided(), Elided()
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

        self.running = QtWidgets.QWidget()
        lines = QtWidgets.QVBoxLayout(self.running)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.setSpacing(4)
        for widget in (self.title, self.stage, self.bar):
            lines.addWidget(widget)
        words = QtWidgets.QVBoxLayout()
        words.setSpacing(4)
        words.addLayout(buttons)
        words.addWidget(self.running)
        words.addWidget(self.status)
        words.addStretch(1)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.preview, 0, QtCore.Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)

        state.jobChanged.connect(self._on_job)
        state.statusChanged.connect(self._on_status)
        for changed in (state.currentChanged, state.draftChanged, state.previewsChanged):
            changed.connect(self._show)
        self._on_status()

    def _on_job(self, _changed: str) -> None:
        self._show()

    @edge
    def _on_status(self) -> None:
        self._show()

    @edge
    def _show(self) -> None:
        job = self.state.jobs.get(self.state.current)
        if job is None or not job.phase.active:
            job = self.state.draft
        is_active = job is not None and job.phase.active
        held = [j.obstacle for j in (job, *self.state.jobs.values()) if j is not None and j.phase.active]
        obstacle = next(filter(None, held), "")  # of the edit that is shown, else of any
        self._say(obstacle or self.state.status, self.state.status_bad and not obstacle)
        says = bool(self.state.status) and not is_active
        self.running.setVisible(job is not None and not says and not job.obstacle)
        self.status.setVisible(says or bool(obstacle))
        self.bar.setVisible(is_active)
        self.preview.draw(job, HINT if self.state.previews else "")
        if job is None:
            return
        self.title.setText(job.label)
        self.stage.setText("Preview" if job.phase.ended else job.describe())
        self.bar.setRange(0, 0 if job.fraction is None else RANGE)
        self.bar.setValue(round((job.fraction or 0) * RANGE))

    def _say(self, sentence: str, bad: bool) -> None:
        if (sentence, bad) != self._said:
            self._said = sentence, bad
            self.status.setText(sentence)
            self.status.warn(bad)


class Sentence(QtWidgets.QLabel):
    """Wrapped text that asks for its full height, also deep inside layouts."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._warns = False
        self.setTextFormat(QtCore.Qt.TextFormat.PlainText)  # it may hold the name of a layer
        self.setWordWrap(True)

    def setText(self, text: str) -> None:
        super().setText(text)
        self._fit()

    def warn(self, on: bool) -> None:
        """Shows the text as that of an error. A style sheet would take the docker's small font away."""
        self._warns = on
        palette = QtGui.QPalette()
        if on:
            role = QtGui.QPalette.ColorRole.WindowText
            palette.setColor(role, legible(self.palette().color(QtGui.QPalette.ColorRole.Window)))
        self.setPalette(palette)

    def changeEvent(self, event: QtCore.QEvent) -> None:
        """Another theme has another colour for errors."""
        super().changeEvent(event)
        if self._warns and event.type() == QtCore.QEvent.Type.ApplicationPaletteChange:
            self.warn(True)

    def resizeEvent(self, event: QtCore.QEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setMinimumHeight(0)  # the last text's height must not count
        self.setMinimumHeight(max(0, self.heightForWidth(self.width())))


class Elided(QtWidgets.QLabel):
    """One line that is shortened with dots where there is no room for it; the tooltip has it whole."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, QtWidgets.QSizePolicy.Policy.Fixed)

    def setText(self, text: str) -> None:
        super().setText(text)
        self.setToolTip(tip(text))

    def paintEvent(self, _event: QtCore.QEvent) -> None:
        metrics = self.fontMetrics()
        text = metrics.elidedText(self.text(), QtCore.Qt.TextElideMode.ElideRight, self.width())
        QtGui.QPainter(self).drawText(0, (self.height() + metrics.ascent() - metrics.descent()) // 2, text)


def tip(text: str) -> str:
    """A text for a tooltip in which every letter is meant: a name such as '<b>' is no markup."""
    return f"<p style='white-space:pre-wrap'>{html.escape(text)}</p>" if text else ""


def legible(background: QtGui.QColor) -> QtGui.QColor:
    """The red for errors, as strong as it can be at a contrast of 4.5 (WCAG 2.2, 1.4.3)."""
    shades = [QtGui.QColor.fromHsl(2, 170, light) for light in range(130, 256, 5)]
    shades += [QtGui.QColor.fromHsl(2, 170, light) for light in range(130, -1, -5)]
    enough = (shade for shade in shades if contrast(shade, background) >= CONTRAST)
    return next(enough, max(shades, key=lambda shade: contrast(shade, background)))


def contrast(a: QtGui.QColor, b: QtGui.QColor) -> float:
    """The ratio of two colours' luminances, 1 ... 21 (WCAG 2.2)."""
    light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: QtGui.QColor) -> float:
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
