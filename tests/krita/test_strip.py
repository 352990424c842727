"""The strip in the docker: candidates as they finish, the chosen one on the canvas, dropped and starred."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from PyQt6 import QtCore, QtGui, QtWidgets
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from tests.daemon_fixture import Daemon
from tests.krita.desk import group
from tests.tiny import register_tiny_model

pytestmark = pytest.mark.timeout(300)
WIDTH = 260  #: pixels of a narrow docker


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, tiny_folder):
    state_dir = tmp_path_factory.mktemp("strip")
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir) as running:
        yield running


@pytest.fixture
def desk(desks, daemon, document):
    desk = desks(daemon.state_dir)
    desk.ready()
    return desk


def places(desk) -> list:
    """The indices in the strip, from the left; None for one that is still to come."""
    cells = desk["strip"]
    return [cells.item(at).data(Qt.ItemDataRole.UserRole) for at in range(cells.count())]


def chosen(desk) -> int:
    return desk["strip"].currentItem().data(Qt.ItemDataRole.UserRole)


def on_canvas(document) -> list:
    """The variations that show."""
    from velatura_krita.recipes import read

    shown = [child for child in group(document).childNodes() if child.visible()]
    return [read(document, child).request["variation"] for child in shown]


def press(desk, key) -> None:
    QTest.keyClick(desk["strip"], key)


def candidate(job, index, score) -> dict:
    raster = {
        "digest": f"blake2b:{index:064}", "width": 4, "height": 4, "channels": "BGRA", "dtype": "u8",
        "profile": "", "rect": [0, 0, 4, 4],
    }  # fmt: skip
    layer = {"index": index, "title": f"Variation {index + 1}", "seed": index, "raster": raster}
    return {"type": "candidate", "job": job, "of": 3, "layer": {**layer, "score": score, "recipe": {}}}


def test_candidates_come_one_by_one_the_best_first(desk, document):
    strips, job = desk.session.strips, "a" * 36
    assert not desk.panel.strip.isVisible()
    strips.begin(job, 3)
    assert not desk.panel.strip.isVisible()
    seen = []
    for index, score in ((0, 0.4), (2, 0.9), (1, 0.6)):
        strips.hear(candidate(job, index, score))
        seen.append((places(desk), chosen(desk), desk["strip.says"].text()))
    assert seen[0] == ([0, None, None], 0, "1 of 3 are here, the best so far first.")
    assert seen[1] == ([2, 0, None], 2, "2 of 3 are here, the best so far first.")
    assert seen[2] == ([2, 1, 0], 2, "3 candidates.")
    assert not desk["strip"].item(0).icon().isNull()


def test_a_candidate_that_is_chosen_stays_chosen_when_a_better_one_comes(desk):
    strips, job = desk.session.strips, "b" * 36
    strips.begin(job, 3)
    strips.hear(candidate(job, 0, 0.4))
    strips.hear(candidate(job, 1, 0.3))
    press(desk, Qt.Key.Key_Right)
    strips.hear(candidate(job, 2, 0.9))
    assert places(desk) == [2, 0, 1] and chosen(desk) == 1


def test_keys_choose_star_drop_and_undo(desk, document):
    desk.run("a hat", variations=3)
    desk.wait_phase("DONE")
    strips = desk.session.strips
    desk.until(lambda: len(strips.pictures) == 3)
    first = places(desk)
    assert sorted(first) == [0, 1, 2] and on_canvas(document) == [first[0]] == [chosen(desk)]
    press(desk, Qt.Key.Key_Right)
    desk.until(lambda: on_canvas(document) == [first[1]])
    desk["strip"].setCurrentRow(2)
    desk.until(lambda: on_canvas(document) == [first[2]])
    press(desk, Qt.Key.Key_S)
    assert "starred" in desk["strip"].currentItem().data(Qt.ItemDataRole.AccessibleTextRole)
    gone = next(child for child in group(document).childNodes() if child.visible())
    press(desk, Qt.Key.Key_Delete)
    desk.until(lambda: places(desk) == first[:2])
    assert on_canvas(document) == [first[1]] == [chosen(desk)]
    assert len(group(document).childNodes()) == 2
    assert desk["status"].text().endswith("is dropped; undo brings it back.")
    group(document).addChildNode(gone, None)  # as undo does
    desk.until(lambda: places(desk) == first)
    desk.until(lambda: on_canvas(document) == [first[2]])


def test_the_last_one_is_not_dropped(desk, document):
    desk.run("a hat")
    desk.wait_phase("DONE")
    press(desk, Qt.Key.Key_Delete)
    assert "last variation" in desk["status"].text()
    assert places(desk) == [0] and len(group(document).childNodes()) == 1


def test_what_is_dropped_during_the_run_is_not_inserted(desk, document):
    document.busy = 0
    desk.run("a hat", variations=3)
    strips, job = desk.session.strips, desk.job().id
    desk.until(lambda: strips.strips[job].cells)
    gone = strips.strips[job].chosen.index
    strips.drop(job)
    strips.take_back(job)
    assert strips.strips[job].chosen.index == gone and not strips.can_take_back(job)
    strips.drop(job)
    desk.wait_phase("DONE")
    desk.until(lambda: len(places(desk)) == 2)
    assert gone not in places(desk) and len(group(document).childNodes()) == 2
    assert desk["status"].text().startswith("2 variations above")


def test_krita_gets_none_of_the_strips_keys(desk):
    desk.session.strips.hear(candidate("c" * 36, 0, 0.4))
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Delete, Qt.Key.Key_S, Qt.Key.Key_Return):
        event = QtGui.QKeyEvent(QtCore.QEvent.Type.ShortcutOverride, key, Qt.KeyboardModifier.NoModifier)
        event.ignore()
        QtWidgets.QApplication.sendEvent(desk["strip"], event)
        assert event.isAccepted()
    other = QtGui.QKeyEvent(
        QtCore.QEvent.Type.ShortcutOverride, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier
    )
    other.ignore()
    QtWidgets.QApplication.sendEvent(desk["strip"], other)
    assert not other.isAccepted()  # Krita's undo


def test_four_stand_side_by_side_in_a_narrow_docker(desk):
    strips, job = desk.session.strips, "d" * 36
    desk.panel.resize(WIDTH, 700)
    for index in range(4):
        strips.hear(candidate(job, index, index / 10))
    QtWidgets.QApplication.processEvents()
    cells = desk["strip"]
    assert desk.panel.width() == WIDTH
    assert cells.visualItemRect(cells.item(3)).right() < cells.viewport().width()


def test_a_picture_that_cannot_be_read_shows_its_number(desk):
    strips, digest = desk.session.strips, "blake2b:" + "f" * 64
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "JPEG")
    drawn = []
    for data in (b"", b"no picture", file.getvalue()):
        strips.pictures.clear()
        message = candidate(str(len(drawn)) * 36, 0, 0.4)
        message["layer"]["thumbnail"] = {
            "digest": digest, "size": 3, "format": "jpeg", "width": 8, "height": 8, "rect": [0, 0, 4, 4],
        }  # fmt: skip
        strips.hear(message)
        strips.arrived(message["job"], digest, data)
        drawn.append(desk["strip"].item(0).icon().pixmap(50, 50).toImage().pixelColor(10, 10).name())
    assert drawn[0] == drawn[1] != drawn[2]


def test_more_like_this_runs_close_to_the_chosen_one_on_the_same_layer(desk, document):
    from velatura_krita.recipes import read

    source = document.activeNode()
    desk.run("a hat", variations=2)
    desk.wait_phase("DONE")
    strip = desk.session.strips.strips[desk.job().id]
    desk["prompt"].setPlainText("something else")
    press(desk, Qt.Key.Key_Right)
    liked = strip.chosen
    desk["strip.more"].click()
    desk.until(lambda: len(desk.session.state.jobs) == 2)
    assert desk.job().about == "a hat"
    desk.wait_phase("DONE")
    made = document.rootNode().childNodes()[-1].childNodes()
    found = [read(document, node) for node in made]
    assert len(found) == 4 and {one.source for one in found} == {source.uniqueId().toString().strip("{}")}
    method = desk.session.state.known.method(found[0].request["method"])
    for one in found:
        (entry,) = one.request["parameters"][method.around.key]
        assert entry["seed"] == liked.seed and one.request["prompt"] == "a hat"


def test_more_like_this_of_a_method_without_it_says_so(desk, document):
    from dataclasses import replace

    from velatura_krita.recipes import bind, read

    desk.run("a hat")
    desk.wait_phase("DONE")
    node = group(document).childNodes()[0]
    recipe = read(document, node)
    bind(document, node, replace(recipe, request={**recipe.request, "method": "unheard-of"}))
    press(desk, Qt.Key.Key_M)
    desk.until(lambda: "cannot make others" in desk["status"].text())
    assert len(desk.session.state.jobs) == 1


def test_more_like_this_needs_the_layer_that_it_was_made_from(desk, document):
    source = document.activeNode()
    desk.run("a hat")
    desk.wait_phase("DONE")
    document.rootNode().take(source)
    press(desk, Qt.Key.Key_M)
    desk.until(lambda: "is gone" in desk["status"].text())
    assert len(desk.session.state.jobs) == 1
