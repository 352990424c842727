"""From a document to a request: what is taken, and what is refused before any pixel is read."""

import pytest

from tests.krita.fake_krita import Document, Node, Selection
from tests.krita.schemas import METHOD, method
from tests.krita.turns import finish

pytestmark = pytest.mark.usefixtures("krita")
OPTIONAL = METHOD["inputs"]
BLUE = bytes((200, 40, 10, 255))


def painted(document: Document, x=2, y=3, width=8, height=6, pixel=BLUE, name="paint") -> Node:
    node = document.createNode(name, "paintlayer")
    document.rootNode().addChildNode(node, None)
    node.setPixelData(pixel * (width * height), x, y, width, height)
    return node


@pytest.fixture
def document() -> Document:
    return Document(32, 24, "picture", "RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")


def take(document, inputs=OPTIONAL, **changes):
    from velatura_krita.capture import capture

    return finish(capture(document, method(METHOD | {"inputs": inputs} | changes)))


def refusal(document, inputs=OPTIONAL):
    from velatura_krita.velatura_protocol.errors import VelaturaError

    with pytest.raises(VelaturaError) as found:
        take(document, inputs)
    return found.value.code, found.value.message


def test_without_a_selection_it_is_the_whole_layer(document):
    node = painted(document)
    found = take(document)
    source = found.inputs["source"]
    assert source.rect == (2, 3, 8, 6) and found.inputs["mask"] is None and found.selection is None
    assert bytes(source.data) == BLUE * 48
    assert (source.channels, source.dtype, source.profile) == ("BGRA", "u8", "sRGB-elle-V2-srgbtrc.icc")
    assert source.icc == b""
    assert found.canvas == (32, 24)
    assert "{" + found.node + "}" == node.uniqueId().toString()


@pytest.mark.parametrize("profile", ["Wide", "Other"])
def test_a_profile_that_only_krita_knows_is_sent_and_asked_for_once(krita, profile):
    """Krita gives it in a saved document; where it does not, the daemon refuses the name."""
    krita.icc["Wide"] = b"the profile"
    document = Document(32, 24, "picture", "RGBA", "U16", profile)
    painted(document, pixel=bytes(range(1, 9)))
    found = [take(document).inputs["source"] for _ in range(2)]
    wanted = b"the profile" if profile == "Wide" else b""
    assert [(source.profile, source.icc) for source in found] == [(profile, wanted)] * 2
    assert len(krita.unseen) == (1 if wanted else 2) and all(one.rootNode() is None for one in krita.unseen)


def test_the_layer_and_the_selection_are_both_inside(document):
    painted(document)
    document.chosen = Selection(6, 1, 20, 4, bytes(range(80)))
    found = take(document)
    source, mask = found.inputs["source"], found.inputs["mask"]
    assert source.rect == (2, 1, 24, 8)
    assert (mask.channels, mask.dtype, mask.profile) == ("A", "u8", "")
    assert mask.rect == found.selection == (6, 1, 20, 4)
    assert bytes(mask.data) == bytes(range(80))


def test_what_lies_outside_the_canvas_is_left_out(document):
    painted(document, -5, -5, 60, 60)
    document.chosen = Selection(-4, 20, 10, 10)
    found = take(document)
    assert found.inputs["source"].rect == (0, 0, 32, 24) and found.selection == (0, 20, 6, 4)


def test_pixels_are_read_in_bands_and_stay_as_they_were_at_the_click(document, monkeypatch):
    from velatura_krita.capture import capture

    monkeypatch.setattr("velatura_krita.capture.BAND", 70)  # bytes: two rows of eight pixels
    node = painted(document)
    document.chosen = Selection(3, 4, 5, 30, bytes(range(150)))
    steps = capture(document, method(METHOD))
    turns = [next(steps)]
    node.setPixelData(bytes(8 * 6 * 4), 2, 3, 8, 6)  # a stroke between two turns
    document.chosen._data = bytes(150)
    with pytest.raises(StopIteration) as ended:
        while True:
            turns.append(next(steps))
    found = ended.value.value
    pixels = bytes(found.inputs["source"].data)
    assert pixels[:32] == BLUE * 8 and pixels.count(BLUE) == 48
    assert bytes(found.inputs["mask"].data) == bytes(range(100))
    assert len(turns) == 2 + 11, "100 bytes of the selection, 21 rows of the layer"


