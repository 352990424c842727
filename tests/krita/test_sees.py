"""What the model sees is the person's choice, and the result is composed as its source was."""

from __future__ import annotations

import pytest

from tests.krita.desk import RECT, entry, named, result_layer
from tests.krita.fake_krita import SRGB
from tests.krita.schemas import METHOD, method
from tests.krita.turns import finish

SIZE = (32, 24)
RED, GREEN, BLUE = bytes((0, 0, 255, 255)), bytes((0, 255, 0, 255)), bytes((255, 0, 0, 255))


@pytest.fixture
def three(stack):
    """A red layer below, a green one on its left half, a blue one on its top."""
    named(stack, "source").setPixelData(RED * 32 * 24, 0, 0, *SIZE)
    named(stack, "other").setPixelData(GREEN * 16 * 24, 0, 0, 16, 24)
    top = stack.createNode("top", "paintlayer")
    stack.rootNode().addChildNode(top, None)
    top.setPixelData(BLUE * 32 * 2, 0, 0, 32, 2)
    stack.setActiveNode(named(stack, "other"))
    return stack


def colours(document, sees):
    from velatura_krita.capture import capture

    found = finish(capture(document, method(METHOD), sees=sees))
    source = found.inputs["source"]
    data = bytes(source.data)
    return source.rect, {data[i : i + 4] for i in range(0, len(data), 4)}, found


@pytest.mark.parametrize(
    ("sees", "rect", "expected"),
    [
        ("layer", (0, 0, 16, 24), {GREEN}),
        ("below", (0, 0, 32, 24), {RED, GREEN}),
        ("visible", (0, 0, 32, 24), {RED, GREEN, BLUE}),
    ],
)
def test_each_choice_sees_its_layers(krita, three, sees, rect, expected):
    assert colours(three, sees)[:2] == (rect, expected)
    assert all(document.rootNode() is None for document in krita.unseen)  # closed again
    assert len(three.rootNode().childNodes()) == 3


def test_a_layer_in_a_group_loses_all_above_itself_and_its_group(krita, three):
    from velatura_krita.sight import above

    group = three.createGroupLayer("group")
    three.rootNode().addChildNode(group, named(three, "source"))
    for name in ("inner", "over"):
        group.addChildNode(three.createNode(name, "paintlayer"), None)
    assert [n.name() for n in above(three, group.childNodes()[0])] == ["over", "other", "top"]


def put(krita, document, **changes):
    from velatura_krita.insert import insert

    said = []
    layers = [result_layer("v", bytes(range(24)), profile=SRGB)]
    finish(insert(krita, entry(document, **changes), "hat", layers, note=said.append))
    return said[0]


def names(document):
    return [child.name() for child in document.rootNode().childNodes()]


def test_a_result_of_the_visible_picture_lies_on_top(krita, three):
    put(krita, three, sees="visible")
    assert names(three) == ["source", "other", "top", "hat"]
    three.rootNode().take(named(three, "hat"))
    three.annotations.clear()
    put(krita, three, sees="below", job="b")
    assert names(three) == ["source", "hat", "other", "top"]


def test_a_layer_that_is_composed_in_a_way_of_its_own_is_stood_in_for(krita, three):
    from velatura_krita import recipes

    source = named(three, "source")
    source.setBlendingMode("multiply")
    source.setOpacity(100)
    assert put(krita, three) == "'source' is hidden: the result stands in its place, composed as it was."
    made = named(three, "hat")
    assert (made.blendingMode(), made.opacity(), source.visible()) == ("multiply", 100, False)
    base, variation = made.childNodes()
    assert (base.blendingMode(), base.opacity(), base.visible()) == ("normal", 255, True)
    assert bytes(base.pixelData(9, 9, 1, 1)) == RED
    assert bytes(variation.pixelData(*RECT)) == bytes(range(24)) and not variation.inheritAlpha()
    assert recipes.read(three, base) is None and recipes.read(three, variation) is not None


def test_a_mask_of_the_layer_holds_for_its_result_too(krita, three):
    source = named(three, "source")
    source.addChildNode(three.createNode("mask", "transparencymask"), None)
    put(krita, three)
    assert named(three, "hat").childNodes()[1].inheritAlpha()


def test_a_plain_layer_and_a_whole_picture_are_not_stood_in_for(krita, three):
    assert put(krita, three) == "" and len(named(three, "hat").childNodes()) == 1
    named(three, "source").setOpacity(9)
    put(krita, three, sees="visible", job="v")
    assert named(three, "source").visible()


def test_the_choice_is_in_the_form_remembered_and_in_the_recipe(desks, tmp_path, krita, three):
    from velatura_krita.recipes import Recipe, bind, read

    from tests.krita.schemas import known

    desk = desks(tmp_path / "state")
    desk.session.state.set_known(known(METHOD))
    assert desk.panel.controls.wish().sees == "layer"
    desk["sees"].setCurrentIndex(desk["sees"].findData("below"))
    assert desk.panel.controls.wish().sees == "below"
    again = desks(tmp_path / "state2")
    assert again["sees"].currentData() == "below"
    node = named(three, "top")
    bind(three, node, Recipe({"job": "j"}, "s", sees="visible"))
    assert read(three, node).sees == "visible"


def test_an_animated_layer_says_which_frame_it_is(krita, three):
    from velatura_krita.deliveries import of_frame
    from velatura_krita.state import Job

    named(three, "other").is_animated = True
    frame = colours(three, "layer")[2].frame
    assert "made from frame 12" in of_frame(Job("j", "t", frame=frame))
    assert of_frame(Job("j", "t")) == "" and of_frame(None) == ""
