"""From a result to layers: whole, once, in one undo step, where it belongs."""

import json

import pytest

from tests.krita.desk import JOB, RECT, entry, named, result_layer
from tests.krita.fake_krita import SRGB, Document
from tests.krita.turns import finish


def layers(count=2, size=24):
    return [result_layer(f"Variation {i + 1}", bytes([i + 1]) * size, i, profile=SRGB) for i in range(count)]


def put(krita, place, found):
    from velatura_krita.insert import insert

    return finish(insert(krita, place, "Method: prompt", found))


def test_a_group_above_the_source_in_one_undo_step(krita, stack):
    stack.setActiveNode(named(stack, "other"))
    assert put(krita, entry(stack), layers()) == "source"
    assert [child.name() for child in stack.rootNode().childNodes()] == [
        "source",
        "Method: prompt",
        "other",
    ]
    assert stack.undo_steps == ["add Method: prompt"]
    assert stack.activeNode().name() == "other"


def test_the_first_variation_is_on_top_and_the_only_one_that_shows(krita, stack):
    put(krita, entry(stack), layers(3))
    children = named(stack, "Method: prompt").childNodes()
    assert [(c.name(), c.visible()) for c in children] == [
        ("Variation 3", False), ("Variation 2", False), ("Variation 1", True),
    ]  # fmt: skip
    assert bytes(children[-1].pixelData(*RECT)) == bytes([1]) * 24
    assert bytes(children[0].pixelData(*RECT)) == bytes([3]) * 24
    assert children[0].bounds().getRect() == RECT


def test_pixels_are_written_in_bands(krita, stack, monkeypatch):
    monkeypatch.setattr("velatura_krita.insert.BAND", 12)
    put(krita, entry(stack), layers(1))
    assert bytes(named(stack, "Method: prompt").childNodes()[0].pixelData(*RECT)) == bytes([1]) * 24


def test_each_layer_is_bound_to_its_recipe(krita, stack):
    from velatura_krita import recipes

    place = entry(stack)
    put(krita, place, layers())
    for number, child in enumerate(reversed(named(stack, "Method: prompt").childNodes())):
        found = recipes.read(stack, child)
        assert (found.request, found.source) == ({"job": JOB, "variation": number}, place.node)
        assert found.evidence.rect == RECT
    assert all(json.loads(text)["source"] == place.node for text in stack.annotations.values())


def test_a_result_is_inserted_once(krita, stack):
    assert put(krita, entry(stack), layers()) == put(krita, entry(stack), layers()) == "source"
    assert len(stack.undo_steps) == 1


def test_a_deleted_source_leaves_the_top_of_the_stack(krita, stack):
    place = entry(stack, node="00000000-0000-4000-8000-000000000000")
    assert put(krita, place, layers()) == "picture"
    assert stack.rootNode().childNodes()[-1].name() == "Method: prompt"


def test_without_its_document_nothing_happens(krita, stack):
    place = entry(stack)
    stack.close()
    assert put(krita, place, layers()) is None


def test_the_document_it_was_started_in_is_preferred_to_a_copy(krita, stack):
    copy = Document(32, 24, "copy", "RGBA", "U8", SRGB)
    twin = copy.createNode("source", "paintlayer")
    twin._id = named(stack, "source").uniqueId()
    copy.rootNode().addChildNode(twin, None)
    krita.open.append(copy)
    put(krita, entry(stack), layers())
    assert len(copy.undo_steps) == 1 and len(stack.undo_steps) == 1
    copy.file = "/somewhere/copy.kra"
    put(krita, entry(stack, root="", file="/somewhere/copy.kra"), layers())
    assert len(copy.undo_steps) == 2


def test_damaged_bytes_are_refused_before_anything_is_made(krita, stack):
    from velatura_krita.velatura_protocol.errors import VelaturaError

    with pytest.raises(VelaturaError, match="damaged"):
        put(krita, entry(stack), layers(size=23))
    assert not krita.unseen and not stack.undo_steps


def test_the_unseen_document_is_always_closed(krita, stack, monkeypatch):
    monkeypatch.setattr(Document, "createGroupLayer", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        put(krita, entry(stack), layers())
    assert all(unseen.rootNode() is None for unseen in krita.unseen)
