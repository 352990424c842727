"""From a result to layers: whole, once, in one undo step, where it belongs."""

import json

import pytest

from tests.krita.fake_krita import SRGB, Document
from tests.krita.turns import finish

JOB = "1f0a3a52-7d0c-4f8b-9a52-0d6a3f1f2b11"
RECT = [4, 5, 3, 2]


@pytest.fixture
def document(krita) -> Document:
    document = Document(32, 24, "picture", "RGBA", "U8", SRGB)
    krita.open.append(document)
    for name in ("source", "other"):
        document.rootNode().addChildNode(document.createNode(name, "paintlayer"), None)
    document.undo_steps.clear()
    return document


def node(document, name):
    return next(child for child in document.rootNode().childNodes() if child.name() == name)


def entry(document, **changes):
    from velatura_krita.journal import Entry
    from velatura_krita.recipes import bare

    ids = {"node": bare(node(document, "source").uniqueId()), "root": bare(document.rootNode().uniqueId())}
    return Entry(**({"job": JOB, **ids, "file": document.fileName(), "title": "t", "created": 0.0} | changes))


def layers(count=2, size=24):
    from velatura_krita.insert import Layer
    from velatura_krita.velatura_protocol.rasters import Raster

    wire = {"digest": "blake2b:" + "0" * 64, "width": 3, "height": 2, "channels": "BGRA", "dtype": "u8",
            "profile": SRGB, "rect": RECT}  # fmt: skip
    return [
        Layer(
            f"Variation {i + 1}", Raster.from_wire(wire), {"job": JOB, "variation": i}, bytes([i + 1]) * size
        )
        for i in range(count)
    ]


def put(krita, place, found):
    from velatura_krita.insert import insert

    return finish(insert(krita, place, "Method: prompt", found))


def test_a_group_above_the_source_in_one_undo_step(krita, document):
    document.setActiveNode(node(document, "other"))
    assert put(krita, entry(document), layers()) == "source"
    assert [child.name() for child in document.rootNode().childNodes()] == [
        "source",
        "Method: prompt",
        "other",
    ]
    assert document.undo_steps == ["add Method: prompt"]
    assert document.activeNode().name() == "other"


def test_the_first_variation_is_on_top_and_the_only_one_that_shows(krita, document):
    put(krita, entry(document), layers(3))
    children = node(document, "Method: prompt").childNodes()
    assert [(c.name(), c.visible()) for c in children] == [
        ("Variation 3", False), ("Variation 2", False), ("Variation 1", True),
    ]  # fmt: skip
    assert bytes(children[-1].pixelData(*RECT)) == bytes([1]) * 24
    assert bytes(children[0].pixelData(*RECT)) == bytes([3]) * 24
    assert children[0].bounds().getRect() == tuple(RECT)


def test_pixels_are_written_in_bands(krita, document, monkeypatch):
    monkeypatch.setattr("velatura_krita.insert.BAND", 12)
    put(krita, entry(document), layers(1))
    assert bytes(node(document, "Method: prompt").childNodes()[0].pixelData(*RECT)) == bytes([1]) * 24


def test_each_layer_is_bound_to_its_recipe(krita, document):
    from velatura_krita import recipes

    place = entry(document)
    put(krita, place, layers())
    for number, child in enumerate(reversed(node(document, "Method: prompt").childNodes())):
        assert recipes.read(document, child) == recipes.Recipe({"job": JOB, "variation": number}, place.node)
    assert all(json.loads(text)["source"] == place.node for text in document.annotations.values())


def test_a_result_is_inserted_once(krita, document):
    assert put(krita, entry(document), layers()) == put(krita, entry(document), layers()) == "source"
    assert len(document.undo_steps) == 1


def test_a_deleted_source_leaves_the_top_of_the_stack(krita, document):
    place = entry(document, node="00000000-0000-4000-8000-000000000000")
    assert put(krita, place, layers()) == "picture"
    assert document.rootNode().childNodes()[-1].name() == "Method: prompt"


def test_without_its_document_nothing_happens(krita, document):
    place = entry(document)
    document.close()
    assert put(krita, place, layers()) is None


def test_the_document_it_was_started_in_is_preferred_to_a_copy(krita, document):
    copy = Document(32, 24, "copy", "RGBA", "U8", SRGB)
    twin = copy.createNode("source", "paintlayer")
    twin._id = node(document, "source").uniqueId()
    copy.rootNode().addChildNode(twin, None)
    krita.open.append(copy)
    put(krita, entry(document), layers())
    assert len(copy.undo_steps) == 1 and len(document.undo_steps) == 1
    copy.file = "/somewhere/copy.kra"
    put(krita, entry(document, root="", file="/somewhere/copy.kra"), layers())
    assert len(copy.undo_steps) == 2


def test_damaged_bytes_are_refused_before_anything_is_made(krita, document):
    from velatura_krita.velatura_protocol.errors import VelaturaError

    with pytest.raises(VelaturaError, match="damaged"):
        put(krita, entry(document), layers(size=23))
    assert not krita.unseen and not document.undo_steps


def test_the_unseen_document_is_always_closed(krita, document, monkeypatch):
    monkeypatch.setattr(Document, "createGroupLayer", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        put(krita, entry(document), layers())
    assert all(unseen.rootNode() is None for unseen in krita.unseen)
