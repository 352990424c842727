"""From masks to selections: kept by name, selected where that can be undone, pixels untouched."""

import pytest

from tests.krita.desk import JOB, RECT, entry, named, result_layer
from tests.krita.fake_krita import SRGB, Document, Selection
from tests.krita.turns import finish


@pytest.fixture
def document(stack) -> Document:
    stack.depth = "U16"  # a mask has a byte a pixel whatever the layer has
    return stack


def masks(*found):
    """found: a name and the six bytes of each."""
    return [result_layer(name, data, channels="A") for name, data in found]


def deliver(krita, place, found):
    from velatura_krita.masks import deliver

    return finish(deliver(krita, place, "Words", found))


SOFT = bytes((0, 10, 200, 255, 0, 90))


def test_one_mask_is_kept_by_name_and_selected(krita, document):
    document.chosen = Selection(1, 1, 2, 2)
    document.setActiveNode(named(document, "other"))
    said = deliver(krita, entry(document), masks(("beard", SOFT)))
    assert said == "'beard' is selected, and kept as a selection mask of 'source'."
    (mask,) = named(document, "source").childNodes()
    assert (mask.name(), mask.type()) == ("beard", "selectionmask")
    assert bytes(mask.pixelData(*RECT)) == bytes(document.chosen.pixelData(*RECT)) == SOFT
    assert document.undo_steps == ["add beard", "selectopaque"]
    assert document.activeNode().name() == "other"


def test_it_is_bound_to_its_recipe_and_comes_once(krita, document):
    from velatura_krita import recipes

    place = entry(document)
    deliver(krita, place, masks(("beard", SOFT)))
    mask = named(document, "source").childNodes()[0]
    assert recipes.read(document, mask) == recipes.Recipe({"job": JOB, "variation": 0}, place.node)
    assert deliver(krita, place, masks(("beard", SOFT))) == "The masks are in 'picture'."
    assert len(named(document, "source").childNodes()) == 1


def test_in_another_picture_nothing_is_selected(krita, document):
    other = Document(32, 24, "other picture", "RGBA", "U8", SRGB)
    place = entry(document)
    krita.open.append(other)
    assert deliver(krita, place, masks(("beard", SOFT))) == "'beard' is kept as a selection mask of 'source'."
    assert other.chosen is None and document.chosen is None and document.undo_steps == ["add beard"]


def test_several_masks_are_a_group_above_the_source_and_select_nothing(krita, document):
    document.chosen = before = Selection(1, 1, 2, 2)
    said = deliver(krita, entry(document), masks(("hat", SOFT), ("beard", SOFT[::-1]), ("sky", bytes(6))))
    assert said == "2 selection masks above 'source': choose one, then Select > Select Opaque."
    assert [n.name() for n in document.rootNode().childNodes()] == ["source", "Words", "other"]
    found = named(document, "Words").childNodes()
    assert [(n.name(), n.type()) for n in found] == [("beard", "selectionmask"), ("hat", "selectionmask")]
    assert bytes(found[1].pixelData(*RECT)) == SOFT and bytes(found[0].pixelData(*RECT)) == SOFT[::-1]
    assert document.chosen is before and document.undo_steps == ["add Words"]
    assert len(document.annotations) == 2


def test_of_a_deleted_layer_a_mask_is_a_group_too(krita, document):
    place = entry(document, node="00000000-0000-4000-8000-000000000000")
    assert "1 selection mask above 'picture'" in deliver(krita, place, masks(("beard", SOFT)))


def test_what_is_found_nowhere_is_said_and_changes_nothing(krita, document):
    assert "Nothing of it was found: beard" in deliver(krita, entry(document), masks(("beard", bytes(6))))
    assert not document.undo_steps and document.chosen is None and not named(document, "source").childNodes()


def test_masks_are_written_in_bands(krita, document, monkeypatch):
    monkeypatch.setattr("velatura_krita.masks.BAND", 3)
    deliver(krita, entry(document), masks(("beard", SOFT)))
    assert bytes(named(document, "source").childNodes()[0].pixelData(*RECT)) == SOFT


def test_damaged_bytes_are_refused_before_anything_is_made(krita, document):
    from velatura_krita.velatura_protocol.errors import VelaturaError

    with pytest.raises(VelaturaError, match="damaged"):
        deliver(krita, entry(document), masks(("beard", SOFT[1:])))
    assert not document.undo_steps


def test_without_its_document_nothing_happens(krita, document):
    place = entry(document)
    document.close()
    assert deliver(krita, place, masks(("beard", SOFT))) is None


def test_a_job_of_masks_is_told_from_one_of_pictures(krita, document, desks, state_dir, until):
    from velatura_krita.state import Job

    desk = desks(state_dir)
    raster = masks(("beard", SOFT))[0].raster
    layer = {
        "index": 0,
        "title": "beard",
        "seed": 1,
        "kind": "mask",
        "raster": raster.to_wire(),
        "recipe": {"job": JOB},
    }
    session = desk.session
    session.entries[JOB] = entry(document)
    session.deliveries.jobs[JOB] = {"title": "a beard · Find", "result": {"seconds": 1.0, "layers": [layer]}}
    session.state.add_job(Job(JOB, "Find"))
    session.emit_news("fetched", {"job": JOB, "blobs": [bytearray(SOFT)]})
    desk.wait_phase("DONE")
    assert desk["status"].text() == "'beard' is selected, and kept as a selection mask of 'source'."
    assert [n.name() for n in document.rootNode().childNodes()] == ["source", "other"]
