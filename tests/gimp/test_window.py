"""One sitting in GIMP's window: dialog, run, undo, redo, repeat, run again."""

from __future__ import annotations

import json

import pytest

from tests.gimp.conftest import INSIDE, LOOK, PLUGIN, wait_until

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(400)]

RUN, AGAIN = "ctrl+shift+k", "ctrl+shift+m"


@pytest.fixture(scope="module")
def sitting(sit, served):
    """What was seen at each point of the sitting."""
    shortcuts = {"velatura-sdedit": "<Primary><Shift>k", "velatura-rerun": "<Primary><Shift>m"}
    with sit(served, shortcuts) as window:
        yield dict(_sitting(window))


def _sitting(window):
    yield "before", window.python(LOOK, select=[20, 16, 60, 50])

    window.keys(RUN)
    dialog = window.wait_window(r"Repaint from its colours")
    window.display.xdotool("mousemove", 5, 900)
    window.keys(*"hat", window=dialog)
    window.rest()
    yield "dialog", window.screenshot("dialog.png")
    window.keys("Return", window=dialog)
    yield "run", _wait(window, groups=1)

    window.keys("ctrl+z")
    yield "undone", _wait(window, groups=0)
    window.keys("ctrl+y")
    yield "redone", _wait(window, groups=1)

    window.python(LOOK, choose="source")  # a redo chooses the layer that it brings back
    window.keys("ctrl+f")
    yield "repeated", _wait(window, groups=2)

    window.python(LOOK, choose="result")
    window.keys(AGAIN)
    dialog = window.wait_window(r"again")
    yield "again_dialog", window.screenshot("again.png")
    window.keys("Return", window=dialog)
    yield "again", _wait(window, groups=3)

    plugin = window.session.profile / "plug-ins" / PLUGIN.name
    yield "widgets", window.python(INSIDE / "choices.py", plugin=str(plugin))
    yield "blended_before", window.python(LOOK, choose="source")
    window.keys(RUN)
    dialog = window.wait_window(r"Repaint from its colours")
    window.keys("Return", window=dialog)
    told = window.wait_window(r"^Velatura$", timeout=120)
    window.rest()
    yield "told", window.screenshot("told.png")
    yield "warnings", window.display.windows("GIMP Message")
    window.keys("Escape", window=told)
    yield "blended", _wait(window, groups=4)
    window.python(LOOK, choose="source")
    window.keys("ctrl+z")
    yield "blended_undone", _wait(window, groups=3)


def _wait(window, groups):
    return wait_until(window, lambda found: len(found["groups"]) == groups)


def test_a_run_from_the_dialog_makes_a_group_above_the_source(sitting):
    found = sitting["run"]
    assert found["groups"] == ["hat · Repaint from its colours"]
    assert found["layers"] == 2
    assert json.loads(found["recipes"][0])["prompt"] == "hat"


def test_one_undo_takes_everything_back(sitting):
    assert sitting["undone"].values == sitting["before"].values


def test_redo_brings_pixels_mask_and_recipe_back(sitting):
    for key in ("pixels", "masks", "recipes"):
        assert sitting["redone"][key] == sitting["run"][key]


def test_the_source_is_unchanged_throughout(sitting):
    seen = [found["source"] for found in sitting.values() if "source" in getattr(found, "values", ())]
    assert len(set(seen)) == 1


def test_ctrl_f_runs_once_more_without_a_dialog_and_with_a_new_seed(sitting):
    recipes = [json.loads(text) for text in sitting["repeated"]["recipes"]]
    assert [recipe["prompt"] for recipe in recipes] == ["hat", "hat"]
    assert recipes[0]["seed"] != recipes[1]["seed"]
    assert sitting["repeated"]["masks"][0] == sitting["repeated"]["masks"][1]


def test_a_result_is_run_again_from_its_own_form(sitting):
    newest, chosen = sitting["again"], sitting["repeated"]
    assert newest["pixels"][0] == chosen["pixels"][0]
    assert json.loads(newest["recipes"][0])["seed"] == json.loads(chosen["recipes"][0])["seed"]


def test_a_seed_is_a_number_or_a_new_one_each_time(sitting):
    assert sitting["widgets"]["seed"] == [[True, False], [False, True, True], 2**31 - 1, -1, [False, 12]]


def test_a_choice_that_there_is_no_more_becomes_the_default(sitting):
    assert sitting["widgets"]["choice"] == ["layer", "The layer", "visible", "The layer"]


def test_a_layer_that_multiplies_is_hidden_with_its_earlier_results_and_back_after_one_undo(sitting):
    assert sitting["blended"]["visible"] == [True, False, False, False, False]
    assert sitting["blended"]["layers"] == 5
    for key in ("visible", "layers", "groups", "marks", "source", "pixels"):
        assert sitting["blended_undone"][key] == sitting["blended_before"][key]


def test_no_warning_stands_beside_a_success(sitting):
    assert sitting["warnings"] == []
