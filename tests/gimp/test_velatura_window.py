"""One sitting with the Velatura window, by mouse and keys: prompt, presets, queue, strip, history."""

from __future__ import annotations

import json

import pytest

from tests.daemon_fixture import wait_for
from tests.gimp.conftest import INSIDE, PLUGIN, running
from tests.gimp.eyes import Eyes
from velatura_protocol.prompt_history import PromptHistory

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(400)]

OPEN = "ctrl+shift+k"
KEPT = INSIDE / "kept.py"


@pytest.fixture(scope="module")
def sitting(sit, served):
    """What was seen at each point of the sitting."""
    PromptHistory(served.state_dir).add("a hat with a feather")
    with sit(served, {"velatura-window": "<Primary><Shift>k"}) as window:
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

    def has_kept(found, count):
        return fates(found).count("kept") == len(found["groups"]) == count

    def prompt():
        return eyes.wait(kind="TextView")["text"]

    def said(seen, start):
        return any((widget.get("text") or "").startswith(start) for widget in seen)

    def stops(seen):
        return [widget for widget in seen if widget["tooltip"].startswith("Stop “")]

    yield "before", look(method="sdedit", select=[20, 16, 60, 50])
    window.keys(OPEN)
    shown = window.wait_window(r"^Velatura: ")
    window.rest(daemon.pid)
    eyes = Eyes(window, running(window.session)[0])

    places = {}
    for width in (480, 1200):
        eyes.look(size=[width, 640])
        window.rest()
        seen = eyes.look()
        kinds = {"prompt": "TextView", "picture": "Image", "history": "SearchEntry"}
        parts = {name: next(w for w in seen if w["kind"] == kind) for name, kind in kinds.items()}
        places[width] = {**parts, "run": next(w for w in seen if w.get("text") == "Run")}
    yield "places", places
    eyes.press(kind="TextView")
    keys(*"fea")
    eyes.wait(text="feather")
    yield "offered", window.screenshot("offered.png")
    keys("Escape")  # takes the words away, and not the window
    eyes.until(lambda seen: not said(seen, "feather"), "the words stay")
    keys("t")
    eyes.wait(text="feather")
    keys("Down", "Return")
    yield "completed", prompt()
    eyes.press(text="Presets ▾")
    eyes.press(text="Save As…")
    name = window.wait_window(r"^Save Settings$")
    window.keys(*"Plumes", "Return", window=name)
    eyes.until(lambda seen: said(seen, "These settings are kept as 'Plumes'"), "the settings are not kept")
    eyes.press(kind="TextView")
    keys("ctrl+a", *"hat")

    with daemon.standing_still():
        eyes.press(text="Run")
        eyes.press(text="Run")
        queued = eyes.until(lambda seen: len(stops(seen)) == 2, "there are no two runs")
        yield "queued", ([widget["tooltip"] for widget in stops(queued)], said(queued, "Stop all"))
        window.rest(daemon.pid)
        yield "queue", window.screenshot("queue.png")
        eyes.point(stops(queued)[1])
        window.display.xdotool("click", 1)
        eyes.until(lambda seen: len(stops(seen)) == 1, "the second run is not stopped")
    yield "candidates", look(lambda found: len(found["history"]) == 1)
    eyes.until(lambda seen: not stops(seen), "the first run does not leave the queue")
    yield "strip", window.screenshot("strip.png")

    eyes.press(text="Star")
    eyes.press(text="Keep")
    yield "kept", look(lambda found: has_kept(found, 1))
    eyes.point(eyes.wait(kind="Button", text="Before"))
    window.display.xdotool("mousedown", 1)
    eyes.wait(kind="Label", text="Before", classes=lambda names: "dim-label" in names)
    window.display.xdotool("mouseup", 1)
    eyes.until(lambda seen: said(seen, "What it would give"), "the picture after the edit is not back")

    eyes.press(text="More like this")
    yield "more", look(lambda found: len(found["history"]) == 5)

    def cells(seen):
        return [widget for widget in seen if "velatura-cell" in widget["classes"]]

    def rows(seen):
        return [widget for widget in seen if widget["kind"] == "ListBoxRow"]

    def press_oldest(of):
        eyes.point(rows(eyes.until(lambda seen: len(rows(seen)) == of, "the history is shorter"))[-1])
        window.display.xdotool("click", 1)

    third = cells(eyes.until(lambda seen: len(cells(seen)) == 4, "there are no four candidates"))[2]
    eyes.point(third)
    chosen = lambda seen: ["velatura-chosen" in cell["classes"] for cell in cells(seen)]  # noqa: E731
    eyes.until(lambda seen: chosen(seen) == [False, False, True, False], "the pointer chooses nothing")
    eyes.press(text="Drop")
    yield "dropped", look(lambda found: "dropped" in fates(found))
    eyes.point(cells(eyes.until(lambda seen: len(cells(seen)) == 3, "the candidate stays"))[0])
    window.display.xdotool("click", 1)
    keys("shift+Return")
    yield "two", look(lambda found: has_kept(found, 2))
    yield "several", window.screenshot("several.png")

    eyes.press(text="Presets ▾")
    eyes.press(text="Plumes")
    eyes.until(lambda seen: said(seen, "feather"), "the preset is not there")
    yield "preset", prompt()
    press_oldest(of=5)
    eyes.press(text="Run again")
    look(lambda found: len(found["history"]) == 6)
    eyes.until(lambda seen: len(cells(seen)) == 1, "the strip does not change")
    eyes.press(text="Keep")
    yield "again", look(lambda found: has_kept(found, 3))
    press_oldest(of=6)
    eyes.press(text="Edit again")
    yield "edited", prompt()

    window.keys(OPEN)
    window.rest(daemon.pid)  # the second process has begun, and has found the first one
    wait_for(lambda: len(running(window.session)) == 1, 60, "a second window stays", every=0.3)
    yield "windows", window.display.windows("^Velatura: ")
    yield "saved", look(save=str(window.session.profile / "kept.xcf"))
    keys("Escape")
    wait_for(lambda: not running(window.session), 60, "the plug-in does not end")
    window.keys("ctrl+z", "ctrl+z", "ctrl+z")
    yield "undone", look(lambda found: not found["groups"])


