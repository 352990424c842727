"""A caption that is proposed: what is asked, where the answer goes, and when it is dropped."""

import pytest
from PyQt6 import QtCore, QtGui, QtWidgets

from tests.daemon_fixture import Daemon
from tests.krita.fake_krita import Selection
from tests.krita.schemas import LEAD, METHOD, TELL, WEIGH, known
from tests.tiny import register_tiny_model
from velatura.models.catalogue import EMBEDDED_COMPANIONS
from velatura_protocol.results import NOTHING_SAID

MODELS = [{"id": "a", "title": "Able", "lacks": []}, {"id": "b", "title": "Blind", "lacks": ["tell"]}]


@pytest.fixture
def desk(desks, tmp_path, document):
    """A docker whose daemon, as far as it knows, has a method of texts; what it sends is kept.

    The daemon is there once the method is chosen, so nothing is asked for by itself.
    """
    from velatura_krita.state import Daemon

    made = desks(tmp_path / "state")
    made.until(lambda: made.session.state.daemon is Daemon.ABSENT)
    state = made.session.state
    state.set_known(known(TELL, METHOD, WEIGH, models=MODELS))
    made["method"].setCurrentIndex(made["method"].findData("weigh"))
    state.set_daemon(Daemon.CONNECTED, "Ready", "")
    made.sent = []
    made.session.network.draft = lambda *what: made.sent.append(what)
    return made


def ask(desk):
    desk["propose"].click()
    count = len(desk.sent) + 1
    desk.until(lambda: len(desk.sent) == count)
    return desk.sent[-1][0]


def answer(desk, job, *texts):
    result = {"seconds": 0.1, "layers": [], "texts": list(texts)}
    desk.session.emit_news("job", {"job": job, "state": "done", "result": result})
    desk.until(lambda: desk["propose"].text() == "Propose")


def caption(desk):
    return desk["caption"].toPlainText()


def test_the_whole_layer_is_asked_about_and_the_first_text_stands_in_the_field(desk, document):
    document.chosen = Selection(2, 2, 5, 5)
    job, edit, inputs, canvas = ask(desk), *desk.sent[-1][1:]
    assert edit.method == "tell" and edit.parameters == {} and edit.prompt == ""
    assert edit.model == "a" and edit.variations == 1
    assert inputs["mask"] is None and inputs["source"].rect == (0, 0, 32, 32) and canvas == (32, 32)
    assert desk["propose"].text() == "Looking…" and desk["propose"].isEnabled()
    answer(desk, job, "a man with a beard", "a man")
    assert caption(desk) == "a man with a beard" and desk["copy"].isEnabled()
    assert not desk.session.state.jobs and not document.undo_steps


def test_the_field_s_own_undo_takes_it_back(desk):
    desk["caption"].setPlainText("a woman")
    desk["caption"].textCursor().insertText("once ")
    answer(desk, ask(desk), "a man")
    desk["caption"].undo()
    assert caption(desk) == "once a woman"
    desk["caption"].redo()
    assert caption(desk) == "a man"


def test_what_was_written_meanwhile_stays(desk):
    job = ask(desk)
    desk["caption"].setPlainText("a cat")
    answer(desk, job, "a dog")
    assert caption(desk) == "a cat"


def test_another_method_s_field_is_not_written_into(desk):
    job = ask(desk)
    desk["method"].setCurrentIndex(desk["method"].findData("every-kind"))
    assert not desk["propose"].isVisible()
    desk["method"].setCurrentIndex(desk["method"].findData("weigh"))
    desk.session.emit_news("job", {"job": job, "state": "done", "result": {"texts": ["a dog"]}})
    desk.until(lambda: len(desk.sent) == 2)  # chosen again, it asks by itself
    answer(desk, desk.sent[1][0], "a cat")
    assert caption(desk) == "a cat"


def choose(desk, method):
    desk["method"].setCurrentIndex(desk["method"].findData(method))


def test_a_method_that_is_chosen_asks_by_itself_and_the_prompt_begins_as_the_answer(desk):
    choose(desk, "every-kind")
    choose(desk, "weigh")
    assert desk["propose"].text() == "Looking…"
    desk.until(lambda: len(desk.sent) == 1)
    answer(desk, desk.sent[0][0], "a man")
    assert caption(desk) == prompt(desk) == "a man"
    choose(desk, "every-kind")
    choose(desk, "weigh")  # it has a caption
    assert desk["propose"].text() == "Propose"
    answer(desk, ask(desk), "a woman")
    assert prompt(desk) == "a woman", "nobody has changed the copy"
    desk["prompt"].setPlainText("a woman with a hat")
    answer(desk, ask(desk), "a dog")
    assert prompt(desk) == "a woman with a hat"


def prompt(desk):
    return desk["prompt"].toPlainText()


def test_a_prompt_that_may_stay_empty_does(desk):
    desk.session.state.set_known(known(TELL, LEAD, models=MODELS))
    answer(desk, ask(desk), "a man")
    assert caption(desk) == "a man" and prompt(desk) == ""


