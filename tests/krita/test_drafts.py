"""Previews while a slider is moved, with the real daemon and without Krita."""

import contextlib
import itertools

import pytest
from PyQt6 import QtCore

from tests.daemon_fixture import Daemon
from tests.krita.desk import group, pending
from tests.krita.fake_krita import SIDE, Node, Selection
from tests.tiny import register_tiny_model
from velatura_protocol.client import Client

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, tiny_folder):
    state_dir = tmp_path_factory.mktemp("drafts")
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, cancel_grace=250.0) as running:
        yield running


@pytest.fixture
def desk(desks, daemon, document):
    made = desks(daemon.state_dir)
    made.ready()
    made["method"].setCurrentIndex(made["method"].findData("sdedit"))
    made["prompt"].setPlainText("a hat")
    made["steps"].setValue(6)
    made.session.drafts.stop()  # a spin box was moved too
    return made


def slide(desk, position):
    desk.before = desk.session.state.draft
    desk["strength.slider"].setValue(position)


def shown(desk, until):
    """The draft of the last slide, once it has ended."""
    state = desk.session.state
    until(lambda: state.draft not in (None, desk.before) and state.draft.phase.name == "DONE", 150)
    return state.draft


@contextlib.contextmanager
def connected(daemon):
    client = Client(daemon.state_dir, name="test")
    client.connect()
    yield client
    client.close()


def states(daemon, names):
    with connected(daemon) as client:
        return [client.get(name)["state"] for name in names]


def listed(daemon):
    """The ids of what has ended well and is no draft."""
    with connected(daemon) as client:
        return [job["job"] for job in client.request({"type": "list", "states": ["done"]})["jobs"]]


def test_a_slider_shows_what_it_does_and_nothing_stays(desk, daemon, document, desks, until):
    assert desk["previews"].isVisible() and desk["previews"].isChecked()
    slide(desk, 5)
    draft = shown(desk, until)
    assert draft.preview and not desk["preview"].pixmap().isNull() and desk["preview"].isVisible()
    assert not desk["progress"].isVisible() and not desk["cancel"].isEnabled()
    assert not desk.session.state.jobs and not pending(daemon.state_dir) and not document.undo_steps
    assert draft.id not in listed(daemon), "the daemon takes it for no draft"
    assert draft.shown == [0, 0, SIDE, SIDE] and draft.selected is None
    first, seen, state = draft.preview, [], desk.session.state
    state.draftChanged.connect(lambda: seen.append(getattr(state.draft, "preview", b"")))
    slide(desk, 15)
    assert shown(desk, until).preview != first
    assert seen[0] == first, "the old one goes before there is a new one"
    again = desks(daemon.state_dir)
    again.ready()
    assert not again.session.state.jobs


def test_a_method_that_gives_no_drafts_is_asked_for_none(desk, until):
    desk.session.state.set_gives_drafts(False)
    assert not desk["previews"].isVisible()
    slide(desk, 7)
    assert not desk.session.drafts.policy.waits
    desk.session.state.set_gives_drafts(True)
    assert desk["previews"].isVisible()
    slide(desk, 9)
    assert shown(desk, until).preview


def test_a_run_begins_with_what_was_shown(desk, document, until, monkeypatch):
    from velatura_krita import recipes

    asked = []
    draft = desk.session.network.draft

    def heard(job, edit, *pixels):
        asked.append(edit)
        draft(job, edit, *pixels)

    monkeypatch.setattr(desk.session.network, "draft", heard)
    desk["variations"].setValue(2)
    for position in (3, 9):
        slide(desk, position)
        shown(desk, until)
    desk["run"].click()
    assert desk.session.state.draft is None
    desk.wait_phase("DONE")
    assert all(edit.variations == 1 for edit in asked)
    (seed,) = {edit.seed for edit in asked}
    recipe = recipes.read(document, group(document).childNodes()[-1]).request
    assert recipe["seed"] == seed >= 0 and len(asked) == 2 and "draft" not in recipe
    assert desk["seed"].value() == -1, "the next one is random again"
    slide(desk, 5)
    shown(desk, until)
    assert asked[-1].seed != seed


