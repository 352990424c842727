"""What is chosen for rasters: offered, resolved into a request, and restored from a recipe."""

import pytest

from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.choices import (
    NO_LAYER,
    NOTHING_CHOSEN,
    SELECTION,
    Wanted,
    layer_of,
    of_layer,
    offers,
    raster_fields,
    rasters_of_recipe,
    resolve,
    restore,
)
from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import RasterInput, check_inputs, rasters_of
from velatura_protocol.kinds import RESULTS, insertion
from velatura_protocol.rasters import MAX_NAME, Raster
from velatura_protocol.schema import Field

RASTERS = [
    RasterInput("segments", "Segments", "A colour a part.", "labels"),
    RasterInput("area", "Area", "Where.", "mask", "optional"),
]
WHERE = Field("where", "raster", "Where", "Where it is.", None, raster="mask")
TEXT = Field("text", "string", "What", "What it is.", "", max_length=20)
GROUP = Field("things", "group", "Things", "What should be there.", [], fields=(TEXT, WHERE), max_items=3)
STEPS = Field("steps", "integer", "Steps", "How many.", 4, minimum=1, maximum=9)
FORM = (*raster_fields(RASTERS), GROUP, STEPS)
LAYERS = [("b", "Sky"), ("a", "Parts")]


def raster(name="", channels="BGRA", rect=(0, 0, 4, 4)):
    return Raster("blake2b:" + "0" * 64, *rect[2:], channels, "u8", "sRGB", rect, name)


def test_a_person_chooses_a_layer_the_selection_or_nothing():
    segments, area = raster_fields(RASTERS)
    assert offers(segments, LAYERS) == [(None, NOTHING_CHOSEN), ("layer.b", "Sky"), ("layer.a", "Parts")]
    assert offers(area, LAYERS)[:2] == [(None, NO_LAYER), (SELECTION, "The selection")]
    assert offers(WHERE, []) == [(None, NO_LAYER), (SELECTION, "The selection")]
    assert layer_of(of_layer("A b")) == "A b" and layer_of(SELECTION) == layer_of(None) == ""
    for field, choice in ((segments, "layer.a"), (WHERE, SELECTION)):
        assert field.check(choice) == choice


def test_a_form_becomes_parameters_and_what_is_to_be_read():
    values = {
        "input.segments": "layer.a",
        "input.area": None,
        "things": [{"text": "x"}, {"text": "y", "where": SELECTION}],
        "steps": 5,
    }
    parameters, wanted = resolve("Compose", FORM, values)
    assert parameters == {"things": [{"text": "x"}, {"text": "y", "where": "things.2.where"}], "steps": 5}
    assert wanted == [
        Wanted("segments", "Segments", "labels", "layer.a"),
        Wanted("things.2.where", "Things 2, Where", "mask", SELECTION),
    ]
    assert resolve("Compose", FORM, {"input.segments": "layer.a", "other": 1})[0] == {"other": 1}


def test_what_is_required_is_asked_for():
    with pytest.raises(VelaturaError, match="“Compose” needs “Segments”; choose a layer for it") as raised:
        resolve("Compose", FORM, {})
    assert raised.value.code == "bad-request"


def test_a_recipe_finds_its_layers_by_their_names():
    inputs = {
        "source": raster("Background"),
        "mask": None,
        "segments": raster("Parts"),
        "things.1.where": raster("", "A"),
        "things.2.where": raster("Sky"),
    }
    entries = [{"text": "x", "where": "things.1.where"}, {"where": "things.2.where"}, {"where": None}]
    found = restore(FORM, {"things": entries, "steps": 3}, inputs, LAYERS)
    assert found.lost == "" and not found.keys
    assert found.values["input.segments"] == "layer.a" and found.values["input.area"] is None
    assert [e["where"] for e in found.values["things"]] == [SELECTION, "layer.b", None]
    again, wanted = resolve("Compose", FORM, found.values)
    assert again == {"things": entries, "steps": 3}
    assert [w.name for w in wanted] == ["segments", "things.1.where", "things.2.where"]
    assert rasters_of_recipe(inputs, LAYERS) == [Wanted(w.name, w.name, "", w.choice) for w in wanted]


