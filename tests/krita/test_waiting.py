"""A finished result is never dropped: not for time, not for a failure, not for a closed document."""

from __future__ import annotations

import itertools
import time

import pytest

from tests.daemon_fixture import Daemon
from tests.krita.desk import JOB, entry, group, pending, result_layer
from tests.krita.fake_krita import SRGB, Document
from tests.krita.turns import finish
from tests.tiny import register_tiny_model

pytestmark = pytest.mark.timeout(300)
HOUR = 3600.0


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, tiny_folder):
    state_dir = tmp_path_factory.mktemp("waiting")
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir) as running:
        yield running


@pytest.fixture
def hours(krita, monkeypatch):
    """A clock that is an hour later at each look."""
    from velatura_krita import rest

    clock = itertools.count(0.0, HOUR)
    monkeypatch.setattr(rest.time, "monotonic", lambda: next(clock))


@pytest.fixture
def soon(krita, monkeypatch):
    """What failed is tried again at the next look."""
    from velatura_krita import deliveries

    monkeypatch.setattr(deliveries, "PAUSES", (0, 0))


def picture(data=bytes([7]) * 24):
    return [result_layer("Variation 1", data, profile=SRGB)]


def test_hours_of_an_open_tool_are_waited_for(krita, stack, hours):
    from velatura_krita.insert import insert
    from velatura_krita.rest import LET_WORK

    stack.busy, told = 50, []
    assert finish(insert(krita, entry(stack), "t", picture(), told.append)) == "source"
    assert told == [LET_WORK, ""]


@pytest.mark.parametrize("kind", ["pictures", "mask", "masks"])
def test_a_document_closed_while_it_is_waited_for_is_no_failure(krita, stack, kind):
    from velatura_krita.insert import insert
    from velatura_krita.masks import deliver

    stack.busy, place = 10**6, entry(stack)
    masks = [result_layer(name, bytes([255]) * 6, channels="A") for name in ("beard", "hat")]
    if kind == "pictures":
        steps = insert(krita, place, "t", picture())
    else:
        steps = deliver(krita, place, "t", masks[: 1 if kind == "mask" else 2])
    for _ in range(30):
        next(steps)
    stack.close()
    assert finish(steps) is None


def test_what_is_waited_for_is_said_in_the_docker_and_cancel_ends_a_run_that_waits(
    desks, daemon, document, until
):
    desk = desks(daemon.state_dir)
    desk.ready()
    document.busy = 10**6
    desk.run()
    sentence = "Wait until Krita has finished its work on the picture to begin."
    until(lambda: desk["status"].text() == sentence)
    assert desk["status"].isVisible() and not desk["progress"].isVisible()
    desk["cancel"].click()
    assert desk.job().phase.name == "CANCELLED" and desk["status"].text() == "Cancelled."
    assert not desk.session.stepper._running and not pending(daemon.state_dir)


def test_the_layer_is_the_one_that_was_active_at_the_click(desks, daemon, document, until):
    from velatura_krita import recipes

    desk = desks(daemon.state_dir)
    desk.ready()
    source = document.activeNode()
    document.busy = 10**6
    desk.run()
    until(lambda: desk.job().obstacle)
    document.setActiveNode(document.rootNode())
    document.busy = 0
    desk.wait_phase("DONE")
    found = recipes.read(document, group(document).childNodes()[0])
    assert found.source == recipes.bare(source.uniqueId())


def test_a_result_that_cannot_be_inserted_is_kept_and_tried_again(
    desks, daemon, document, until, monkeypatch, soon
):
    make = Document.createGroupLayer
    monkeypatch.setattr(Document, "createGroupLayer", lambda *_: 1 / 0)
    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run()
    desk.wait_phase("KEPT")
    assert desk["status"].text().endswith("The result is kept and tried again.")
    assert len(pending(daemon.state_dir)) == 1 and not document.undo_steps
    monkeypatch.setattr(Document, "createGroupLayer", make)
    desk.wait_phase("DONE")
    assert len(document.undo_steps) == 1
    until(lambda: not pending(daemon.state_dir))