@pytest.mark.parametrize(
    ("model", "depth", "channels", "dtype"),
    [("RGBA", "U16", "BGRA", "u16"), ("RGBA", "F16", "RGBA", "f16"), ("RGBA", "F32", "RGBA", "f32"),
     ("GRAYA", "U8", "GA", "u8"), ("GRAYA", "F32", "GA", "f32")],
)  # fmt: skip
def test_pixels_go_as_krita_keeps_them(model, depth, channels, dtype):
    from velatura_krita.velatura_protocol.rasters import Raster

    document = Document(8, 8, "picture", model, depth, "some.icc")
    node = document.createNode("paint", "paintlayer")
    document.rootNode().addChildNode(node, None)
    size = node._size()
    node.setPixelData(bytes(range(1, size + 1)) * 16, 0, 0, 4, 4)
    source = take(document).inputs["source"]
    assert (source.channels, source.dtype) == (channels, dtype)
    assert Raster.from_wire(source.raster.to_wire()).nbytes == len(source.data) == 16 * size


def test_it_waits_until_no_stroke_is_under_way(document):
    painted(document)
    document.busy = 3
    assert take(document).inputs["source"].rect == (2, 3, 8, 6)


def test_a_colour_model_that_is_not_handled_is_refused():
    document = Document(8, 8, "picture", "CMYKA", "U8", "Chemical proof")
    painted(document, pixel=bytes(5), name="ink")
    code, sentence = refusal(document)
    assert code == "unsupported-colour" and "'ink' is in CMYK colours" in sentence


def test_an_empty_layer_is_refused(document):
    document.rootNode().addChildNode(document.createNode("empty", "paintlayer"), None)
    assert refusal(document)[0] == "empty-layer"
    painted(document, 100, 100)
    assert refusal(document)[0] == "empty-layer"


@pytest.mark.parametrize("is_selected", [False, True])
@pytest.mark.parametrize("is_empty", [False, True])
def test_a_method_that_paints_from_nothing_takes_any_layer_as_large_as_the_canvas(
    document, is_selected, is_empty
):
    document.rootNode().addChildNode(document.createNode("empty", "paintlayer"), None)
    if not is_empty:
        painted(document)
    if is_selected:
        document.chosen = Selection(6, 1, 20, 4, bytes(range(80)))
    found = take(document, from_nothing=True)
    source, mask = found.inputs["source"], found.inputs["mask"]
    assert source.rect == (0, 0, 32, 24)
    assert bytes(source.data).count(BLUE) == (0 if is_empty else 48) and len(source.data) == 32 * 24 * 4
    assert (mask.rect if mask else None) == ((6, 1, 20, 4) if is_selected else None)


@pytest.mark.parametrize("rect", [(0, 0, 0, 0), (50, 50, 5, 5)])
def test_a_selection_of_nothing_is_refused(document, rect):
    painted(document)
    document.chosen = Selection(*rect)
    assert refusal(document)[0] == "empty-mask"


def test_a_method_that_needs_a_selection_says_so(document):
    painted(document)
    assert refusal(document, {**OPTIONAL, "mask": "required"}) == (
        "empty-mask",
        "This method needs a selection: select what is to change.",
    )


@pytest.mark.parametrize("kind", ["filterlayer", "transparencymask", "selectionmask", "colorizemask"])
def test_what_holds_no_picture_is_refused(document, kind):
    document.rootNode().addChildNode(document.createNode("odd", kind), None)
    code, sentence = refusal(document)
    assert code == "empty-layer" and "'odd'" in sentence


def test_a_group_that_passes_through_is_refused(document):
    group = document.createGroupLayer("group")
    document.rootNode().addChildNode(group, None)
    group.pass_through = True
    assert "passes through" in refusal(document)[1]


def test_no_active_layer_is_refused(document):
    assert refusal(document)[0] == "empty-layer"


def test_a_closed_document_is_refused(document):
    document.close()
    assert refusal(document)[0] == "busy"
