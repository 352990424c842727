"""One sitting with dials in GIMP: a word becomes one, it is turned, run, and run again; four are loaded."""

from __future__ import annotations

import json

import pytest

from tests.daemon_fixture import wait_for
from tests.gimp.conftest import INSIDE, LOOK, PLUGIN, wait_until
from velatura_protocol import dials
from velatura_protocol.presets import DELETED, EXPORTED, KEPT, Presets

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(500)]

SHORTCUTS = {
    "velatura-compose": "<Primary><Shift>F9",
    "velatura-weighed": "<Primary><Shift>F10",
    "velatura-rerun": "<Primary><Shift>F11",
    "velatura-flow-slider": "<Primary><Shift>F12",
}
FOUR = [
    {"name": "", "less": "short hair", "more": "long hair", "strength": 85.0},
    {"name": "Older", "less": "young", "more": "old", "strength": -30.0},
    {"name": "", "less": "hat", "more": "", "strength": 60.0},
    {"name": "", "less": "", "more": "a smile with very many white teeth", "strength": 100.0},
]
OTHER = f"""
import sys
sys.path.insert(0, {str(INSIDE)!r})
import pictures
from gi.repository import Gimp

def run(t):
    Gimp.Display.new(pictures.picture()[0])
"""  # another picture is opened
ROOM = 768 - 48  # pixels of height that a desktop's own bars leave on a small laptop


@pytest.fixture(scope="module")
def sitting(sit, knowing):
    """What was seen at each point of the sitting."""
    Presets(knowing.state_dir).save("Four", FOUR)
    with sit(knowing, SHORTCUTS) as window:
        yield dict(_sitting(window, knowing))


def _sitting(window, daemon):
    def done(count):
        wait_for(lambda: daemon.log.count("is done") >= count, 180, "nothing is done", every=0.2)
        window.rest(daemon.pid)

    def keys(*names):
        window.keys(*names, window=dialog)
        window.rest(daemon.pid)

    plugin = window.session.profile / "plug-ins" / PLUGIN.name
    yield "lists", window.python(INSIDE / "lists.py", plugin=str(plugin))
    before = daemon.log.count("is done")
    yield "before", window.python(LOOK)
    window.keys("ctrl+shift+F10")
    dialog = window.wait_window(r"Weighed words")
    window.display.xdotool("mousemove", 5, 900)
    done(before + 1)  # what the layer shows is proposed without being asked for
    yield "proposed", window.screenshot("proposed.png")
    keys("shift+Tab", "space")  # it is copied to the prompt
    keys("shift+Tab", "ctrl+a")  # to the caption
    window.display.xdotool("type", "--delay", 40, "a man with a beard")
    keys("shift+Tab", "space")
    keys(*["Tab"] * 5, "space")  # the last word
    keys("shift+Tab", "shift+Tab", "space")  # past the button that selects it
    yield "kept", window.screenshot("kept.png")
    keys("Escape")

    window.keys("ctrl+shift+F12")
    dialog = window.wait_window(r"More or less")
    keys("Tab", "space")
    yield "menu", window.screenshot("menu.png")
    window.display.xdotool("key", "Down", "Return")  # the first word of the caption that is no dial yet
    window.rest(daemon.pid)
    keys(*["Up"] * 5)
    done(before + 2)
    yield "draft", window.screenshot("draft.png")
    keys("alt+u")
    yield "run", wait_until(window, lambda found: found["groups"])

    window.python(LOOK, choose="result")
    window.keys("ctrl+shift+F11")
    dialog = window.wait_window(r"again")
    yield "again_dialog", window.screenshot("again.png")
    keys("alt+u")
    yield "again", wait_until(window, lambda found: len(found["groups"]) == 2)

    window.python(LOOK, choose="source")
    window.keys("ctrl+shift+F12")
    dialog = window.wait_window(r"More or less")
    keys("Tab", "Tab", "space")
    window.display.xdotool("key", "Down", "Return")  # the one preset
    window.rest()
    yield "four_dialog", window.screenshot("four.png")
    yield (
        "height",
        int(window.display.xdotool("getwindowgeometry", "--shell", dialog).split("HEIGHT=")[1].split()[0]),
    )
    keys("alt+u")
    yield "four", wait_until(window, lambda found: len(found["groups"]) == 3)

    window.python(LOOK, choose="source")
    asked = daemon.log.count("is done")
    window.keys("ctrl+shift+F9")
    dialog = window.wait_window(r"concepts")
    done(asked + 1)  # the caption, whose words are offered
    keys("Tab", "space")
    window.display.xdotool("key", "Down", "Return")
    window.rest(daemon.pid)
    yield "both_dialog", window.screenshot("both.png")
    keys("alt+u")
    yield "both", wait_until(window, lambda found: len(found["groups"]) == 4)

    window.python(OTHER)
    window.rest(daemon.pid)
    so_far = daemon.log.count("is done")
    window.keys("ctrl+shift+F12")
    dialog = window.wait_window(r"More or less")
    done(so_far + 1)
    yield "other_dialog", window.screenshot("other.png")
    yield "other", daemon.log.count("is done") - so_far
    keys("Escape")


def _recipe(found):
    return json.loads(found["recipes"][0])


def test_a_word_that_became_a_dial_waits_in_the_dialog_with_dials_with_its_caption(sitting):
    parameters = _recipe(sitting["run"])["parameters"]
    assert parameters["source_prompt"] == "a man with a beard"
    assert parameters["dials"][0] == {"name": "", "less": "", "more": "beard", "strength": 60.0}