def test_a_result_that_cannot_be_inserted_is_there_for_the_next_krita(
    desks, daemon, document, until, monkeypatch
):
    make = Document.createGroupLayer
    monkeypatch.setattr(Document, "createGroupLayer", lambda *_: 1 / 0)
    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run()
    desk.wait_phase("KEPT")
    desk.close()
    monkeypatch.setattr(Document, "createGroupLayer", make)
    again = desks(daemon.state_dir)
    again.until(lambda: again.session.state.jobs)
    again.wait_phase("DONE")
    assert len(document.undo_steps) == 1
    until(lambda: not pending(daemon.state_dir))


def test_a_result_that_could_not_be_fetched_is_fetched_again(
    desks, daemon, document, until, monkeypatch, soon
):
    from velatura_krita.velatura_protocol.client import Client

    fetch, tries = Client.fetch, []

    def short_of_memory(self, *words, **more):
        tries.append(words)
        if len(tries) == 1:
            raise MemoryError
        return fetch(self, *words, **more)

    monkeypatch.setattr(Client, "fetch", short_of_memory)
    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run()
    desk.wait_phase("DONE")
    assert len(tries) == 2 and len(document.undo_steps) == 1


def test_what_came_damaged_is_said_and_let_go(desks, daemon, document, until, monkeypatch):
    from velatura_krita import insert
    from velatura_krita.velatura_protocol.errors import VelaturaError

    def damaged(_layers):
        raise VelaturaError("blob-corrupt", "The result came damaged; run the edit again.")

    monkeypatch.setattr(insert, "check_whole", damaged)
    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run()
    desk.wait_phase("FAILED")
    until(lambda: not pending(daemon.state_dir))


def test_an_edit_that_the_daemon_no_longer_has_is_said(krita, daemon, until):
    from velatura_krita.journal import Entry, Journal
    from velatura_krita.network import Network

    Journal(daemon.state_dir).add(Entry(JOB, "n", "r", "", "t", time.time()))
    news = []
    network = Network(daemon.state_dir, [], "krita test", lambda name, data: news.append((name, data)))
    network.start()
    until(lambda: any(name == "failed" for name, _ in news))
    network.close(60)
    (failed,) = [data for name, data in news if name == "failed"]
    assert failed["job"] == JOB and failed["error"].code == "unknown-job"
    assert not pending(daemon.state_dir)


def test_a_finished_result_says_which_picture_to_open(desks, daemon, document, krita):
    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run("a hat")
    krita.open.clear()
    desk.wait_phase("HOMELESS")
    assert desk["status"].text() == (
        "'a hat' is finished, but 'picture' is closed: open it, or choose a place under Edits."
    )
    krita.open.append(document)
    desk.wait_phase("DONE")


@pytest.mark.parametrize("end", ["saved", "closed", "krita"])
def test_a_result_is_acknowledged_once_it_is_saved_or_not_wanted(desks, daemon, document, krita, until, end):
    document.is_modified = True
    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run()
    desk.wait_phase("DONE")
    desk.session.deliveries.look()
    assert len(pending(daemon.state_dir)) == 1
    if end == "saved":
        document.is_modified = False
    elif end == "closed":
        document.close()
    else:
        desk.close()
    until(lambda: not pending(daemon.state_dir))
    assert len(document.undo_steps) == 1


def test_a_krita_that_dies_before_the_picture_is_saved_loses_no_result(desks, daemon, document, until):
    document.is_modified = True
    desk = desks(daemon.state_dir)
    desk.ready()
    desk.run()
    desk.wait_phase("DONE")
    desk.session.network.close(60)  # nothing else of it has a chance to end
    desk.session.deliveries._timer.stop()
    document.rootNode().take(group(document))
    document.annotations.clear()  # as the file is that was saved before
    again = desks(daemon.state_dir)
    again.until(lambda: again.session.state.jobs)
    again.wait_phase("DONE")
    assert len(group(document).childNodes()) == 1
