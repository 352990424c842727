"""What an edit leaves in a real GIMP image: precisions, places, masks, recipes."""

from __future__ import annotations

import json

import pytest

from tests.gimp.conftest import INSIDE
from velatura.methods.registry import registry

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(450)]

#: name, precision, gray, alpha, format in which mask and selection are compared (None: their own bytes).
#: Doubles travel as floats; GIMP converts them within its own tolerance, not to the last bit.
PRECISIONS = [
    ("rgb8", "U8_NON_LINEAR", False, True, None),
    ("rgb8 linear", "U8_LINEAR", False, True, None),
    ("rgb16", "U16_NON_LINEAR", False, True, None),
    ("rgb16 perceptual", "U16_PERCEPTUAL", False, True, None),
    ("rgb32", "U32_NON_LINEAR", False, True, "Y u16"),
    ("half", "HALF_LINEAR", False, True, None),
    ("float", "FLOAT_LINEAR", False, True, None),
    ("float non-linear", "FLOAT_NON_LINEAR", False, True, None),
    ("double", "DOUBLE_LINEAR", False, True, "Y float"),
    ("no alpha", "U8_NON_LINEAR", False, False, None),
    ("gray8", "U8_NON_LINEAR", True, False, None),
    ("gray16", "U16_NON_LINEAR", True, True, None),
    ("gray float", "FLOAT_LINEAR", True, True, None),
]


@pytest.fixture(scope="module")
def precisions(gimp):
    return gimp.python(INSIDE / "precisions.py", cases=PRECISIONS, timeout=400)


@pytest.mark.parametrize("name", [case[0] for case in PRECISIONS])
def test_a_soft_selection_becomes_the_layer_mask_bit_for_bit(precisions, name):
    found = precisions[name]
    assert found["error"] == ""
    assert found["mask_is_selection"] or (name == "double" and found["mask_difference"] < 1e-6)
    assert found["soft"]
    assert found["whole_selection_covered"]
    assert found["opaque_inside"]
    assert found["changed"]


@pytest.mark.parametrize("name", [case[0] for case in PRECISIONS])
def test_the_sources_bytes_are_unchanged(precisions, name):
    assert precisions[name]["source_unchanged"]


@pytest.fixture(scope="module")
def places(gimp):
    return gimp.python(INSIDE / "places.py", timeout=400)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("negative_offsets", [0, 0, 30, 25]),
        ("beyond_the_canvas", [20, 11, 80, 60]),
        ("no_selection", [0, 0, 64, 48]),
        ("text_layer", None),
        ("group_layer", None),
        ("within_a_group", None),
    ],
)
def test_the_result_lies_over_the_selected_part_of_the_layer(places, name, place):
    found = places[name]
    assert found["error"] == ""
    assert found["above"]
    assert place is None or found["place"] == place


def test_a_selection_that_reaches_beyond_the_layer_is_cut_at_its_edge(places):
    found = places["partly_outside"]
    x, y, width, height = found["place"]
    assert (x, y) == (30, 20)
    assert x + width <= 56
    assert y + height <= 46
    assert found["mask_is_selection"]


def test_without_a_selection_the_whole_layer_is_edited(places):
    assert places["no_selection"]["mask_is_full"]
    assert json.loads(places["no_selection"]["recipe"])["inputs"]["mask"] is None


def test_a_layer_in_a_group_gets_its_result_there(places):
    assert places["within_a_group"]["parent"] == "a group"


def test_the_newest_result_of_a_layer_lies_above_the_earlier_ones(places):
    assert places["several"]


def test_choosing_a_layers_mask_edits_the_layer_and_not_the_mask(places):
    assert places["layer_mask_chosen"] == {"error": "", "status": "success", "unchanged": True}


def test_a_text_layer_stays_text(places):
    assert places["text_layer"]["still_text"]


def test_filters_on_the_layer_are_seen_and_left_where_they_are(places):
    found = places["filtered"]
    assert found == {
        "error": "",
        "other_input": True,
        "filters": ["inverted"],
        "unchanged": True,
        "images": found["images"],
    }


def test_the_recipe_on_the_layer_is_the_request_as_it_was_run(places):
    recipe = json.loads(places["negative_offsets"]["recipe"])
    assert recipe["method"] == "sdedit"
    assert recipe["method_version"] == 1
    assert recipe["prompt"] == "a hat"
    assert recipe["seed"] == 7
    assert recipe["parameters"]["steps"] == 4
    assert recipe["parameters"]["guidance"] == registry()[recipe["method"]].Parameters().guidance
    assert recipe["model"]["digest"].startswith("blake2b:")
    source = recipe["inputs"]["source"]  # a square around the selection was sent, and not the layer
    assert (source["rect"], source["whole"]) == ([-9, -7, 60, 60], [-9, -7, 80, 60])