def test_a_layer_with_a_name_too_long_for_a_recipe_is_found_by_its_beginning():
    name = "Sky over the harbour, " * 20
    there = [("b", name), ("a", name[:-1])]
    inputs = {"segments": raster(name[:MAX_NAME]), "things.1.where": raster(name[:MAX_NAME])}
    found = restore(FORM, {"things": [{"where": "things.1.where"}]}, inputs, there)
    assert found.lost == "" and found.values["input.segments"] == "layer.b"
    assert found.values["things"] == [{"where": "layer.b"}]
    assert [wanted.choice for wanted in rasters_of_recipe(inputs, there)] == ["layer.b", "layer.b"]
    assert WHERE.check(of_layer(name)) == of_layer(name), "where a layer's id is its name"


def test_a_layer_that_is_gone_is_asked_for_by_its_name():
    inputs = {"source": raster(), "segments": raster("Old"), "things.1.where": raster("Older")}
    entries = [{"where": "things.1.where"}]
    found = restore(FORM, {"things": entries}, inputs, LAYERS)
    assert found.lost == (
        "There is no layer of that name any more; choose one for “Segments” (it was 'Old') and"
        " “Things 1, Where” (it was 'Older')."
    )
    assert found.keys == {"input.segments", "things"}
    assert found.values["things"] == [{"where": None}] and entries == [{"where": "things.1.where"}]
    with pytest.raises(VelaturaError, match="no layer 'Old' any more, which was “segments”"):
        rasters_of_recipe(inputs, LAYERS)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"segments": None}, "bad-request"),
        ({"segments": raster(channels="A")}, "bad-layer"),
        ({"segments": raster(rect=(90, 0, 4, 4))}, "mask-outside"),
        ({"sky": raster()}, "bad-request"),
        ({f"x{n}": raster() for n in range(129)}, "too-large"),
    ],
)
def test_a_request_is_checked_before_any_work(change, code):
    given = {"source": raster(), "mask": None, "segments": raster()}
    assert list(check_inputs("Compose", RASTERS, [GROUP], {"things": []}, given)) == ["segments"]
    with pytest.raises(VelaturaError) as raised:
        check_inputs("Compose", RASTERS, [GROUP], {"things": []}, given | change)
    assert raised.value.code == code and raised.value.message.endswith(".")


def test_rasters_of_kinds_that_nobody_here_knows_are_left_out():
    wire = [raster.to_wire() for raster in RASTERS]
    assert rasters_of({"rasters": [*wire, {**wire[0], "kind": "sound"}, 3]}) == RASTERS
    assert rasters_of({}) == rasters_of({"rasters": None}) == []


def test_a_host_knows_what_to_do_with_a_result():
    assert insertion({"layers": [{"title": "a"}]}) == "layers"
    assert insertion({"layers": [{"kind": "mask"}]}) == "selections"
    assert insertion({"layers": [], "texts": ["a"]}) == "texts"
    assert [name for name, kind in RESULTS.items() if kind.chosen] == ["layer", "mask"]


def described(**changes):
    wire = {
        "id": "compose",
        "version": 1,
        "title": "Compose",
        "inputs": {"source": "required", "mask": "optional", "prompt": "none"},
        "rasters": [raster.to_wire() for raster in RASTERS],
        "max_variations": 1,
        "parameters": {"type": "object", "properties": {}},
    }
    return MethodInfo.from_wire(wire | changes)


def test_a_method_of_the_catalogue_has_its_rasters_in_its_form():
    method = described()
    assert list(method.further) == RASTERS and method.form == raster_fields(RASTERS)
    assert method.rasters == {
        "source": "required",
        "mask": "optional",
        "segments": "required",
        "area": "optional",
    }
    old = described(rasters=[])
    assert old.further == old.form == ()


def test_a_method_that_requires_what_nobody_here_knows_is_left_out():
    segments, area = (raster.to_wire() for raster in RASTERS)
    assert described(rasters=[{**segments, "kind": "sound"}]) is None
    assert described(rasters=[segments, {**area, "kind": "sound"}]).further == (RASTERS[0],)
    assert described(rasters=[{**area, "need": "sometimes"}]) is None
    assert described(result="sound") is None
    with pytest.raises(VelaturaError):
        described(rasters=3)
