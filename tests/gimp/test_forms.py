"""A form in GIMP's window is never lost: refused, failed, stopped, cancelled, and shown again."""

from __future__ import annotations

import json

import pytest

from tests.daemon_fixture import Daemon, wait_for
from tests.gimp.conftest import INSIDE, LOOK, running, wait_until

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(450)]

FORMS = INSIDE / "forms.py"
RUN, AGAIN = "ctrl+shift+F12", "ctrl+shift+F11"
SHORTCUTS = {
    "velatura-sdedit": "<Primary><Shift>F12",
    "velatura-rerun": "<Primary><Shift>F11",
    "filters-reshow": "<Primary><Shift>F10",
}
NAME = "velatura-sdedit"

TITLE = "Repaint from its colours"


@pytest.fixture(scope="module")
def sitting(sit, tiny_folder, tmp_path_factory):
    """What was seen at each point of the sitting."""
    from tests.tiny import register_tiny_model  # brings torch

    state_dir = tmp_path_factory.mktemp("gimp-forms") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, cancel_grace=1.0) as daemon, sit(daemon, SHORTCUTS) as window:
        yield dict(_sitting(window, daemon))


def _sitting(window, daemon):
    def open_dialog(keys, title=TITLE):
        window.keys(keys)
        dialog = window.wait_window(title)
        window.display.xdotool("mousemove", 5, 900)
        return dialog

    def type_into(dialog, text):
        window.display.xdotool("windowactivate", "--sync", dialog)
        window.display.xdotool("type", "--delay", 40, text)

    def close(dialog):
        window.keys("Escape", window=dialog)
        window.rest()
        if window.display.windows(TITLE):  # words were offered below the prompt, and Escape took them away
            window.keys("Escape", window=dialog)
        wait_for(lambda: not running(window.session), 60, "the plug-in does not end")
        window.rest()

    def groups(number):
        return wait_until(window, lambda found: len(found["groups"]) == number)

    close(open_dialog(RUN))
    yield "untouched", window.python(FORMS)
    daemon.stop()
    dialog = open_dialog(RUN)
    type_into(dialog, "hat")
    window.keys("Return", window=dialog)
    window.rest()
    yield "no_daemon", [window.display.windows(TITLE), window.screenshot("no_daemon.png")]
    daemon.start()
    window.keys("Return", window=dialog)
    yield "with_daemon", groups(1)

    window.python(LOOK, choose="source")
    window.python(FORMS, clean=True)
    dialog = open_dialog(RUN)
    window.keys("ctrl+a", "BackSpace", "Return", window=dialog)
    window.rest(daemon.pid)
    yield "empty", [window.display.windows(TITLE), window.screenshot("empty.png")]
    type_into(dialog, "red cap")
    close(dialog)
    yield "cancelled", window.python(FORMS)
    window.keys("ctrl+f")
    yield "repeated", groups(2)

    window.python(LOOK, choose="source")
    window.python(FORMS, change={NAME: {"steps": 150, "strength": 1.0}})
    dialog = open_dialog("ctrl+shift+F10")
    type_into(dialog, "big ")
    started = daemon.log.count("is started")
    with daemon.standing_still():  # so that the edit does not end before the Escape comes
        window.keys("Return", window=dialog)
        wait_for(lambda: daemon.log.count("is started") > started, 60, "it does not start")
        yield "running", window.screenshot("running.png")
        window.keys("Escape", window=dialog)
        wait_for(lambda: daemon.log.count("is cancelled") == 1, 60, "it is not cancelled")
    window.rest(daemon.pid)
    yield "stopped", [window.display.windows(TITLE), window.screenshot("stopped.png")]
    type_into(dialog, "very ")
    close(dialog)
    yield "forms", window.python(FORMS)
    yield "as_it_was", window.python(LOOK)

    window.python(LOOK, choose="result")
    dialog = open_dialog(AGAIN, "again")
    window.keys("ctrl+a", window=dialog)
    type_into(dialog, "blue cap")
    close(dialog)
    dialog = open_dialog(AGAIN, "again")
    yield "again_dialog", window.screenshot("again.png")
    window.keys("Return", window=dialog)
    yield "again", groups(3)
    window.python(LOOK, choose="result")
    dialog = open_dialog(AGAIN, "again")
    window.keys("ctrl+End", window=dialog)
    type_into(dialog, "s")
    close(dialog)
    yield "own", window.python(FORMS)

    window.python(FORMS, copy=True)
    window.python(LOOK, choose="result")
    dialog = open_dialog(AGAIN, "Which Layer")
    yield "which", window.screenshot("which.png")
    window.keys("Down", "Return", window=dialog)
    dialog = window.wait_window("again")
    yield "chosen", window.screenshot("chosen.png")
    window.keys("Return", window=dialog)
    yield "resolved", groups(4)

    dialog = open_dialog(RUN)
    window.keys("ctrl+a", "ctrl+shift+u", "2", "6", "0", "3", "Return", window=dialog)
    window.rest(daemon.pid)
    yield "composed", [window.display.windows(TITLE), window.screenshot("composed.png")]
    close(dialog)
    yield "composed_forms", window.python(FORMS)


def _prompt(found, number=0):
    return json.loads(found["recipes"][number])["prompt"]


def test_without_a_daemon_the_dialog_stays_and_runs_once_there_is_one(sitting):
    assert sitting["no_daemon"][0]
    assert _prompt(sitting["with_daemon"]) == "hat"


def test_a_form_that_was_not_touched_leaves_nothing_in_the_image(sitting):
    assert sitting["untouched"]["forms"] == {}


def test_a_form_that_is_refused_stays(sitting):
    assert sitting["empty"][0]


def test_what_was_typed_is_kept_though_the_dialog_was_cancelled_and_the_image_is_not_changed_by_it(sitting):
    found = sitting["cancelled"]
    assert found["forms"][NAME]["prompt"] == "red cap"
    assert not found["dirty"]
    assert {_prompt(sitting["repeated"], number) for number in (0, 1)} == {"hat", "red cap"}


def test_a_run_that_is_stopped_leaves_dialog_and_form(sitting):
    assert sitting["stopped"][0]
    form = sitting["forms"]["forms"][NAME]
    assert "big " in form["prompt"]
    assert "very " in form["prompt"]
    assert form["steps"] == 150
    assert len(sitting["as_it_was"]["groups"]) == 2


def test_what_was_changed_of_a_recipe_is_kept_for_that_result_alone(sitting):
    assert _prompt(sitting["again"]) == "blue cap"
    (own,) = (form for name, form in sitting["own"]["forms"].items() if not name.startswith("velatura-"))
    assert own["prompt"] == "blue caps"


def test_in_doubt_the_person_says_which_layer_it_is(sitting):
    """The backup, which has the pixels that the source had."""
    newest, before = (json.loads(sitting[key]["recipes"][0]) for key in ("resolved", "again"))
    assert newest["prompt"] == "blue caps"
    assert newest["inputs"]["source"]["digest"] == before["inputs"]["source"]["digest"]
    assert newest["gimp"]["source"] != before["gimp"]["source"]


def test_return_does_not_run_while_an_input_method_composes(sitting):
    assert sitting["composed"][0]
    assert "☃" in sitting["composed_forms"]["forms"][NAME]["prompt"]
