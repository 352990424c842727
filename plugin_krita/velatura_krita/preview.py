"""The small preview of an edit: as large as its place allows, cut to the selection."""

from __future__ import annotations

from collections.abc import Sequence

from .qt import QtCore, QtGui, QtWidgets
from .state import Job

SIDE = 88  #: pixels
MARGIN = 0.25  #: of the selection's longer side that is shown round it
Rect = Sequence[float]


class Preview(QtWidgets.QLabel):
    """The preview; its place stays also while there is none."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._drawn: tuple = ()
        self.setObjectName("preview")
        self.setAccessibleName("Preview")
        self.setFixedSize(SIDE, SIDE)
        self.setWordWrap(True)
        self.setFrameShape(QtWidgets.QFrame.Shape.StyledPanel)
        self.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)

    def draw(self, job: Job | None, hint: str) -> None:
        """Shows a job's preview; hint: shown where there is none."""
        wanted = (job.preview, job.shown, job.selected) if job is not None and job.preview else (hint,)
        if wanted == self._drawn:
            return
        self._drawn = wanted
        picture = QtGui.QPixmap()
        if len(wanted) == 1 or not picture.loadFromData(wanted[0]):
            self.setEnabled(False)
            self.clear()
            self.setText(hint)
            self.setToolTip("")
            return
        self.setEnabled(True)
        self.setPixmap(fitted(picture, job, self.contentsRect().size(), self.devicePixelRatioF()))
        self.setToolTip(where(job))


def fitted(picture: QtGui.QPixmap, job: Job, room: QtCore.QSize, ratio: float) -> QtGui.QPixmap:
    """The part of a job's preview that is shown, as large as the room. ratio: the screen's pixels to one."""
    part = picture.copy(*part_of((picture.width(), picture.height()), job.shown, job.selected))
    keep = QtCore.Qt.AspectRatioMode.KeepAspectRatio
    scaled = part.scaled(room * ratio, keep, QtCore.Qt.TransformationMode.SmoothTransformation)
    scaled.setDevicePixelRatio(ratio)
    return scaled


def part_of(size: tuple[int, int], shown: Rect | None, selected: Rect | None) -> tuple[int, int, int, int]:
    """The part of a preview of this size to show: the selection with a margin, else all of it.

    shown: the document's pixels that the preview shows; selected: the bounds of the selection in them.
    """
    if shown is None or selected is None or min(*shown[2:], *selected[2:]) <= 0:
        return 0, 0, *size
    margin = MARGIN * max(selected[2:])
    spans = []
    for axis in (0, 1):
        scale = size[axis] / shown[2 + axis]
        low = (selected[axis] - margin - shown[axis]) * scale
        high = (selected[axis] + selected[2 + axis] + margin - shown[axis]) * scale
        low, high = max(0, round(low)), min(size[axis], round(high))
        if low >= high:  # the selection is not in it
            return 0, 0, *size
        spans.append((low, high - low))
    return spans[0][0], spans[1][0], spans[0][1], spans[1][1]


def where(job: Job) -> str:
    tip = "The edit so far"
    if job.shown is None:
        return tip
    x, y, width, height = (round(number) for number in job.shown)
    return f"{tip}\nIn the picture: {width} × {height} pixels at {x}, {y}"