def test_the_parts_of_a_narrow_window_stand_below_each_other_and_run_stays_in_sight(sitting):
    narrow, wide = sitting["places"][480], sitting["places"][1200]
    assert narrow["prompt"]["y"] < narrow["picture"]["y"] < narrow["history"]["y"]
    assert narrow["run"]["x"] < 480 and 0 < narrow["run"]["y"] < 700
    assert wide["prompt"]["x"] < wide["picture"]["x"] < wide["history"]["x"]
    assert wide["history"]["y"] < wide["run"]["y"]


def test_a_word_of_an_earlier_prompt_is_completed(sitting):
    assert sitting["completed"] == "feather"


def test_settings_are_kept_under_a_name_and_come_back(sitting):
    assert sitting["preset"] == "feather"


def test_each_run_has_its_own_stop(sitting):
    stops, is_all_there = sitting["queued"]
    assert len(stops) == 2 and is_all_there
    assert all(stop.startswith("Stop “hat") for stop in stops)


def test_a_candidate_changes_nothing_before_it_is_kept(sitting):
    for key in ("layers", "groups", "source", "selected"):
        assert sitting["candidates"][key] == sitting["before"][key]
    (entry,) = sitting["candidates"]["history"]
    assert (entry["prompt"], entry["fate"], entry["picture"]) == ("hat", "candidate", True)


def test_a_kept_candidate_is_a_masked_layer_with_its_recipe(sitting):
    found = sitting["kept"]
    assert found["layers"] == 2
    recipe = json.loads(found["recipes"][0])
    assert recipe["prompt"] == "hat"
    (entry,) = found["history"]
    assert entry["starred"]
    assert entry["job"] == recipe["job"]


def test_the_history_is_saved_with_the_picture_and_is_not_undone(sitting):
    assert sitting["saved"]["saved"] == sitting["again"]["history"]
    assert sitting["undone"]["history"] == sitting["again"]["history"]
    assert sitting["undone"]["layers"] == sitting["before"]["layers"]


def test_more_like_a_candidate_come_of_it_and_one_is_dropped_and_another_kept(sitting):
    (first,) = sitting["kept"]["history"]
    more = [entry for entry in sitting["two"]["history"] if entry["relation"] == "more"]
    assert [entry["parent"] for entry in more] == [[first["job"], first["variation"]]] * 4
    assert sorted(entry["fate"] for entry in more) == ["candidate", "candidate", "dropped", "kept"]
    assert len(sitting["two"]["groups"]) == 2
    assert len({*sitting["two"]["pixels"]}) == 2


def test_an_entry_run_again_gives_the_same_pixels_and_edited_again_its_settings(sitting):
    assert len(sitting["again"]["pixels"]) == 3
    assert {*sitting["again"]["pixels"]} == {*sitting["two"]["pixels"]}
    assert sitting["edited"] == "hat"


def test_the_menu_brings_the_open_window_to_the_front(sitting):
    assert len(sitting["windows"]) == 1
