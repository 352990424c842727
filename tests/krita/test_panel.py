"""The docker's panel, the session and the network thread, with the real daemon and without Krita."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace

import pytest
from PyQt6 import QtCore, QtWidgets

from tests.daemon_fixture import Daemon
from tests.krita.conftest import networks_end
from tests.krita.desk import group, pending
from tests.krita.fake_krita import SIDE, SRGB, Document, Selection
from tests.more_methods import environment, let_end
from tests.tiny import register_tiny_model
from velatura_protocol.client import Client
from velatura_protocol.results import best_because

pytestmark = pytest.mark.timeout(300)
SERVE = [sys.executable, "-m", "velatura", "serve"]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, tiny_folder):
    state_dir = tmp_path_factory.mktemp("shared")
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, environment()) as running:
        yield running


def test_an_edit_from_the_button_to_the_layers_and_back_into_the_form(desks, daemon, document, krita, until):
    desk = desks(daemon.state_dir)
    desk.ready()
    assert desk["daemon"].text() == "Ready" and not desk["start"].isVisible()
    document.chosen = Selection(8, 8, 12, 10, bytes((i * 2) % 256 for i in range(120)))
    before = bytes(document.rootNode().childNodes()[0].pixelData(0, 0, SIDE, SIDE))
    with daemon.standing_still():  # so that it does not end before it is looked at
        desk.run("a red hat", variations=2)
        until(lambda: desk["progress"].isVisible())
    desk.wait_phase("DONE")
    assert desk["status"].text().startswith("2 variations above 'source'")
    assert group(document).name().startswith("a red hat · ") and len(document.undo_steps) == 1
    first = group(document).childNodes()[-1]
    alpha = bytes(first.pixelData(8, 8, 12, 10))[3::4]
    assert alpha == bytes(document.chosen.pixelData(8, 8, 12, 10))
    assert bytes(document.rootNode().childNodes()[0].pixelData(0, 0, SIDE, SIDE)) == before
    until(lambda: not pending(daemon.state_dir))

    made = next(text for name, text in document.annotations.items() if name.startswith("velatura-recipe-"))
    seed = json.loads(made)["recipe"]["seed"]
    desk["prompt"].setPlainText("another")
    document.setActiveNode(group(document))
    until(lambda: desk["adjust"].isEnabled())
    before, document.chosen = document.chosen, None
    desk["adjust"].click()
    assert desk["prompt"].toPlainText() == "a red hat" and desk["seed"].value() == seed >= 0
    assert desk["steps"].value() == 4 and desk["variations"].value() == 2
    until(lambda: document.activeNode().name() == "source")
    assert "run them again on 'source'" in desk["status"].text()
    rect = 8, 8, 12, 10
    assert document.chosen.pixelData(*rect) == before.pixelData(*rect)


def test_the_best_variation_lies_on_top_and_shows(desks, daemon, document, until):
    from velatura_krita import recipes

    desk = desks(daemon.state_dir)
    desk.ready()
    document.chosen = Selection(8, 8, 12, 10, bytes([255]) * 120)
    desk.run("a hat", variations=4)
    desk.wait_phase("DONE")
    children = list(reversed(group(document).childNodes()))
    found = [recipes.read(document, child).request for child in children]
    assert [recipe["rank"] for recipe in found] == [0, 1, 2, 3]
    assert [child.visible() for child in children] == [True, False, False, False]
    assert len(document.undo_steps) == 1
    assert all(f"Variation {r['variation'] + 1}" in c.name() for r, c in zip(found, children, strict=True))
    client = Client(daemon.state_dir, name="test")
    client.connect()
    layers = client.get(desk.job().id)["result"]["layers"]
    assert best_because(layers) in desk["status"].text()
    whys = [layers[recipe["variation"]].get("why", "") for recipe in found]
    assert all(why in child.name() for why, child in zip(whys, children, strict=True))
    scores = sorted(layer["score"] for layer in layers)
    assert whys[0] or scores[-1] == scores[-2]  # on another processor two may score the same
    for recipe, child in zip(found, children, strict=True):
        blob = client.fetch(layers[recipe["variation"]]["raster"]["digest"])
        assert bytes(child.pixelData(8, 8, 12, 10)) == bytes(blob)
    client.close()


def test_results_of_an_older_daemon_keep_its_order(desks, daemon, document, monkeypatch):
    from velatura_krita import recipes, session

    def unranked(self, job, handle=session.Session._on_job):
        for layer in job.get("result", {}).get("layers", []):
            for key in ("rank", "score", "scores"):
                layer.pop(key)
        handle(self, job)

    monkeypatch.setattr(session.Session, "_on_job", unranked)
    desk = desks(daemon.state_dir)
    desk.ready()
    document.chosen = Selection(8, 8, 12, 10, bytes([255]) * 120)
    desk.run("a hat", variations=3)
    desk.wait_phase("DONE")
    children = list(reversed(group(document).childNodes()))
    assert [recipes.read(document, child).request["variation"] for child in children] == [0, 1, 2]


def test_a_model_brings_its_own_defaults_and_leaves_what_was_entered(desks, daemon):
    from tests.krita.schemas import known

    desk = desks(daemon.state_dir)
    desk.ready()
    models = [{"id": "a", "title": "A"}, {"id": "b", "title": "B", "defaults": {"guidance": 7.5}}]
    state = desk.session.state
    state.set_known(replace(state.known, models=known(models=models).models))
    assert desk["guidance"].value() == 3.0
    desk["model"].setCurrentIndex(1)
    assert desk["guidance"].value() == 7.5 and not desk["reset"].isEnabled()
    desk["model"].setCurrentIndex(0)
    assert desk["guidance"].value() == 3.0
    desk["guidance"].setValue(5.0)
    desk["model"].setCurrentIndex(1)
    assert desk["guidance"].value() == 5.0


def test_what_was_entered_comes_back_with_the_next_start(desks, daemon, document):
    first = desks(daemon.state_dir)
    first.ready()
    first["method"].setCurrentIndex(first["method"].findData("sdedit"))
    first.run("kept", steps=7)
    first.wait_phase("DONE")
    second = desks(daemon.state_dir)
    second.ready()
    assert second["method"].currentData() == "sdedit"
    assert second["prompt"].toPlainText() == "kept" and second["steps"].value() == 7


def test_refusals_are_sentences_in_the_status_line(desks, daemon, document, krita, until):
    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run("")
    assert desk["status"].text() == "Write in the prompt what should be there, then run again."
    document.profile = "WideRGB-elle-V4-g10.icc"
    desk.run("a hat")
    desk.wait_phase("FAILED")
    assert desk["status"].text() and "\n" not in desk["status"].text()
    until(lambda: not pending(daemon.state_dir))
    assert not document.annotations
    document.model = "LABA"
    desk.run("a hat")
    until(lambda: "L*a*b*" in desk["status"].text())
    krita.open.clear()
    desk.run("a hat")
    assert desk["status"].text().startswith("Open a picture first")


def test_cancel(desks, daemon, document, until):
    desk = desks(daemon.state_dir)
    desk.ready()
    assert not desk["cancel"].isEnabled()
    desk.run(method="until-told")
    desk.wait_phase("RUNNING")
    desk["cancel"].click()
    desk.wait_phase("CANCELLED")
    assert desk["status"].text() == "Cancelled." and not desk["cancel"].isEnabled()
    assert not desk["progress"].isVisible() and not document.undo_steps
    until(lambda: not pending(daemon.state_dir))


def test_a_result_waits_for_its_document_and_for_the_next_krita(desks, daemon, document, krita, until):
    document.file = "/pictures/a.kra"
    first = desks(daemon.state_dir)
    first.ready()
    first.run()
    krita.open.clear()
    first.wait_phase("HOMELESS")
    assert len(pending(daemon.state_dir)) == 1 and not document.undo_steps
    first.close()
    second = desks(daemon.state_dir)
    second.until(lambda: second.session.state.jobs)
    second.wait_phase("HOMELESS")
    krita.open.append(document)
    second.wait_phase("DONE")
    assert len(document.undo_steps) == 1
    until(lambda: not pending(daemon.state_dir))


def test_the_daemon_killed_in_the_middle(desks, state_dir, document, until):
    with Daemon(state_dir, environment()) as daemon:
        desk = desks(state_dir)
        desk.ready()
        desk.run(variations=2, method="until-told")
        desk.wait_phase("RUNNING")
        daemon.kill()
        let_end(state_dir)
        until(lambda: desk["daemon"].text() == "The daemon has stopped")
        assert desk["start"].isVisible() and not desk["run"].isEnabled()
        daemon.start()
        desk.ready()
        desk.wait_phase("DONE")
        assert len(document.undo_steps) == 1 and len(group(document).childNodes()) == 2
        until(lambda: not pending(state_dir))


def test_the_start_button(desks, state_dir, until, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    desk = desks(state_dir, SERVE)
    until(lambda: desk["daemon"].text() == "The daemon is not running")
    assert desk["start"].isVisible() and not desk["run"].isEnabled()
    desk["start"].click()
    assert desk["daemon"].text() == "Starting the daemon" and not desk["start"].isVisible()
    desk.ready()
    from velatura_krita.velatura_protocol.client import Client

    client = Client(state_dir, name="test")
    client.connect()
    client.request({"type": "shutdown"})
    client.close()
    until(lambda: desk["daemon"].text() == "The daemon has stopped")


def test_without_an_installation_the_start_button_says_so(desks, state_dir, until):
    desk = desks(state_dir)
    until(lambda: desk["start"].isVisible())
    desk["start"].click()
    until(lambda: "velatura install krita" in desk["daemon"].text())


def test_every_control_has_an_accessible_name(desks, daemon):
    desk = desks(daemon.state_dir)
    desk.ready()
    for name in ("method", "prompt", "variations", "seed", "run", "cancel", "progress", "status"):
        assert desk[name].accessibleName(), name
    kinds = (QtWidgets.QAbstractButton, QtWidgets.QComboBox, QtWidgets.QAbstractSpinBox, QtWidgets.QSlider)
    for widget in (w for kind in kinds for w in desk.panel.findChildren(kind)):
        assert widget.accessibleName() and widget.objectName(), widget
    assert desk["seed"].text() == "random"


def test_nothing_is_wider_than_a_narrow_docker(desks, daemon):
    desk = desks(daemon.state_dir)
    desk.ready()
    assert desk.panel.minimumSizeHint().width() <= 260
    area = desk.panel.findChild(QtWidgets.QScrollArea)
    assert area.widget().minimumSizeHint().width() <= 260
    desk.session.state.say("A long sentence that says what is wrong and what to do about it. " * 4, bad=True)
    assert desk["status"].wordWrap() and desk.panel.minimumSizeHint().width() <= 260


def test_the_strip_of_a_word_is_scrolled_into_sight(desks, tmp_path, application):
    from tests.krita.schemas import WEIGH, known

    desk = desks(tmp_path)
    desk.panel.resize(290, 420)
    desk.session.state.set_known(known(WEIGH))
    desk["prompt"].setPlainText("a photo of a smiling man with a long grey beard, glasses and a red hat")
    strip, area = desk["of_words.strip"], desk.panel.findChild(QtWidgets.QScrollArea)
    desk["word.2"].click()
    desk.until(lambda: strip.isVisible() and strip.y() > desk["word.12"].parent().y())

    def is_in_sight():
        bottom = strip.mapTo(area.viewport(), strip.rect().bottomLeft())
        return area.viewport().rect().contains(bottom)

    desk.until(lambda: area.verticalScrollBar().value() > 0 and is_in_sight())


def test_a_fault_of_ours_is_a_sentence(desks, daemon, document, monkeypatch):
    desk = desks(daemon.state_dir)
    desk.ready()
    monkeypatch.setattr(Document, "name", lambda _self: 1 / 0)
    desk.run()
    assert desk["status"].text().startswith("Velatura met a fault of its own")


def test_ctrl_enter_in_the_prompt_runs(desks, daemon, application):
    from PyQt6 import QtGui

    desk = desks(daemon.state_dir)
    desk.ready()
    key, control = QtCore.Qt.Key.Key_Return, QtCore.Qt.KeyboardModifier.ControlModifier
    application.sendEvent(desk["prompt"], QtGui.QKeyEvent(QtCore.QEvent.Type.KeyPress, key, control))
    assert desk["status"].text().startswith("Open a picture first")


def test_the_docker_of_each_window_shares_one_session(krita, state_dir, until, monkeypatch):
    import velatura_krita
    from velatura_krita import docker

    monkeypatch.setenv("VELATURA_STATE_DIR", str(state_dir))
    monkeypatch.setattr(docker, "_session", None)
    importlib.reload(velatura_krita)
    factory = krita.factories[-1]
    assert factory.name == "velatura_docker"
    first, second = factory.made(), factory.made()
    assert first.windowTitle() == "Velatura"
    assert first.widget().session is second.widget().session
    labels = [made.findChild(QtWidgets.QLabel, "daemon") for made in (first, second)]
    until(lambda: all(label.text() == "The daemon is not running" for label in labels))
    first.deleteLater()  # a window is closed; the other one goes on
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
    docker.session().start_daemon()
    until(lambda: "velatura install krita" in labels[1].text())
    krita.notifier().applicationClosing.emit()
    assert networks_end()
    second.deleteLater()


def test_only_the_part_around_the_selection_is_sent_and_the_layer_is_known_by_all_of_it(
    desks, daemon, krita, until
):
    document = Document(200, 180, "large", "RGBA", "U8", SRGB)
    node = document.createNode("source", "paintlayer")
    document.rootNode().addChildNode(node, None)
    node.setPixelData(
        bytes(i % 251 for i in range(200 * 180 * 3)).ljust(200 * 180 * 4, b"\xff"), 0, 0, 200, 180
    )
    krita.open.append(document)
    document.setActiveNode(node)
    document.chosen = Selection(120, 90, 12, 10, bytes([255]) * 120)
    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run("a red hat", variations=1)
    desk.wait_phase("DONE")
    made = next(text for name, text in document.annotations.items() if name.startswith("velatura-recipe-"))
    source = json.loads(made)["recipe"]["inputs"]["source"]
    assert source["whole"] == [0, 0, 200, 180] and max(source["rect"][2:]) == 64
    x, y = 190, 170  # far from the selection, and seen by nobody
    for says in ("run them again on 'source'.", "'source' was changed since"):
        document.setActiveNode(group(document))
        until(lambda: desk["adjust"].isEnabled())
        desk["adjust"].click()
        until(lambda: document.activeNode().name() == "source")
        until(lambda says=says: says in desk["status"].text())
        node.setPixelData(bytes(4), x, y, 1, 1)
