"""Recipes run again in the real GIMP, and edits that it refuses with a sentence."""

from __future__ import annotations

import pytest

from tests.gimp.conftest import INSIDE

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(450)]


@pytest.fixture(scope="module")
def again(gimp):
    return gimp.python(INSIDE / "again.py", timeout=400)


def test_a_result_is_a_group_with_its_best_variation_on_top_and_the_source_still_chosen(again):
    assert again["first_error"] == ""
    assert again["title"] == "a hat · Repaint from its colours"
    assert again["visible"] == [True, False]
    assert again["ranks"] == [0, 1]
    assert again["chosen"] == ["source"]
    assert again["differ"]


def test_a_variation_run_again_gives_the_same_pixels_above_the_old(again):
    assert again["again_error"] == ""
    assert again["again_same"]
    assert again["again_above"]
    assert again["again_seed"] == again["second_seed"]


def test_a_group_run_again_gives_all_its_variations(again):
    assert again["whole_error"] == ""
    assert again["whole_same"] == [True, True]


def test_what_is_given_changes_and_the_rest_stays(again):
    assert again["changed_error"] == ""
    assert again["changed"] == ["a beard", 9, 5, 0.5]


def test_the_mask_as_the_artist_has_left_it_is_the_selection(again):
    assert again["edited_error"] == ""
    assert again["edited_mask_used"]


def test_parameters_that_are_no_object_are_refused(again):
    status, error = again["bad_parameters"]
    assert status == "execution-error"
    assert "JSON object" in error


def test_group_masks_and_recipes_survive_an_xcf_file(again):
    assert again["reloaded_group"]
    assert again["reloaded_same"] == [True, True]
    assert again["reloaded_recipe"]


def test_a_recipe_can_be_run_again_after_a_reload(again):
    assert again["reloaded_error"] == ""
    assert again["reloaded_rerun"]


def test_a_recipe_whose_source_is_gone_is_refused(again):
    status, error = again["source_gone"]
    assert status == "execution-error"
    assert "is gone" in error


def test_the_source_is_never_changed(again):
    assert again["source_unchanged"]


@pytest.fixture(scope="module")
def refusals(gimp):
    return gimp.python(INSIDE / "refusals.py", timeout=400)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("indexed", "Image > Mode > RGB"),
        ("two_layers", "Choose one layer"),
        ("channel", "choose a layer"),
        ("floating", "Anchor the floating selection"),
        ("beside", "does not touch the layer"),
        ("empty_prompt", "prompt"),
        ("long_prompt", "shorten it"),
        ("not_a_result", "not made by Velatura"),
    ],
)
def test_what_cannot_be_edited_is_refused_in_a_sentence_and_changes_nothing(refusals, case, words):
    found = refusals[case]
    assert found["status"] == "execution-error"
    assert words in found["error"]
    assert found["unchanged"]


def test_script_fu_calls_a_method_and_gets_the_group(gimp, tmp_path):
    from PIL import Image

    picture = tmp_path / "picture.png"
    Image.radial_gradient("L").convert("RGB").resize((64, 48)).save(picture)
    found = gimp.script_fu(
        """
        (let* ((img (vector-ref (car (gimp-get-images)) 0))
               (layer (vector-ref (car (gimp-image-get-layers img)) 0)))
          (gimp-image-select-rectangle img CHANNEL-OP-REPLACE 10 8 30 25)
          (let* ((group (car (velatura-sdedit #:run-mode RUN-NONINTERACTIVE #:image img
                     #:drawables (vector layer) #:prompt "a hat" #:seed 7 #:variations 2
                     #:steps 4 #:strength 0.5))))
            (list (car (gimp-item-get-name group))
                  (vector-length (car (gimp-item-get-children group)))
                  (vector-length (car (gimp-image-get-layers img))))))
        """,
        picture,
    )
    assert found["value"] == '("a hat · Repaint from its colours" 2 2)'
