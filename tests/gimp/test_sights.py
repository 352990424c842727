"""What a model is shown in the real GIMP, and how its result takes the layer's place in the picture."""

from __future__ import annotations

import pytest

from tests.gimp.conftest import INSIDE, PLUGIN

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(450)]


@pytest.fixture(scope="module")
def sights(gimp):
    plugin = gimp.profile / "plug-ins" / PLUGIN.name
    return gimp.python(INSIDE / "sights.py", plugin=plugin, timeout=400)


def test_what_a_layer_mask_hides_is_neither_sent_nor_shown_nor_brought_back(sights):
    found = sights["masked"]
    assert found["run"] == ["success", ""]
    assert found["hidden"]
    assert found["visible_same"]
    assert found["switched_off"]
    assert found["result_hidden"]
    assert found["images"] == 1  # nothing is left behind


def test_a_group_is_sent_with_its_filters_and_its_mask(sights):
    assert sights["grouped"] == {"plain": True, "filtered": True, "hidden": True, "run": ["success", ""]}


def test_a_result_takes_over_the_mode_and_the_opacity_of_its_layer(sights):
    found = sights["blended"]
    assert found["errors"] == ["", ""]
    assert found["group"] == ["multiply", 60.0]
    assert found["copy"] == ["source before the edit", "normal", 100.0, []]
    assert found["differs_inside_only"]
    assert found["switched_off"]


def test_a_blended_result_run_again_is_the_same_and_is_not_composited_twice(sights):
    assert sights["blended"]["again"] == [True, True]
    assert sights["blended"]["visible"] == [False, False, True]


def test_the_visible_picture_is_seen_and_its_result_lies_on_top(sights):
    found = sights["seen"]
    assert found["run"] == ["success", "", ""]
    assert found["sent"]
    assert found["rect"] == [0, 0, 64, 48]
    assert (found["own"]["sees"], found["own"]["source"], found["own"]["mark"]) == ("visible", 0, "")
    assert found["on_top"]


def test_a_result_of_the_visible_picture_is_run_again_on_what_lies_below_it(sights):
    assert sights["seen"]["again"]
    assert sights["seen"]["unhidden"]


def test_an_applied_layer_mask_is_still_the_selection(sights):
    assert sights["applied"] == {"error": "", "same": True, "place": True}
