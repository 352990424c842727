"""A picture in its place over Krita's canvas: no layer, so neither in the undo history nor in a saved file.

It is a widget above the canvas, which follows zoom, scrolling, rotation and mirroring.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .edges import edge
from .hands import CANVASES
from .places import root_id
from .qt import QtCore, QtGui, QtWidgets

LOOK = 30  #: milliseconds between two looks at the canvas's place


class Picture(QtWidgets.QWidget):
    """The widget. The pointer and the pen go through it, to the canvas."""

    def __init__(self, canvas: QtWidgets.QWidget) -> None:
        super().__init__(canvas)
        self.setObjectName("velatura.preview")
        self.image, self.rect_shown = QtGui.QImage(), QtCore.QRectF()
        self.place = QtGui.QTransform()
        for attribute in ("WA_TransparentForMouseEvents", "WA_NoSystemBackground"):
            self.setAttribute(getattr(QtCore.Qt.WidgetAttribute, attribute))

    def put(self, image: QtGui.QImage, rect: Sequence[int], place: QtGui.QTransform) -> None:
        """Shows `image` in `rect`, in pixels of the document. place: from those to the canvas."""
        there = self.parentWidget().rect()
        wanted = QtCore.QRectF(*rect)
        now = self.image, self.rect_shown, self.place, self.geometry()
        if (image, wanted, place, there) == now and self.isVisible():
            return
        self.image, self.rect_shown, self.place = image, wanted, place
        self.setGeometry(there)
        self.raise_()
        self.show()
        self.update()

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform)
        painter.setTransform(self.place, True)
        painter.drawImage(self.rect_shown, self.image, QtCore.QRectF(self.image.rect()))
        painter.end()


class OverCanvas(QtCore.QObject):
    """Shows one picture at a time over the canvas of its document, while that is in front."""

    def __init__(self, host: Any, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self.host = host
        self._picture: Picture | None = None
        self._shown: tuple[str, QtGui.QImage, Sequence[int]] | None = None
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(LOOK)
        self._timer.timeout.connect(self._follow)

    def show(self, root: str, image: QtGui.QImage, rect: Sequence[int]) -> None:
        """root: the id of the document's root. rect: in its pixels."""
        self._shown = root, image, rect
        self._timer.start()
        self._follow()

    def hide(self) -> None:
        self._timer.stop()
        self._shown = None
        self._hide()

    @edge
    def _follow(self) -> None:
        if self._shown is None:
            return
        root, image, rect = self._shown
        window = self.host.activeWindow()
        view = window.activeView() if window is not None else None
        document = view.document() if view is not None else None
        canvas = canvas_of(window) if document is not None and root_id(document) == root else None
        if canvas is None:
            self._hide()
            return
        if self._picture is None or self._picture.parentWidget() is not canvas:
            self._away()
            self._picture = Picture(canvas)
            self._picture.destroyed.connect(self._gone)
        self._picture.put(image, rect, place_of(view))

    def _hide(self) -> None:
        if self._picture is not None:
            self._picture.hide()

    def _away(self) -> None:
        picture, self._picture = self._picture, None
        if picture is not None:
            picture.destroyed.disconnect(self._gone)
            picture.hide()
            picture.deleteLater()

    def _gone(self, *_: object) -> None:
        """The canvas was closed, and its widget with it."""
        self._picture = None


def canvas_of(window: Any) -> QtWidgets.QWidget | None:
    """The widget that shows the picture in front."""
    area = window.qwindow().findChild(QtWidgets.QMdiArea)
    front = area.currentSubWindow() if area is not None else None
    found = front.findChildren(QtWidgets.QWidget) if front is not None else []
    return next((w for w in found if w.metaObject().className() in CANVASES and w.isVisible()), None)


def place_of(view: Any) -> QtGui.QTransform:
    """From pixels of the document to those of the canvas's widget."""
    from_flake, _is_invertible = view.flakeToImageTransform().inverted()
    return from_flake * view.flakeToCanvasTransform()
