"""The strip in the real Krita, in a narrow docker, by keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageChops

pytestmark = [pytest.mark.krita, pytest.mark.slow, pytest.mark.timeout(900)]
SCRIPT = Path(__file__).with_name("in_krita_strip.py")
PICTURES = ("plain", "over", "away", "before")
KEYS = {
    "right": ("Right",),
    "drop": ("s", "Delete"),
    "undo": ("ctrl+z",),
    "several": ("shift+Return",),
    "more": ("m",),
    "keep": ("Return",),
}


def changed(one, other) -> tuple | None:
    """The box of the canvas in which two pictures of Krita's window differ: left of the dockers."""
    width = one.width - 300
    boxed = [picture.crop((0, 0, width, picture.height)) for picture in (one, other)]
    return ImageChops.difference(*boxed).point(lambda value: 255 * (value > 8)).getbbox()


def test_candidates_are_chosen_starred_dropped_and_kept_by_keys(krita_session, daemon):
    session = krita_session(window_manager=True)
    run = session.start(SCRIPT, timeout=600, width=260)
    for step, keys in KEYS.items():
        run.wait_step(step, 400)
        for key in keys:
            session.display.xdotool("key", key)
        (run.folder / step).touch()
    found = run.wait()
    assert found["first"].count(None) == 4 - len([i for i in found["first"] if i is not None])
    shown, order = found["begin"]
    assert shown == [0] and sorted(order) == [0, 1, 2, 3]
    assert found["dropped"] == [3, [1], [order[0], *order[2:]]]  # the next one shows
    assert found["undone"] == [4, order]
    assert "starred" in found["words"]
    assert found["more"][0] == 4 and sorted(found["order"]) == [0, 1, 2, 3]
    assert found["saved"] and found["says"].startswith("8 results, ") and found["prompt"] == "a hat"
    words = [row.partition("\n")[::2] for row in found["rows"]]
    assert [text for text, _ in words].count("★ a hat") == 1 and all("a hat" in text for text, _ in words)
    assert [about.startswith("kept · ") for _, about in words[:4]].count(True) == 1
    assert found["lacks"] == [] and found["saved_again"] and not found["modified"]
    assert (found["recipes"], found["opened"], found["changed_by_opening"]) == (10, 6, False)
    assert found["kept"] == ["paintlayer", "paintlayer", "grouplayer", "paintlayer"]
    assert found["several"] == [["paintlayer", True], ["paintlayer", True], ["grouplayer", True]]
    assert found["next"] == [2]

    assert found["pointed"] == [[0], 4] and not found["held"]
    picture = {name: Image.open(run.folder / f"{name}.png").convert("RGB") for name in PICTURES}
    over, before = (changed(picture["plain"], picture[name]) for name in ("over", "before"))
    assert over and before and all(abs(a - b) <= 3 for a, b in zip(over, before, strict=True))
    assert changed(picture["plain"], picture["away"]) is None
