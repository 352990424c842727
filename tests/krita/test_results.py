"""The newest result on top, older ones hidden and shown again by undo, one variation at a time, one kept."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from PyQt6 import QtCore, QtGui

from tests.krita.desk import RECT, entry, named, result_layer
from tests.krita.fake_krita import SRGB
from tests.krita.plugin import REPOSITORY
from tests.krita.turns import finish


@pytest.fixture
def covers(krita, stack, application):
    from velatura_krita.covers import Covers
    from velatura_krita.state import State

    class Session(State):
        host = krita

        @property
        def state(self):
            return self

    session = Session()
    found = Covers(session)
    yield found
    found.stop()


def put(krita, stack, job, covers=None, count=1, place=None, rect=RECT):
    """Insert a result named after its job; the group."""
    from velatura_krita.insert import Layer, hide_only, insert
    from velatura_krita.velatura_protocol.rasters import Raster

    layers = []
    for i in range(count):
        made = result_layer(f"{job}{i}", bytes([i + 1]) * 24, i, profile=SRGB)
        raster = Raster(made.raster.digest, *RECT[2:], "BGRA", "u8", SRGB, rect)
        layers.append(Layer(made.title, raster, {"job": job, "variation": i}, made.data))
    cover = covers.add if covers is not None else hide_only
    finish(insert(krita, place or entry(stack, job=job), job, layers, cover=cover))
    return named(stack, job)


def shown(stack):
    return [(child.name(), child.visible()) for child in stack.rootNode().childNodes()]


def test_the_newest_lies_above_older_ones_and_below_the_artists_own(krita, stack):
    for job in ("one", "two"):
        put(krita, stack, job)
    assert shown(stack) == [("source", True), ("one", False), ("two", True), ("other", True)]
    assert stack.undo_steps == ["add one", "add two"]


def test_only_what_lies_in_the_same_place_is_hidden(krita, stack):
    put(krita, stack, "one")
    put(krita, stack, "far", rect=(20, 15, *RECT[2:]))
    assert shown(stack)[1:3] == [("one", True), ("far", True)]


def test_results_of_another_source_are_not_hidden(krita, stack):
    from velatura_krita.recipes import bare

    put(krita, stack, "one")
    other = bare(named(stack, "other").uniqueId())
    put(krita, stack, "two", place=entry(stack, job="two", node=other))
    assert shown(stack) == [("source", True), ("one", True), ("other", True), ("two", True)]


def test_a_result_moved_above_by_the_artist_is_still_below_the_newest(krita, stack):
    root, one = stack.rootNode(), put(krita, stack, "one")
    root.take(one)
    root.addChildNode(one, named(stack, "other"))
    put(krita, stack, "two")
    assert shown(stack) == [("source", True), ("other", True), ("one", False), ("two", True)]


def test_masks_lie_on_top_too_and_hide_nothing(krita, stack):
    from velatura_krita.masks import deliver

    put(krita, stack, "one")
    masks = [result_layer(name, bytes([255]) * 6, channels="A") for name in ("beard", "hat")]
    finish(deliver(krita, entry(stack, job="m"), "masks", masks))
    assert shown(stack) == [("source", True), ("one", True), ("masks", True), ("other", True)]
    put(krita, stack, "two")
    assert shown(stack)[1:4] == [("one", False), ("masks", True), ("two", True)]


def test_undo_shows_what_a_result_hid_and_redo_hides_it_again(krita, stack, covers):
    root = stack.rootNode()
    one, two = put(krita, stack, "one", covers), put(krita, stack, "two", covers)
    assert not one.visible()
    root.take(two)
    stack.redo_step = "add two"
    krita.action("edit_undo").triggered.emit()
    assert one.visible()
    root.addChildNode(two, one)
    stack.redo_step = ""
    krita.action("edit_redo").triggered.emit()
    assert not one.visible()


def test_a_result_that_the_artist_deletes_shows_nothing_by_itself(krita, stack, covers):
    one, two = put(krita, stack, "one", covers), put(krita, stack, "two", covers)
    stack.rootNode().take(two)
    covers._look()
    assert not one.visible()


def test_what_a_kept_variation_hid_stays_hidden(krita, stack, covers):
    from velatura_krita.recipes import bare

    one, two = put(krita, stack, "one", covers), put(krita, stack, "two", covers)
    kept = stack.createNode("kept", "paintlayer")
    stack.rootNode().addChildNode(kept, one)
    stack.rootNode().take(two)
    covers.replaced(bare(two.uniqueId()), bare(kept.uniqueId()))
    stack.redo_step = "something else"
    covers._look()
    assert not one.visible()


def test_a_kept_variation_is_the_artists_own(krita, stack):
    from velatura_krita.recipes import Recipe, bare, bind

    kept = stack.createNode("kept", "paintlayer")
    stack.rootNode().addChildNode(kept, named(stack, "source"))
    kept.setPixelData(bytes([9]) * 24, *RECT)
    bind(stack, kept, Recipe({"job": "k"}, bare(named(stack, "source").uniqueId()), kept=True))
    put(krita, stack, "two")
    assert shown(stack) == [("source", True), ("kept", True), ("two", True), ("other", True)]


def test_one_variation_shows_at_a_time(krita, stack):
    from velatura_krita.candidates import step

    group = put(krita, stack, "one", count=3)
    stack.setActiveNode(named(stack, "source"))
    said = [step(stack, by) for by in (1, 1, 1, -1)]
    assert [s.partition(":")[0] for s in said] == ["2 of 3", "3 of 3", "1 of 3", "3 of 3"]
    assert [child.visible() for child in reversed(group.childNodes())] == [False, False, True]
    stack.setActiveNode(group.childNodes()[0])
    step(stack, 1)
    assert stack.activeNode() is group.childNodes()[-1]  # who looks at a variation goes on with the next


def test_a_hidden_group_that_is_selected_shows_again_instead_of_the_newer(krita, stack):
    from velatura_krita.candidates import step

    one = put(krita, stack, "one", count=2)
    put(krita, stack, "two")
    stack.setActiveNode(one)
    assert step(stack, 1).startswith("1 of 2")
    assert shown(stack)[1:3] == [("one", True), ("two", False)]


def test_what_was_made_of_a_variation_goes_with_it(krita, stack):
    from velatura_krita.candidates import step
    from velatura_krita.recipes import bare

    group = put(krita, stack, "one", count=2)
    first = group.childNodes()[-1]
    finer = entry(stack, job="finer", node=bare(first.uniqueId()))
    from velatura_krita.insert import insert

    finish(insert(krita, finer, "finer", [result_layer("f", bytes([5]) * 24, profile=SRGB)]))
    assert [child.name() for child in group.childNodes()] == ["one1", "one0", "finer"]
    stack.setActiveNode(group)
    step(stack, 1)
    assert [child.visible() for child in group.childNodes()] == [True, False, False]
    step(stack, -1)
    assert [child.visible() for child in group.childNodes()] == [False, True, True]


def test_without_a_result_there_is_nothing_to_show(krita, stack):
    from velatura_krita.candidates import meant, step
    from velatura_krita.velatura_protocol.errors import VelaturaError

    assert meant(stack) is None and meant(None) is None
    with pytest.raises(VelaturaError, match="no variations"):
        step(stack, 1)


def test_a_hidden_layer_of_the_artists_is_not_lost_by_keeping(krita, stack):
    from velatura_krita.candidates import keep
    from velatura_krita.velatura_protocol.errors import VelaturaError

    group = put(krita, stack, "one", count=2)
    own = stack.createNode("own", "paintlayer")
    own.setVisible(False)
    group.addChildNode(own, None)
    with pytest.raises(VelaturaError, match="'own' is hidden in the group"):
        finish(keep(krita, lambda *_: None))
    assert [child.name() for child in group.childNodes()] == ["one1", "one0", "own"]


def test_each_action_is_described_and_does_something(krita, desks, tmp_path, document):
    from velatura_krita.actions import ACTIONS, PREFIX

    described = ElementTree.parse(Path(REPOSITORY, "plugin_krita/velatura_krita.action")).iter("Action")
    texts = {action.get("name"): action.findtext("text") for action in described}
    assert texts == {PREFIX + name: text for name, text in ACTIONS}
    assert not any(":" in text for text in texts.values())  # Krita's search shows nothing behind one
    desk = desks(tmp_path / "state")
    said = {}
    for name, _text in ACTIONS:
        desk.session.state.say("")
        desk.panel.perform(name)
        desk.until(lambda: not desk.session.stepper._running)
        said[name] = desk.session.state.status
    assert said.pop("prompt") == "" and desk["prompt"].hasFocus
    assert all(said.values())
    assert "press Start" in said["run"] and said["cancel"] == "There is no edit to cancel."


@pytest.mark.parametrize("name", ["prompt", "variations", "steps.slider", "method"])
def test_the_docker_takes_ctrl_enter_before_krita_does(krita, desks, tmp_path, application, name):
    from tests.krita.schemas import METHOD, known

    desk = desks(tmp_path / "state")
    desk.session.state.set_known(known(METHOD))
    kind, enter = QtCore.QEvent.Type.ShortcutOverride, QtCore.Qt.Key.Key_Return
    for modifier, is_taken in (("ControlModifier", True), ("AltModifier", False)):
        event = QtGui.QKeyEvent(kind, enter, getattr(QtCore.Qt.KeyboardModifier, modifier))
        event.ignore()
        application.sendEvent(desk[name], event)
        assert event.isAccepted() == is_taken
    assert desk["status"].text() == ""  # the key itself comes after