def test_the_last_state_cancels_an_older_one_that_runs_and_an_edit_cancels_both(desk, daemon, until):
    desk["steps"].setValue(150)
    desk.session.drafts.stop()
    with daemon.standing_still():  # so that no draft ends by itself
        names = []
        for phase in ("RUNNING", "QUEUED"):
            slide(desk, 10 + len(names))
            until(lambda: desk.session.state.draft is not None and desk.session.drafts.job not in names)
            names.append(desk.session.drafts.job)
            until(lambda phase=phase: desk.session.state.draft.phase.name == phase)
        desk["steps"].setValue(4)
        desk["run"].click()
        assert desk.session.state.draft is None
        desk.until(lambda: desk.job().phase.name == "QUEUED")  # the daemon has been told of both
    desk.wait_phase("DONE")
    assert states(daemon, names) == ["cancelled", "cancelled"]
    assert len(desk.session.state.jobs) == 1


def test_drafts_come_during_a_drag_and_the_last_is_of_the_last_state(desk, until, monkeypatch):
    requests, done, drafts = {}, [], desk.session.drafts
    draft, state = desk.session.network.draft, desk.session.state

    def ask(job, edit, *pixels):
        requests[job] = edit.parameters["strength"]
        draft(job, edit, *pixels)

    def note():
        if state.draft is not None and state.draft.phase.name == "DONE":
            done.append(state.draft.id)

    monkeypatch.setattr(desk.session.network, "draft", ask)
    state.draftChanged.connect(note)
    positions = itertools.cycle((*range(3, 17), *range(17, 3, -1)))
    until(lambda: slide(desk, next(positions)) or len(set(done)) >= 2, 150)
    until(lambda: not drafts._timer.isActive() and drafts.job in done, 150)
    assert requests[drafts.job] == desk["strength"].value() and state.draft.preview


def test_the_layer_is_captured_once_for_several(desk, document, until, monkeypatch):
    document.chosen = Selection(8, 8, 12, 10)
    read = []
    pixels = Node.pixelData
    monkeypatch.setattr(Node, "pixelData", lambda *args: (read.append(1), pixels(*args))[1])
    for position in (3, 9, 6):
        slide(desk, position)
        shown(desk, until)
    assert len(read) == 1
    document.undo_steps.append("stroke")
    slide(desk, 4)
    until(lambda: len(read) == 2)
    shown(desk, until)
    desk.panel.leaveEvent(QtCore.QEvent(QtCore.QEvent.Type.Leave))
    slide(desk, 7)
    until(lambda: len(read) == 3)


def test_the_switch_and_an_older_daemon(desk, until):
    desk["previews"].click()
    slide(desk, 5)
    assert not desk.session.drafts._timer.isActive()
    desk["previews"].click()
    slide(desk, 6)
    assert desk.session.drafts._timer.isActive()
    desk.session.drafts.stop()
    desk.session.state.set_protocol("1.1")
    assert not desk["previews"].isVisible()
    slide(desk, 7)
    assert not desk.session.drafts._timer.isActive()


def test_what_cannot_be_edited_is_said_while_sliding_too(desk, document, until):
    document.model = "LABA"
    slide(desk, 5)
    until(lambda: "L*a*b*" in desk["status"].text())
    assert desk.session.state.draft is None and not desk.session.state.jobs


def test_no_control_moves_when_a_draft_comes(desk, until, application):
    def place():
        slider = desk["strength.slider"]
        return slider.mapTo(desk.panel, QtCore.QPoint()), slider.size()

    for _ in range(4):
        application.processEvents()
    before = place()
    slide(desk, 5)
    until(lambda: desk.session.state.draft is not None)
    assert place() == before
    shown(desk, until)
    assert place() == before
