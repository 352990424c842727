"""One sitting with the Velatura window: the strip by its keys, kept layers, the history, a second run."""

from __future__ import annotations

import json

import pytest

from tests.daemon_fixture import wait_for
from tests.gimp.conftest import INSIDE, PLUGIN, running

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(400)]

OPEN = "ctrl+shift+F12"
KEPT = INSIDE / "kept.py"


@pytest.fixture(scope="module")
def sitting(sit, served):
    """What was seen at each point of the sitting."""
    with sit(served, {"velatura-window": "<Primary><Shift>F12"}) as window:
        yield dict(_sitting(window, served))


def _sitting(window, daemon):
    plugin = str(window.session.profile / "plug-ins" / PLUGIN.name)

    def keys(*names):
        window.keys(*names, window=shown)
        window.rest(daemon.pid)

    def look(is_there=lambda found: True, **how):
        def there():
            found = window.python(KEPT, plugin=plugin, **how)
            return found if is_there(found) else None

        try:
            return wait_for(there, 40, "it does not come", every=0.5)
        except AssertionError:
            window.screenshot("failure.png")
            raise

    def fates(found):
        return [entry["fate"] for entry in found["history"]]

    yield "before", look(method="sdedit", select=[20, 16, 60, 50])
    window.keys(OPEN)
    shown = window.wait_window(r"^Velatura: ")
    window.display.xdotool("mousemove", 5, 900)
    window.rest(daemon.pid)
    keys(*"hat")
    yield "open", window.screenshot("open.png")
    wanted = daemon.log.count("is done") + 1
    keys("ctrl+Return")
    wait_for(lambda: daemon.log.count("is done") >= wanted, 120, "nothing is done", every=0.2)
    yield "candidates", look(lambda found: len(found["history"]) >= 1)
    yield "strip", window.screenshot("strip.png")
    keys("s")
    keys("Return")  # the strip has the keys once there is something to choose
    yield "kept", look(lambda found: fates(found) == ["kept"])
    yield "after_keep", window.screenshot("kept.png")
    keys("Tab", "Tab", "Tab", "Tab", "space")  # past Keep, Drop and Star
    yield "more", look(lambda found: len(found["history"]) == 5)
    wait_for(lambda: daemon.log.count("is done") > wanted, 120, "nothing is done", every=0.2)
    keys("Right", "Delete")
    yield "dropped", look(lambda found: "dropped" in fates(found))
    keys("shift+Return")
    yield "two", look(lambda found: fates(found).count("kept") == 2)
    yield "several", window.screenshot("several.png")
    window.keys(OPEN)
    wait_for(lambda: len(running(window.session)) == 1, 60, "a second window stays", every=0.3)
    yield "windows", window.display.windows("^Velatura: ")
    yield "saved", look(save=str(window.session.profile / "kept.xcf"))
    keys("Escape")
    wait_for(lambda: not running(window.session), 60, "the plug-in does not end")
    window.keys("ctrl+z", "ctrl+z")
    yield "undone", look(lambda found: not found["groups"])


def test_a_candidate_changes_nothing_before_it_is_kept(sitting):
    for key in ("layers", "groups", "source", "selected"):
        assert sitting["candidates"][key] == sitting["before"][key]
    (entry,) = sitting["candidates"]["history"]
    assert (entry["prompt"], entry["fate"], entry["picture"]) == ("hat", "candidate", True)


def test_enter_keeps_the_chosen_candidate_as_a_masked_layer_with_its_recipe(sitting):
    found = sitting["kept"]
    assert found["layers"] == 2
    recipe = json.loads(found["recipes"][0])
    assert recipe["prompt"] == "hat"
    (entry,) = found["history"]
    assert entry["starred"]
    assert entry["job"] == recipe["job"]


def test_the_history_is_saved_with_the_picture_and_is_not_undone(sitting):
    assert sitting["saved"]["saved"] == sitting["two"]["history"]
    assert sitting["undone"]["history"] == sitting["two"]["history"]
    assert sitting["undone"]["layers"] == sitting["before"]["layers"]


def test_more_like_a_candidate_come_of_it_and_one_is_dropped_and_another_kept(sitting):
    (first,) = sitting["kept"]["history"]
    more = [entry for entry in sitting["two"]["history"] if entry["relation"] == "more"]
    assert [entry["parent"] for entry in more] == [[first["job"], first["variation"]]] * 4
    assert sorted(entry["fate"] for entry in more) == ["candidate", "candidate", "dropped", "kept"]
    assert len(sitting["two"]["groups"]) == 2
    assert len({*sitting["two"]["pixels"]}) == 2


def test_the_menu_brings_the_open_window_to_the_front(sitting):
    assert len(sitting["windows"]) == 1
