"""Masks that methods find, in the real GIMP: channels, selections, and never a pixel changed."""

from __future__ import annotations

import pytest

from tests.gimp.conftest import INSIDE, install
from tests.hosts.gimp import GimpSession

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(450)]

PRECISIONS = [
    "U8_NON_LINEAR", "U8_LINEAR", "U8_PERCEPTUAL", "U16_NON_LINEAR", "U16_LINEAR", "U32_NON_LINEAR",
    "HALF_LINEAR", "FLOAT_LINEAR", "FLOAT_NON_LINEAR", "DOUBLE_LINEAR",
    "U8_NON_LINEAR gray", "FLOAT_LINEAR gray",
]  # fmt: skip
PLACES = {
    "offset": (30, 20, 20, 10),
    "negative offset": (-9, -7, 20, 30),
    "larger than the canvas": (-8, -6, 90, 70),
    "over the right edge": (50, 40, 40, 30),
}


@pytest.fixture(scope="module")
def masks(gimp_host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    with GimpSession(gimp_host, folder / "gimp") as session:
        plugin = install(session, folder / "state")
        script = INSIDE / "masks.py"
        return session.python(script, plugin=plugin, precisions=PRECISIONS, places=PLACES, timeout=400)


@pytest.mark.parametrize("case", [*PRECISIONS, *PLACES])
def test_one_mask_is_the_selection_to_the_bit_and_a_hidden_channel(masks, case):
    assert masks[case] == {
        "selection": True,
        "pixels_same": True,
        "names": ["beard"],
        "visible": False,
        "chosen": ["source"],
        "recipe": True,
        "feather": True,
        "channel_is_selection": True,
    }


def test_several_masks_are_channels_in_their_order_and_the_selection_stays(masks):
    assert masks["several"] == {"names": ["beard", "hat"], "selection_same": True, "chosen": ["source"]}


def test_a_word_that_is_nowhere_is_said_and_gets_no_channel(masks):
    assert masks["partly"] == {
        "names": ["beard"],
        "selection_same": True,
        "lost": "Nothing of “hat” was found.",
    }


@pytest.mark.parametrize("case", ["nothing", "outside"])
def test_a_mask_of_nothing_is_refused_and_changes_nothing(masks, case):
    code, sentence, selection_same, channels = masks[case]
    assert code == "empty-mask"
    assert "“beard”" in sentence
    assert selection_same
    assert channels == 0


def test_a_word_found_twice_has_two_channels(masks):
    assert masks["equal_names"] == ["beard #1", "beard"] or masks["equal_names"] == ["beard", "beard #1"]


def test_a_picture_that_was_closed_is_said_in_a_sentence(masks):
    assert "was closed" in masks["closed"]


@pytest.fixture(scope="module")
def found(gimp_host, finding, tmp_path_factory):
    folder = tmp_path_factory.mktemp("found")
    with GimpSession(gimp_host, folder / "gimp", binds=[finding.state_dir]) as session:
        install(session, finding.state_dir, offered_by=finding)
        return session.python(INSIDE / "found.py", method="velatura-shades", timeout=300)


def test_a_word_asked_for_by_a_script_is_selected(found):
    assert (found["status"], found["error"], found["channel"]) == ("success", "", "hat")
    assert found["rising"]
    assert found["ends"][0] < 80 < 180 < found["ends"][1]
    assert found["unchanged"]
    assert found["layers"] == 1


def test_the_channel_has_the_recipe(found):
    recipe = found["recipe"]
    assert recipe["method"] == "shades"
    assert recipe["parameters"]["words"] == [{"text": "Hat", "which": 1}]
    source = recipe["inputs"]["source"]
    assert source.get("whole", source["rect"]) == [-9, -7, 80, 60]


def test_without_entries_each_word_gets_a_channel(found):
    assert found["all_error"] == ""
    assert sorted(found["channels"]) == ["a", "hat", "hat #1"]
    assert found["selection_same"]


def test_the_procedure_says_that_it_gives_a_channel(found):
    label, text, values = found["procedure"]
    assert label == "S_hades…"
    assert "channels" in text
    assert "masked layer" not in text
    assert values == ["channel", "channels"]


def test_a_script_gets_all_channels_and_the_chosen_layer_stays_chosen(found):
    first, names = found["returned"]
    assert len(names) == 2
    assert first in names
    assert found["chosen"] == ["source"]


def test_a_channel_is_found_again_in_the_whole_layer(found):
    assert found["again"] == ["success", ""]
    assert found["again_same"]
    assert found["again_selected"]
    assert len(set(found["again_seed"])) == 1


def test_what_is_changed_of_a_channels_recipe_changes(found):
    error, name = found["again_changed"]
    assert error == ""
    assert name.startswith("a")


def test_what_was_found_within_a_selection_needs_one_again(found):
    status, error, channels = found["alone"]
    assert status == "execution-error"
    assert "select where to look" in error
    assert channels == 1
    assert found["within"] == ["", True]


def test_a_channel_whose_layer_is_gone_is_refused(found):
    status, error = found["gone"]
    assert status == "execution-error"
    assert "is gone" in error
