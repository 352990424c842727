"""Candidates over the canvas: the small picture at once, the pixels as soon as they are here."""

from __future__ import annotations

from typing import Any

from .insert import SRGB, Layer, fill, open_workshop
from .over_canvas import OverCanvas
from .places import root_id
from .qt import QtCore, QtGui
from .rest import idle
from .steps import Steps
from .velatura_protocol.candidates import Candidate
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.messages import Bytes
from .velatura_protocol.strip import Held

DWELL = 120  #: milliseconds that a candidate shows before its pixels are fetched


class CandidatePictures(QtCore.QObject):
    """Belongs to a session's strips. pictures: the JPEGs of thumbnails by their digests."""

    def __init__(self, session: Any, pictures: dict[str, bytes]) -> None:
        super().__init__(session)
        self.session, self.host, self._pictures = session, session.host, pictures
        self.over = OverCanvas(session.host, self)
        self.held = Held()
        self.shown: tuple[str, Candidate] | None = None  #: the document's root, and what shows over it
        self._converting: Steps | None = None
        self._dwell = QtCore.QTimer(self)
        self._dwell.setSingleShot(True)
        self._dwell.setInterval(DWELL)
        self._dwell.timeout.connect(self._fetch)

    def show(self, root: str, candidate: Candidate) -> None:
        """Shows a candidate in its place in the document of this root."""
        if self.shown == (root, candidate):
            return
        self.hide()
        if not self._fits(root, candidate):
            return
        self.shown = root, candidate
        if not self._draw():
            self._draw_thumbnail()
            self._dwell.start()

    def hide(self) -> None:
        """Shows the picture alone."""
        self._dwell.stop()
        self.session.stepper.drop(self._converting)
        self.shown = self._converting = None
        self.over.hide()

    def arrived(self, digest: str, pixels: Bytes) -> None:
        """A candidate's pixels are here; b"" if they could not be fetched."""
        if self.shown is None or self.shown[1].raster.digest != digest or not pixels:
            return
        try:
            self.held.put(self.shown[1], pixels)
        except VelaturaError:
            return  # the small picture stays
        self._draw()

    def _fits(self, root: str, candidate: Candidate) -> bool:
        """Whether the document is open, and as large as it was for the run."""
        document = next((one for one in self.host.documents() if root and root_id(one) == root), None)
        if document is None:
            return False
        return candidate.recipe.get("canvas") in (None, [document.width(), document.height()])

    def _fetch(self) -> None:
        if self.shown is not None:
            one = self.shown[1]
            self.session.network.pixels(one.job, one.raster.digest, one.raster.nbytes)

    def _draw_thumbnail(self) -> None:
        root, candidate = self.shown
        small = candidate.thumbnail
        image = QtGui.QImage()
        if small is not None and image.loadFromData(self._pictures.get(small.digest, b"")):
            self.over.show(root, image, small.rect)

    def _draw(self) -> bool:
        """Shows the pixels; returns whether they are here."""
        root, candidate = self.shown
        pixels, raster = self.held.get(candidate), candidate.raster
        if pixels is None:
            return False
        if (raster.channels, raster.dtype) == ("BGRA", "u8") and raster.profile in ("", SRGB):
            made = QtGui.QImage.Format.Format_ARGB32  # B, G, R, A in memory
            image = QtGui.QImage(bytes(pixels), raster.width, raster.height, 4 * raster.width, made).copy()
            self.over.show(root, image, raster.rect)
            return True
        self._converting = converted(self.host, candidate, pixels)
        self.session.stepper.start(
            self._converting,
            lambda image: self.over.show(root, image, raster.rect),
            lambda _error: None,  # the small picture stays
        )
        return True


def converted(host: Any, candidate: Candidate, pixels: Bytes) -> Steps:
    """A candidate as a QImage in sRGB, by a small document of Krita's; see `steps.Steps`."""
    raster = candidate.raster
    left, top, width, height = raster.rect
    workshop = open_workshop(host, raster)
    try:
        workshop.setBatchmode(True)
        yield 0
        workshop.resizeImage(0, 0, width, height)
        yield from idle(workshop)
        node = workshop.createNode("candidate", "paintlayer")
        yield from fill(node, Layer("", raster, {}, pixels), left, top)
        workshop.rootNode().addChildNode(node, None)
        yield from idle(workshop)
        workshop.refreshProjection()
        yield from idle(workshop)
        return workshop.projection(0, 0, width, height)
    finally:
        workshop.setModified(False)
        workshop.close()
