"""One sitting with a prompt's words in GIMP's window: weigh one, select it, swap it, run, undo."""

from __future__ import annotations

import json
import time

import pytest
from PIL import Image

from tests.daemon_fixture import wait_for
from tests.gimp.conftest import INSIDE, install
from tests.hosts.gimp import GimpSession

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(400)]

LOOK = INSIDE / "look.py"


@pytest.fixture(scope="module")
def sitting(gimp_host, finding, display, tmp_path_factory):
    """What was seen at each point of the sitting."""
    folder = tmp_path_factory.mktemp("words")
    picture = folder / "picture.png"
    Image.radial_gradient("L").convert("RGB").resize((128, 96)).save(picture)
    with GimpSession(gimp_host, folder / "gimp", binds=[finding.state_dir], display=display) as session:
        install(session, finding.state_dir, offered_by=finding)
        session.shortcut("velatura-weighed", "<Primary><Shift>F12")
        with session.window(picture) as window:
            yield dict(_sitting(window))


def _sitting(window):
    yield "before", window.python(LOOK)
    window.keys("ctrl+shift+F12")
    dialog = window.wait_window(r"Weighed words")
    window.display.xdotool("mousemove", 5, 900)
    window.display.xdotool("windowactivate", "--sync", dialog)
    window.display.xdotool("type", "--delay", 40, "a man with a beard")
    window.keys("shift+Tab", "space", window=dialog)  # the button that copies it down, and on in the prompt
    window.keys(*["Tab"] * 5, "space", window=dialog)  # the word
    window.keys("Tab", "Tab", *["Up"] * 10, window=dialog)  # past Select to the first slider
    window.keys("shift+Tab", "shift+Tab", "space", window=dialog)  # past Reset, which can be pressed now
    yield "selected", _wait(window, lambda found: found["channels"])
    yield "dialog", window.screenshot("words.png")
    window.keys(*["Tab"] * 4, window=dialog)
    window.display.xdotool("type", "--delay", 40, "moustache")
    window.keys("Return", window=dialog)
    time.sleep(0.5)
    window.keys("alt+u", window=dialog)
    yield "run", _wait(window, lambda found: found["groups"])
    window.keys("ctrl+z")
    yield "undone", _wait(window, lambda found: not found["groups"])
    window.keys("ctrl+z")
    yield "unselected", _wait(window, lambda found: not found["channels"])


def _wait(window, is_there):
    """What the image holds once it is so."""

    def there():
        found = window.python(LOOK)
        return found if is_there(found) else None

    try:
        found = wait_for(there, 120, "it does not come", every=0.5)
    except AssertionError:
        window.screenshot("failure.png")
        raise
    time.sleep(0.5)  # the plug-in's own process ends after its last change
    return found


def test_a_word_is_selected_while_the_dialog_stays(sitting):
    found = sitting["selected"]
    assert found["channels"] == ["beard"]
    assert found["selected"][0]
    assert found["groups"] == []
    assert found["chosen"] == sitting["before"]["chosen"]


def test_what_runs_is_what_the_words_say(sitting):
    recipe = json.loads(sitting["run"]["recipes"][0])
    assert recipe["prompt"] == "a man with a moustache"
    assert recipe["parameters"]["source_prompt"] == "a man with a beard"
    assert recipe["parameters"]["words"] == [{"text": "moustache", "which": 1, "weight": 2.0, "until": 1.0}]
    assert recipe["inputs"]["mask"] is not None


def test_the_selection_of_a_word_is_one_step_to_undo(sitting):
    assert sitting["undone"]["channels"] == ["beard"]
    assert sitting["unselected"].values == sitting["before"].values


def test_no_pixel_of_the_source_changes(sitting):
    assert len({found["source"] for found in sitting.values() if hasattr(found, "values")}) == 1
