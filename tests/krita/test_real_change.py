"""In the real Krita: the picture changes while an edit runs, and a hand that holds the pen is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.krita.test_real_day import Hands
from tests.more_methods import LET_END

pytestmark = [pytest.mark.krita, pytest.mark.slow, pytest.mark.timeout(600)]
HERE = Path(__file__).parent
SCRIPT = "".join((HERE / name).read_text() for name in ("in_krita_day.py", "in_krita_change.py"))


def test_a_result_follows_its_picture(krita_session, daemon, state_dir):
    session = krita_session()
    found = session.window(SCRIPT, scene="change", let_end=state_dir / LET_END, timeout=550)["found"]
    assert {name: rect for name, (_, rect, _) in found.items()} == {
        "scaled": [40, 20, 80, 60],
        "turned": [56, 20, 30, 40],
        "mirrored": [36, 10, 40, 30],
        "cropped": [10, 5, 40, 30],
        "moved": [27, 7, 40, 30],
        "flattened": [20, 10, 40, 30],
        "odd": [20, 10, 40, 30],
        "undone": [20, 10, 40, 30],
    }
    follows = {name for name, (_, _, said) in found.items() if "the result follows it" in said}
    assert follows == {"scaled", "turned", "mirrored", "cropped", "moved"}
    assert "lies where it was made" in found["odd"][2]
    assert "changed meanwhile" not in found["undone"][2] + found["flattened"][2]


def test_a_hand_is_waited_for_and_copies_keep_their_recipe(krita_session, daemon, state_dir):
    hands = Hands(krita_session(), SCRIPT, scene="hand", let_end=state_dir / LET_END)
    hands.at("press", ("mousemove", 500, 400), ("mousedown", 1), ("mousemove", 560, 460))
    hands.at("lift", ("mousemove", 600, 500), ("mouseup", 1))
    found = hands.run.wait()
    assert len(found["held"]) == 1 and len(found["after"]) == 2
    assert found["selected"] != [20, 10, 40, 30] and min(found["selected"][2:]) > 0
    assert found["jobs"] == 1 and len(found["types"]) == 1


def test_what_the_model_sees_and_what_then_shows(krita_session, daemon, state_dir):
    found = krita_session().window(SCRIPT, scene="sees", let_end=state_dir / LET_END, timeout=550)
    before = [["Background", True], ["ink", True], ["top", True]]
    hidden = [["Background", True], ["ink", False], ["hat", True], ["top", True]]
    above = [["Background", True], ["ink", True], ["hat", True], ["top", True]]
    on_top = [*before, ["hat", True]]
    stacks = {"layer": hidden, "below": above, "visible": on_top}
    for choice, (stack, changed, outside, said, undone, is_same) in found["found"].items():
        assert stack == stacks[choice] and undone == before and is_same, choice
        assert changed > 100 and outside == 0, choice
        assert ("'ink' is hidden" in said) == (choice == "layer")
    assert found["documents"] == 1