def test_who_turns_to_the_docker_finds_a_caption_once_for_each_layer(desk, document, krita):
    enter = lambda: desk.panel.enterEvent(QtGui.QEnterEvent(*[QtCore.QPointF()] * 3))  # noqa: E731
    enter()
    desk.until(lambda: len(desk.sent) == 1)
    desk["propose"].click()  # not wanted
    enter()
    assert desk["propose"].text() == "Propose"
    empty = document.createNode("empty", "paintlayer")
    document.rootNode().addChildNode(empty, None)
    document.setActiveNode(empty)
    enter()
    assert desk["propose"].text() == "Looking…"
    desk.until(lambda: desk["propose"].text() == "Propose")
    assert len(desk.sent) == 1 and desk["status"].text() == "", "nobody had asked, so nobody is told"
    krita.open.clear()
    enter()
    assert desk["propose"].text() == "Propose" and desk["status"].text() == ""


def test_a_recipe_brings_its_own_caption(desk):
    from velatura_krita.velatura_protocol.requests import Edit

    recipe = Edit("weigh", prompt="a cat", parameters={"caption": "a dog"})
    choose(desk, "every-kind")
    assert desk.panel.controls.show_recipe(recipe)
    assert desk["propose"].text() == "Propose" and caption(desk) == "a dog" and not desk.sent


def test_a_second_click_asks_no_longer(desk, monkeypatch):
    cancelled = []
    monkeypatch.setattr(desk.session.network, "cancel", cancelled.append)
    job = ask(desk)
    desk["propose"].click()
    assert cancelled == [job] and desk["propose"].text() == "Propose"
    desk.session.emit_news("job", {"job": job, "state": "cancelled"})
    answer(desk, ask(desk), "a dog")
    assert caption(desk) == "a dog"


def test_errors_are_sentences(desk, document, krita):
    job = ask(desk)
    error = {"code": "out-of-memory", "message": "There is too little memory; close other programs."}
    desk.session.emit_news("job", {"job": job, "state": "failed", "error": error})
    desk.until(lambda: desk["status"].text().startswith("There is too little memory"))
    assert desk["propose"].text() == "Propose" and caption(desk) == ""
    answer(desk, ask(desk))
    assert desk["status"].text() == NOTHING_SAID.format("layer")
    document.model = "LABA"
    desk["propose"].click()
    desk.until(lambda: "L*a*b*" in desk["status"].text())
    krita.open.clear()
    desk["propose"].click()
    desk.until(lambda: desk["status"].text().startswith("Open a picture first"))
    assert desk["propose"].text() == "Propose"


def test_a_daemon_that_goes_away_ends_it(desk):
    ask(desk)
    desk.session.emit_news("daemon", {"state": "lost", "text": "The daemon has stopped", "detail": ""})
    desk.until(lambda: desk["propose"].text() == "Propose")
    assert not desk["propose"].isEnabled()


def test_a_model_that_lacks_it_and_a_daemon_without_it(desk):
    desk["model"].setCurrentIndex(1)
    assert desk["propose"].isVisible() and not desk["propose"].isEnabled()
    assert "'Blind'" in desk["propose"].toolTip() and "velatura models change" in desk["propose"].toolTip()
    desk["model"].setCurrentIndex(0)
    assert desk["propose"].isEnabled()
    desk.session.state.set_known(known(METHOD, WEIGH, models=[{"id": "a", "title": "Able"}]))
    assert not desk["propose"].isVisible()


def test_a_method_of_texts_is_not_chosen_from(desk):
    shown = [desk["method"].itemData(row) for row in range(desk["method"].count())]
    assert shown == ["every-kind", "weigh"]


def test_two_dockers_ask_one_after_the_other(desk, application):
    from velatura_krita.panel import Panel

    second = Panel(desk.session)
    second.controls.method.setCurrentIndex(1)
    button = second.findChild(QtWidgets.QWidget, "propose")
    first_job = ask(desk)
    button.click()
    desk.until(lambda: len(desk.sent) == 2)
    assert desk["propose"].text() == "Propose" and button.text() == "Looking…"
    desk.session.emit_news("job", {"job": first_job, "state": "done", "result": {"texts": ["a dog"]}})
    answer_to = {"job": desk.sent[1][0], "state": "done", "result": {"texts": ["a cat"]}}
    desk.session.emit_news("job", answer_to)
    desk.until(lambda: button.text() == "Propose")
    assert second.findChild(QtWidgets.QWidget, "caption").toPlainText() == "a cat" and caption(desk) == ""
    second.deleteLater()


def with_caption(desk):
    """Choose a method that asks what the layer shows."""
    for row in range(desk["method"].count()):
        desk["method"].setCurrentIndex(row)
        if desk["propose"].isVisible():
            return desk.panel.controls.prompts.source
    raise AssertionError("no method has such a field")


@pytest.mark.timeout(300)
def test_the_daemon_proposes(desks, state_dir, tiny_folder, document):
    register_tiny_model(state_dir, tiny_folder, captioner=str(EMBEDDED_COMPANIONS["captioner"]))
    with Daemon(state_dir):
        desk = desks(state_dir)
        desk.ready()
        caption = with_caption(desk)
        assert desk["propose"].text() == "Looking…"
        desk.until(lambda: desk["propose"].text() == "Propose", 200)
        assert caption.value() and "\n" not in caption.value() and not desk["status"].text()
        assert not desk.session.state.jobs and not document.undo_steps


@pytest.mark.timeout(300)
def test_a_model_without_a_captioner_is_not_asked(desks, daemon):
    desk = desks(daemon.state_dir)
    desk.ready()
    with_caption(desk)
    assert not desk["propose"].isEnabled() and "'Tiny'" in desk["propose"].toolTip()
