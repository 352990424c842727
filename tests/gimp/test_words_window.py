"""One sitting with words in GIMP's window: propose a caption, weigh, select, swap, run, undo, run again."""

from __future__ import annotations

import json
import time

import pytest

from tests.daemon_fixture import wait_for
from tests.gimp.conftest import LOOK, wait_until

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def sitting(sit, knowing):
    """What was seen at each point of the sitting."""
    shortcuts = {"velatura-weighed": "<Primary><Shift>F12", "velatura-rerun": "<Primary><Shift>F11"}
    with sit(knowing, shortcuts) as window:
        yield dict(_sitting(window, knowing))


def _sitting(window, daemon):
    yield "before", window.python(LOOK)
    window.keys("ctrl+shift+F12")
    dialog = window.wait_window(r"Weighed words")
    window.display.xdotool("mousemove", 5, 900)
    window.display.xdotool("windowactivate", "--sync", dialog)
    wait_for(lambda: daemon.log.count("is done") == 1, 120, "nothing is proposed at once", every=0.2)
    time.sleep(1.0)
    window.keys("ctrl+a", window=dialog)
    window.display.xdotool("type", "--delay", 40, "a man with a beard")
    window.keys("shift+Tab", "shift+Tab", "space", window=dialog)  # the button that proposes
    wait_for(lambda: daemon.log.count("is done") == 2, 120, "nothing is proposed", every=0.2)
    time.sleep(1.0)
    window.keys("ctrl+z", window=dialog)  # what was typed is back
    window.keys("shift+Tab", "space", window=dialog)  # the button that copies it down, and on in the prompt
    window.keys(*["Tab"] * 5, "space", window=dialog)  # the word
    window.keys(*["Up"] * 10, window=dialog)  # in its first slider
    window.keys("shift+Tab", "shift+Tab", "space", window=dialog)  # past Reset, which can be pressed now
    yield "selected", wait_until(window, lambda found: found["channels"], dialog_stays=True)
    yield "dialog", window.screenshot("words.png")
    window.keys(*["Tab"] * 4, window=dialog)
    window.display.xdotool("type", "--delay", 40, "moustache")
    window.keys("Return", window=dialog)
    time.sleep(0.5)
    window.keys("alt+d", "ctrl+End", window=dialog)  # in the prompt
    window.display.xdotool("type", "--delay", 40, "s")  # a word that is written otherwise
    window.keys("ctrl+shift+Left", window=dialog)
    window.display.xdotool("type", "--delay", 40, "goatee")  # typed over
    window.keys("ctrl+shift+Left", "Delete", "ctrl+z", window=dialog)  # deleted, and that taken back
    time.sleep(0.5)
    yield "typed", window.screenshot("typed.png")
    window.keys("alt+n", "ctrl+shift+z", window=dialog)  # and the proposal
    window.keys("alt+u", window=dialog)
    yield "run", wait_until(window, lambda found: found["groups"])
    window.keys("ctrl+z")
    yield "undone", wait_until(window, lambda found: not found["groups"])
    window.python(LOOK, choose="channel")
    window.keys("ctrl+shift+F11")
    dialog = window.wait_window(r"again")
    yield "again_dialog", window.screenshot("again.png")
    window.keys("alt+u", window=dialog)
    yield "again", wait_until(window, lambda found: len(found["channels"]) == 2)
    window.keys("ctrl+z", "ctrl+z")
    yield "unselected", wait_until(window, lambda found: not found["channels"])


def test_a_word_is_selected_while_the_dialog_stays(sitting):
    found = sitting["selected"]
    assert found["channels"] == ["beard"]
    assert found["selected"][0]
    assert found["groups"] == []
    assert found["chosen"] == sitting["before"]["chosen"]


def test_what_runs_is_what_the_words_say(sitting):
    recipe = json.loads(sitting["run"]["recipes"][0])
    assert recipe["prompt"] == "a man with a goatee"
    assert recipe["parameters"]["words"] == [{"text": "goatee", "which": 1, "weight": 2.0, "until": 1.0}]
    assert recipe["inputs"]["mask"] is not None


def test_a_proposal_is_taken_back_and_brought_back_by_the_fields_own_undo(sitting):
    recipe = json.loads(sitting["run"]["recipes"][0])
    assert recipe["prompt"].startswith("a man with a ")  # copied while what was typed stood there
    proposed = recipe["parameters"]["source_prompt"]
    assert proposed
    assert proposed != "a man with a beard"


def test_a_channel_that_was_found_is_found_again(sitting):
    assert sorted(sitting["again"]["channels"]) == ["beard", "beard #1"]
    assert sitting["again"]["selected"] == sitting["selected"]["selected"]


def test_the_selection_of_a_word_is_one_step_to_undo(sitting):
    assert sitting["undone"]["channels"] == ["beard"]
    assert sitting["unselected"].values == sitting["before"].values


def test_no_pixel_of_the_source_changes(sitting):
    assert len({found["source"] for found in sitting.values() if hasattr(found, "values")}) == 1
