"""A candidate over the canvas before its layer is there, and the picture before the edit."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from PyQt6 import QtCore, QtGui, QtWidgets, sip
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from tests.daemon_fixture import Daemon
from tests.krita.desk import group
from tests.krita.fake_krita import KisOpenGLCanvas2, Window
from tests.tiny import register_tiny_model

pytestmark = pytest.mark.timeout(300)
RECT = (4, 6, 8, 10)  #: of a candidate, in the document
RED, GREEN = (40, 30, 220, 255), (50, 200, 40, 255)  #: B, G, R, A


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, tiny_folder):
    state_dir = tmp_path_factory.mktemp("over-canvas")
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir) as running:
        yield running


@pytest.fixture
def desk(desks, daemon, document, krita):
    krita.window = Window(document)
    desk = desks(daemon.state_dir)
    desk.ready()
    yield desk
    krita.window.main.close()


def begin(desk, document, job="c" * 36, dtype="u8", profile="", canvas=(32, 32)):
    """A run of two candidates whose pixels are asked for, and not fetched from any daemon; returns both."""
    from velatura_krita.places import root_id
    from velatura_krita.strips import Run

    strips = desk.session.strips
    strips.begin(job, 2, Run(root_id(document), "t", "m", 0.0))
    desk.session.network.pixels = lambda *asked: strips.asked.append(asked)
    desk.session.network.thumbnail = lambda *_asked: None
    strips.asked = []
    for index in (0, 1):
        digest = f"blake2b:{index:064}"
        raster = {
            "digest": digest, "width": RECT[2], "height": RECT[3], "channels": "BGRA", "dtype": dtype,
            "profile": profile, "rect": list(RECT),
        }  # fmt: skip
        small = {"digest": "blake2b:" + "ab"[index] * 64, "size": 99, "format": "jpeg"}
        layer = {
            "index": index, "title": "t", "seed": index, "raster": raster, "score": 0.9 - index / 10,
            "recipe": {"canvas": list(canvas)},
            "thumbnail": {**small, "width": 16, "height": 16, "rect": [0, 0, 32, 32]},
        }  # fmt: skip
        strips.hear({"type": "candidate", "job": job, "of": 2, "layer": layer})
        strips.arrived(job, small["digest"], jpeg("blue"))
    return [cell.candidate for cell in strips.strips[job].cells]


def jpeg(colour) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(file, "JPEG")
    return file.getvalue()


def point(desk, at) -> None:
    """Moves the pointer over the place `at` of the strip; None: away from it."""
    cells = desk["strip"]
    if at is None:
        QtWidgets.QApplication.sendEvent(cells, QtCore.QEvent(QtCore.QEvent.Type.Leave))
        return
    where = QtCore.QPointF(cells.visualItemRect(cells.item(at)).center())
    none, kind = Qt.MouseButton.NoButton, QtCore.QEvent.Type.MouseMove
    moved = QtGui.QMouseEvent(kind, where, where, none, none, Qt.KeyboardModifier.NoModifier)
    QtWidgets.QApplication.sendEvent(cells.viewport(), moved)


def colour(window, x, y) -> str:
    """What the canvas shows at a pixel of the document; '' for nothing of ours."""
    (shown,) = window.canvas.findChildren(QtWidgets.QWidget, "velatura.preview") or [None]
    if shown is None or shown.isHidden():
        return ""
    left, top = window.shift
    place = QtCore.QPoint(round(window.scale * (x + 0.5) + left), round(window.scale * (y + 0.5) + top))
    drawn = QtGui.QImage(shown.size(), QtGui.QImage.Format.Format_ARGB32)
    drawn.fill(0)
    shown.render(drawn, flags=QtWidgets.QWidget.RenderFlag.DrawChildren)
    pixel = drawn.pixelColor(place)
    return pixel.name() if pixel.alpha() else "clear"


def test_the_candidate_below_the_pointer_shows_in_its_place_and_follows_the_canvas(desk, document, krita):
    first, second = begin(desk, document)
    window, strips, before = krita.window, desk.session.strips, list(document.undo_steps)
    assert colour(window, 8, 8) == ""
    desk.until(lambda: "velatura-history" in document.annotations)
    kept = dict(document.annotations)
    point(desk, 1)
    assert colour(window, 20, 20) == "#0000fe"  # the small picture, with its surroundings
    desk.until(lambda: strips.asked == [(second.job, second.raster.digest, 320)])
    strips.on_canvas.arrived(second.raster.digest, bytearray(bytes(RED) * 80))
    assert colour(window, 4, 6) == colour(window, 11, 15) == "#dc1e28"
    assert colour(window, 3, 6) == colour(window, 12, 15) == colour(window, 11, 16) == "clear"
    window.scale, window.shift = 3.0, (-10.0, 5.0)
    desk.until(lambda: colour(window, 4, 6) == colour(window, 11, 15) == "#dc1e28")
    assert colour(window, 12, 15) == "clear"
    point(desk, 0)
    assert colour(window, 20, 20) == "#0000fe"
    strips.on_canvas.arrived(second.raster.digest, b"")  # too late
    strips.on_canvas.arrived(first.raster.digest, bytes(GREEN) * 79)  # damaged
    assert colour(window, 20, 20) == "#0000fe"
    strips.on_canvas.arrived(first.raster.digest, bytes(GREEN) * 80)
    assert colour(window, 8, 8) == "#28c832"
    point(desk, 1)  # held already
    assert colour(window, 8, 8) == "#dc1e28" and len(strips.asked) <= 2
    point(desk, None)
    assert colour(window, 8, 8) == ""
    assert document.undo_steps == before and len(document.rootNode().childNodes()) == 1
    assert document.annotations == kept


def test_pixels_of_another_depth_are_shown_through_krita(desk, document, krita):
    _first, second = begin(desk, document, dtype="u16", profile="anything")
    open_before = len(krita.open)
    point(desk, 1)
    sixteen = b"".join(bytes((0, value)) for value in RED) * 80
    desk.session.strips.on_canvas.arrived(second.raster.digest, sixteen)
    desk.until(lambda: colour(krita.window, 8, 8) == "#dc1e28" and colour(krita.window, 20, 20) == "clear")
    assert len(krita.open) == open_before and all(one.rootNode() is None for one in krita.unseen)


@pytest.mark.parametrize("why", ["size", "picture"])
def test_nothing_shows_over_a_picture_where_it_has_no_place(desk, document, krita, why):
    begin(desk, document, canvas=(64, 32) if why == "size" else (32, 32))
    if why == "picture":
        krita.window.shown = document.clone()
    point(desk, 1)
    assert colour(krita.window, 20, 20) == ""
    krita.window.shown = document
    desk.until(lambda: (colour(krita.window, 20, 20) != "") == (why == "picture"))


def test_a_canvas_that_is_closed_takes_the_picture_with_it(desk, document, krita):
    begin(desk, document)
    point(desk, 0)
    window = krita.window
    sip.delete(window.canvas)
    point(desk, 1)
    window.canvas = KisOpenGLCanvas2()  # another view of the picture
    window.main.findChild(QtWidgets.QMdiArea).addSubWindow(window.canvas).showMaximized()
    desk.until(lambda: colour(window, 20, 20) == "#0000fe")


def test_held_b_shows_the_picture_before_the_edit_and_changes_nothing(desk, document):
    desk.run("a hat", variations=2)
    desk.wait_phase("DONE")
    desk.run("a beard", variations=2)
    desk.until(lambda: len(desk.session.state.jobs) == 2)
    desk.wait_phase("DONE")
    shown = lambda: [node.visible() for node in document.rootNode().childNodes()]  # noqa: E731
    assert shown() == [True, False, True]  # the source, the hat, the beard
    document.setModified(False)
    cells, steps = desk["strip"], len(document.undo_steps)
    QTest.keyPress(cells, Qt.Key.Key_B)
    assert shown() == [True, True, False]
    QTest.keyRelease(cells, Qt.Key.Key_B)
    desk.until(lambda: shown() == [True, False, True])
    desk["strip.before"].pressed.emit()
    assert shown() == [True, True, False]
    cells.clearFocus()
    desk.panel.strip.hide()  # the key is let go elsewhere
    desk.until(lambda: shown() == [True, False, True])
    assert len(document.undo_steps) == steps and not document.modified()


def test_shift_enter_keeps_several_as_layers_below_the_others(desk, document):
    from velatura_krita.recipes import read

    desk.run("a hat", variations=3)
    desk.wait_phase("DONE")
    order = [cell.candidate.index for cell in desk.session.strips.shown.cells]
    for count in (1, 2):
        QTest.keyClick(desk["strip"], Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
        desk.until(lambda n=count: "layer of its own" in desk["status"].text() and len(kept(document)) == n)
        desk.until(lambda n=count: desk.session.strips.shown.chosen.index == order[n])
        desk.session.state.say("")
    assert [read(document, node).request["variation"] for node in kept(document)] == order[:2]
    assert all(read(document, node).kept for node in kept(document))
    made = document.rootNode().childNodes()[-1]
    assert made.type() == "grouplayer" and len(made.childNodes()) == 3
    shown = [read(document, node).request["variation"] for node in made.childNodes() if node.visible()]
    assert shown == [order[2]] and desk["strip.says"].text() == "3 candidates, 2 kept."


def kept(document) -> list:
    """The layers between the source and the group."""
    return document.rootNode().childNodes()[1:-1]


def test_enter_during_the_run_says_when_it_can_be_kept(desk, document):
    begin(desk, document)
    QTest.keyClick(desk["strip"], Qt.Key.Key_Return)
    desk.until(lambda: "when the run ends" in desk["status"].text())
    assert group not in document.rootNode().childNodes()