def test_a_word_of_the_caption_becomes_a_dial_and_is_turned(sitting):
    _, added = _recipe(sitting["run"])["parameters"]["dials"]
    assert added == {"name": "", "less": "", "more": "man", "strength": 85.0}
    assert dials.title(added) in sitting["run"]["groups"][0]


def test_the_run_begins_with_the_seed_of_the_draft_and_is_run_again_alike(sitting):
    first, again = (_recipe(sitting[point]) for point in ("run", "again"))
    assert again["seed"] == first["seed"] >= 0
    assert again["parameters"] == first["parameters"]
    assert sitting["again"]["pixels"][0] == sitting["run"]["pixels"][0]


def test_a_preset_takes_the_place_of_the_dials(sitting):
    assert FOUR in [json.loads(text)["parameters"]["dials"] for text in sitting["four"]["recipes"]]


def test_four_dials_fit_a_small_screen(sitting):
    assert sitting["height"] <= ROOM


def test_a_method_may_have_dials_and_weighed_words(sitting):
    """The dials stand before the prompt, which is optional, and its words after it."""
    (parameters,) = [
        recipe["parameters"]
        for recipe in map(json.loads, sitting["both"]["recipes"])
        if recipe["method"] == "compose"
    ]
    (concept,) = parameters["concepts"]
    assert concept["strength"] == 60.0
    assert concept["more"] == dials.offered(parameters["source_prompt"], [])[0]


def test_no_pixel_of_the_source_changes(sitting):
    seen = [found for found in sitting.values() if hasattr(found, "values") and "source" in found.values]
    assert len({found["source"] for found in seen}) == 1


def test_entries_of_any_group_are_added_moved_and_removed(sitting):
    found = sitting["lists"]["plain"]
    assert found["empty"] == [[], True]
    ways = [[False, True, True], [True, True, True], [True, False, True]]
    assert found["full"] == [[-40.0, 20.0, 60.0], [ways, False], 6 - 1]  # the last set is of the default
    assert found["moved"] == [[60.0, -40.0, 20.0]] * 2
    assert found["shown"] == [0, 1, 2]
    assert found["removed"] == [60.0, 20.0]
    assert found["loaded"] == ["hat"]
    assert found["unreadable"] == 0


def test_a_dial_has_a_title_and_what_is_half_typed_is_not_previewed(sitting):
    found = sitting["lists"]["dials"]
    assert found["added"] == [["beard"], 1, "+ beard"]
    assert found["typing"] == [["stubble"], 1, "stubble → beard"]
    assert found["meant"] == 2
    assert found["named"] == [["Fuller"], 2, "Fuller"]
    assert found["turned"] == [[-35.0], 3]
    assert found["bounded"] == [-100.0]
    assert found["reset"] == 0


def test_a_number_is_shown_with_its_decimals(sitting):
    assert sitting["lists"]["numbers"] == ["0.0001", 0.0001]


def test_the_place_of_a_dial_is_folded_away_until_it_is_set(sitting):
    found = sitting["lists"]["more"]
    assert found["added"] == [[None], False]
    assert found["chosen"] == ["layer.7"]
    assert found["loaded"] == [["layer.7"], True]


def test_words_wait_as_dials_until_there_is_room(sitting):
    found = sitting["lists"]["waiting"]
    most = found["most"]
    fits, full, again = found["said"]
    assert "waits in Filters" in fits and f"“w{most - 1}”" in fits
    assert full.startswith(dials.FULL.format(most)) and "They wait in Filters" in full
    assert "waits in Filters" in again  # it is there already
    words = [f"w{n}" for n in range(most)]
    (entries, caption, says), *later = found["opened"]
    assert entries == ["hat", "w1", "w0", *words[2:-1]] and caption == "a man"
    assert f"“+ {words[-1]}”" in says and "Remove dials" in says
    assert later == [[["hat", "w1", words[-1]], "a man", ""], [["hat", "w1", "late"], "a man", ""]]


def test_a_preset_is_deleted_when_the_person_is_sure_and_exported_as_json(sitting):
    found = sitting["lists"]["asked"]
    assert (found["cancel"], found["ok"]) == (True, False)
    assert found["question"][:2] == ["Delete the dials “Hats”?"] * 2
    assert found["exported"] == ["shared.json"]
    assert found["over"] == ["another's", "shared.json"]


def test_another_picture_is_looked_at_anew(sitting):
    assert sitting["other"] == 1


def test_dials_are_json_for_a_script_and_those_without_words_are_left_out(sitting):
    status, parameters = sitting["lists"]["called"]
    assert status == "success", parameters
    assert parameters["dials"] == [{"name": "", "less": "", "more": "hat", "strength": 40.0}]


def test_dials_are_saved_loaded_shared_and_deleted_in_the_dialog(sitting):
    found = sitting["lists"]["presets"]
    assert found["loaded"] == found["imported"] == ["beard"]
    assert found["names"] == ["Beards", "Four", "shared"]  # a file's own name, as it was given by its maker
    assert found["deleted"] == [["Four"], ["beard"]]
    saved, _, exported, imported, damaged, deleted, gone, *unsaid = found["said"]
    assert (saved, imported) == (KEPT.format("Beards"), KEPT.format("shared"))
    assert (deleted, exported) == (DELETED.format("Beards"), EXPORTED.format("shared.json"))
    assert "no dials that Velatura can read" in damaged
    assert "could not be read" in gone
    assert unsaid == ["", ""]
