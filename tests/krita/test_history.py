"""The history of a picture: recorded as results come, kept in the document, found and loaded again."""

from __future__ import annotations

import pytest
from PyQt6 import QtCore
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from tests.daemon_fixture import Daemon
from tests.krita.fake_krita import SRGB, Document
from tests.tiny import register_tiny_model

pytestmark = pytest.mark.timeout(300)
NAME = "velatura-history"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, tiny_folder):
    state_dir = tmp_path_factory.mktemp("history")
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir) as running:
        yield running


@pytest.fixture
def desk(desks, daemon, document):
    desk = desks(daemon.state_dir)
    desk.ready()
    return desk


def stored(document):
    from velatura_krita.velatura_protocol.history import History

    return History.from_bytes(bytes(document.annotation(NAME)))


def finished(desk, prompt, variations=2) -> None:
    count = len(desk.session.state.jobs) + 1
    desk.run(prompt, variations=variations)
    desk.until(lambda: len(desk.session.state.jobs) == count)
    desk.wait_phase("DONE")
    job = desk.job().id
    strips = desk.session.strips
    digests = {cell.candidate.thumbnail.digest for cell in strips.strips[job].cells}
    desk.until(lambda: digests <= strips.pictures.keys())


def rows(desk) -> list[str]:
    model = desk["history"].model()
    return [model.index(at).data().partition("\n")[0] for at in range(model.rowCount())]


def test_results_are_kept_with_pictures_words_and_lineage(desk, document):
    finished(desk, "a hat")
    strips, job = desk.session.strips, desk.job().id
    QTest.keyClick(desk["strip"], Qt.Key.Key_S)
    starred = strips.strips[job].chosen.index
    QTest.keyClick(desk["strip"], Qt.Key.Key_Right)
    QTest.keyClick(desk["strip"], Qt.Key.Key_Delete)
    desk.until(lambda: strips.strips[job].dropped)
    desk.until(lambda: stored(document).get((job, 1 - starred)).fate == "dropped")
    entry = stored(document).get((job, starred))
    assert entry.starred and entry.prompt == "a hat" and entry.thumbnail[:2] == b"\xff\xd8"
    assert entry.method == desk.session.state.known.method(entry.recipe["method"]).title
    desk["strip.more"].click()
    desk.until(lambda: len(desk.session.state.jobs) == 2)
    desk.wait_phase("DONE")
    child = desk.job().id
    desk.until(lambda: (child, 3) in stored(document))
    line = stored(document).lineage((child, 3))
    assert [one.key for one in line] == [(job, starred), (child, 3)] and line[1].relation == "more"


def test_the_list_is_searched_and_edit_again_fills_the_form(desk, document):
    finished(desk, "a hat")
    finished(desk, "a beard", variations=1)
    desk["history.header"].click()
    assert rows(desk) == ["a beard", "a hat", "a hat"]
    assert (
        desk["history.says"].text().startswith("3 results, ") and " of 4.0 MB" in desk["history.says"].text()
    )
    desk["history.search"].setText("HAT")
    assert rows(desk) == ["a hat", "a hat"]
    assert not desk["history.again"].isEnabled()
    model = desk["history"].model()
    desk["history"].setCurrentIndex(model.index(1))
    assert not model.index(1).data(Qt.ItemDataRole.DecorationRole).isNull()
    desk["history.again"].click()
    assert desk["prompt"].toPlainText() == "a hat"
    assert desk["seed"].value() == desk.panel.history.chosen.recipe["seed"]
    desk["prompt"].setPlainText("mine")
    wanted = desk.panel.history.chosen
    desk["history.search"].setText("")
    desk["history.run"].click()
    desk.until(lambda: len(desk.session.state.jobs) == 3)
    desk.wait_phase("DONE")
    desk.until(lambda: stored(document).get((desk.job().id, 0)))
    made = stored(document).get((desk.job().id, 0))
    assert (made.parent, made.relation, made.prompt) == (wanted.key, "again", "a hat")
    assert made.recipe["seed"] == wanted.seed and desk["prompt"].toPlainText() == "mine"
    desk["history.search"].setText("HAT")
    desk["history"].setCurrentIndex(model.index(2))
    desk["history.star"].click()
    assert rows(desk) == ["a hat", "a hat", "★ a hat"]
    desk.until(lambda: stored(document).search(starred=True))


def test_each_picture_has_its_own_history_and_it_is_read_when_opened_again(desk, document, krita):
    finished(desk, "a hat")
    desk["history.header"].click()
    desk.until(lambda: NAME in document.annotationTypes())
    other = Document(32, 32, "other", "RGBA", "U8", SRGB)
    krita.open.append(other)
    document.close()
    desk.until(lambda: rows(desk) == [])
    other.close()
    again = Document(32, 32, "picture", "RGBA", "U8", SRGB)
    again.setAnnotation(NAME, "", document.annotation(NAME))
    krita.open.append(again)
    desk.until(lambda: rows(desk) == ["a hat", "a hat"])


@pytest.mark.parametrize("data", [b"velatura-history 99\nx\n", b"something else"])
def test_a_history_that_cannot_be_read_is_said_and_stays_as_it_is(desk, document, data):
    document.setAnnotation(NAME, "", QtCore.QByteArray(data))
    finished(desk, "a hat", variations=1)
    desk["history.header"].click()
    assert desk["history.says"].text().startswith("This picture's history")
    assert rows(desk) == [] and bytes(document.annotation(NAME)) == data
