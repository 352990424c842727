"""A day in the real Krita: nothing lost to an open tool, the newest result on top, keys that work."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.krita.desk import pending
from tests.more_methods import LET_END

pytestmark = [pytest.mark.krita, pytest.mark.slow, pytest.mark.timeout(600)]
SCRIPT = Path(__file__).with_name("in_krita_day.py")
OPEN = "Finish your transform (Enter, or Esc to give it up)"


class Hands:
    """Mouse and keyboard before a Krita that runs a scene."""

    def __init__(self, session, script=SCRIPT, **args):
        self.display = session.display
        self.run = session.start(script, timeout=500, **args)

    def at(self, step: str, *presses: tuple) -> None:
        """Once the scene is at `step`, press; then let it go on."""
        self.run.wait_step(step, 400)
        for press in presses:
            self.display.xdotool(*press)
        (self.run.folder / step).touch()


def test_a_result_waits_for_the_transform_and_run_says_so_at_once(krita_session, daemon, state_dir):
    hands = Hands(krita_session(), scene="held", let_end=state_dir / LET_END)
    over_canvas = ("mousemove", 500, 500)
    hands.at("finish", over_canvas, ("key", "Return"))
    hands.at("finish again", over_canvas, ("key", "Return"))
    found = hands.run.wait()
    assert found["waits"] == f"{OPEN} to get the result."
    assert found["stack"] == [["Background", True]] and not found["cancel"]
    assert found["after"] == [["Background", True], ["a hat", True]]
    assert found["at_once"] == f"{OPEN} to begin."
    assert found["cancelled"] == "Cancelled."
    assert found["began"] == found["after"]
    assert not pending(state_dir)


def test_a_result_that_waits_survives_krita(krita_session, daemon, state_dir, tmp_path):
    session, path = krita_session(), tmp_path / "krita/left.kra"
    assert session.window(SCRIPT, scene="left", file=path, let_end=state_dir / LET_END, timeout=400)["saved"]
    assert len(pending(state_dir)) == 1
    found = session.window(SCRIPT, scene="found", file=path, timeout=400)
    assert found["stack"] == [["Background", True], ["a hat", True]]
    assert not pending(state_dir)


def test_a_krita_that_is_killed_before_it_saves_loses_no_result(krita_session, daemon, state_dir, tmp_path):
    session, path = krita_session(), tmp_path / "krita/dies.kra"
    run = session.start(SCRIPT, scene="dies", file=path, timeout=400)
    run.wait_step("inserted", 300)
    run.stop()
    assert len(pending(state_dir)) == 1
    found = session.window(SCRIPT, scene="found", file=path, timeout=400)
    assert found["stack"] == [["Background", True], ["a hat", True]]
    assert not pending(state_dir)


def test_the_newest_result_lies_on_top_and_one_variation_is_kept(krita_session, daemon):
    found = krita_session().window(SCRIPT, scene="results", timeout=500)
    base, own = ["Background", True], ["own", True]
    elsewhere = [base, ["one", True], ["elsewhere", True], own]
    two = [base, ["one", False], ["elsewhere", True], ["two", True], own]
    assert found["elsewhere"] == elsewhere and found["two"] == two
    assert found["steps"] == [elsewhere, two, elsewhere, [base, ["one", True], own], elsewhere, two]
    assert [shown for shown, _ in found["choice"]] == [[1], [2], [0], [2]]
    assert [said.partition(":")[0] for _, said in found["choice"]] == ["2 of 3", "3 of 3", "1 of 3", "3 of 3"]
    assert found["kept"] == two == found["rekept"] and found["kept_type"] == "paintlayer" and found["same"]
    assert found["unkept"] == [two, 3]
    assert found["recipe"] == found["adjusted"] == "two" and found["active"] == "Background"
    assert found["selected"] == [20, 20, 40, 40]
    assert found["three"] == found["reopened"] == [*two[:4], ["three", True], own]


def test_keys(krita_session, daemon):
    hands = Hands(krita_session(window_manager=True), scene="keys")
    hands.at("prompt", ("type", "a red hat"), ("key", "ctrl+Return"))
    hands.at("number", ("key", "ctrl+Return"))
    over_canvas = (("mousemove", 600, 300), ("mousemove", 600, 320))
    hands.at("shortcut", *over_canvas, ("key", "ctrl+alt+n"))
    search = ("sleep", 1)
    hands.at(
        "search",
        *over_canvas,
        ("click", 1),
        ("key", "ctrl+Return"),
        search,
        ("type", "keep velatura"),
        search,
        ("key", "Return"),
    )
    found = hands.run.wait()
    assert found["prompt"] == "a red hat" and found["searches"] == 0 == found["searches_after_number"]
    assert found["number"] == [["Background", True], ["a red hat", False], ["a red hat", True]]
    assert found["shown"] == [1] and found["kept"] == found["number"]
    assert found["said"] == "There is no edit to cancel."
    assert found["floats"] and found["held_floats"] and found["held"] == f"{OPEN} to begin."
