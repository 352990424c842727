"""The list of edits, and results whose picture is gone: put elsewhere, opened as a picture, or let go."""

from __future__ import annotations

import pytest

from tests.daemon_fixture import Daemon
from tests.krita.desk import group, pending
from tests.krita.fake_krita import SRGB, Document
from tests.tiny import register_tiny_model

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, tiny_folder):
    state_dir = tmp_path_factory.mktemp("queue")
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir) as running:
        yield running


@pytest.fixture
def waiting(desks, daemon, document, krita):
    """A desk with a result whose picture was closed unsaved."""
    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run("a hat")
    desk.until(lambda: desk.job().phase.name != "READING")
    document.close()
    desk.wait_phase("HOMELESS")
    return desk


def press(desk, name):
    desk[f"{name}.{desk.job().id}"].click()


def test_a_result_without_a_picture_goes_into_the_one_in_front(waiting, krita, daemon):
    assert waiting["status"].text() == (
        "'a hat' is finished, but 'picture' is closed: open it, or choose a place under Edits."
    )
    press(waiting, "here")
    assert waiting["status"].text().startswith("Open a picture")
    other = Document(32, 32, "other", "RGBA", "U8", SRGB)
    krita.open.append(other)
    press(waiting, "here")
    waiting.wait_phase("DONE")
    assert [n.name().partition(" ·")[0] for n in other.rootNode().childNodes()] == ["a hat"]
    waiting.until(lambda: not pending(daemon.state_dir))


def test_a_result_without_a_picture_becomes_one(waiting, krita):
    press(waiting, "new")
    (made,) = [document for document in krita.unseen if document.name() == "a hat"]
    assert (made.width(), made.height()) == (32, 32)
    krita.open.append(made)  # as adding a view does
    waiting.wait_phase("DONE")
    assert len(made.rootNode().childNodes()) == 1


def test_a_result_that_is_let_go_comes_at_no_later_start(waiting, daemon, desks):
    press(waiting, "dismiss")
    assert waiting["status"].text() == "The result was let go."
    waiting.until(lambda: not pending(daemon.state_dir))
    waiting.close()
    again = desks(daemon.state_dir)
    again.until(lambda: again["run"].isEnabled())
    assert not again.session.state.jobs


def test_a_flattened_picture_of_the_same_file_and_size_gets_its_result(desks, daemon, document, krita):
    document.file = "/pictures/a.kra"
    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run("a hat")
    desk.until(lambda: desk.job().phase.name != "READING")
    document.close()
    desk.wait_phase("HOMELESS")
    flat = Document(32, 32, "picture", "RGBA", "U8", SRGB)  # opened again: no id is as it was
    flat.file = document.file
    krita.open.append(flat)
    desk.wait_phase("DONE")
    assert len(flat.rootNode().childNodes()) == 1


def test_a_picture_that_is_flattened_meanwhile_gets_its_result_on_top(desks, daemon, document):
    from tests.krita.fake_krita import Node

    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run("a hat")
    desk.until(lambda: desk.job().phase.name != "READING")
    document._root = Node(document, "root", "grouplayer")  # as Krita does
    document.rootNode().addChildNode(document.createNode("Merged", "paintlayer"), None)
    desk.wait_phase("DONE")
    assert len(document.rootNode().childNodes()) == 2


def test_a_result_follows_a_picture_that_grew_to_the_left(desks, daemon, document):
    desk = desks(daemon.state_dir)
    source = document.activeNode()
    pixels = bytes((x * 7 % 256 if c < 3 else 255) for x in range(32 * 32) for c in range(4))
    source.setPixelData(pixels, 0, 0, 32, 32)
    desk.ready()
    desk.run("a hat")
    desk.until(lambda: desk.job().phase.name != "READING")
    document.resizeImage(0, 0, 40, 32)
    source.move(8, 0)
    desk.wait_phase("DONE")
    assert group(document).childNodes()[0].bounds().getRect() == (8, 0, 32, 32)
    assert "the result follows it" in desk["status"].text()


def test_each_edit_has_its_own_cancel_and_all_have_one(desks, daemon, document, until):
    desk = desks(daemon.state_dir)
    desk.ready()
    document.busy = 10**6
    for prompt in ("one", "two", "<b>three</b>"):
        desk.run(prompt)
    names = list(desk.session.state.jobs)
    assert desk["cancel_all"].isVisible()
    assert [row.title.text() for row in desk["jobs"].rows.values()] == ["one", "two", "<b>three</b>"]
    assert "&lt;b&gt;" in desk["jobs"].rows[names[2]].title.toolTip()
    desk[f"cancel.{names[0]}"].click()
    phases = [job.phase.name for job in desk.session.state.jobs.values()]
    assert phases == ["CANCELLED", "READING", "READING"]
    desk["cancel_all"].click()
    assert all(job.phase.name == "CANCELLED" for job in desk.session.state.jobs.values())
    assert not desk["cancel_all"].isVisible()


def test_a_result_waits_until_the_hand_is_lifted(krita, stack):
    from velatura_krita.hands import pen
    from velatura_krita.insert import insert
    from velatura_krita.rest import FINISH_STROKE

    from tests.krita.desk import entry, result_layer

    told = []
    steps = insert(krita, entry(stack), "t", [result_layer("v", bytes([7]) * 24, profile=SRGB)], told.append)
    pen.is_down = True
    try:
        for _ in range(50):
            next(steps)
        assert not stack.undo_steps
    finally:
        pen.is_down = False
    for _ in steps:
        pass
    assert len(stack.undo_steps) == 1 and FINISH_STROKE not in told[-1:]
