"""What a preview shows in its small place, and that nothing moves when it comes."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6 import QtCore, QtGui

from tests.krita.schemas import FIND, METHOD, WEIGH
from tests.krita.schemas import method as read

SIDES = st.integers(1, 300)
RECTS = st.tuples(st.integers(-50, 400), st.integers(-50, 400), SIDES, SIDES)
PARTS = [
    # of a preview of 100 x 50 pixels that shows 200 x 100 of the document: the selection, the part
    (None, (0, 0, 100, 50)),
    ((110, 30, 40, 20), (0, 0, 30, 20)),
    ((140, 60, 40, 40), (15, 15, 30, 30)),
    ((110, 20, 200, 100), (0, 0, 100, 50)),
    ((900, 900, 5, 5), (0, 0, 100, 50)),
]


@pytest.fixture
def activity(krita, application):
    from velatura_krita.activity import Activity
    from velatura_krita.qt import QtWidgets
    from velatura_krita.state import State

    made = Activity(State(), QtWidgets.QHBoxLayout())
    made.show()
    yield made
    made.close()


def png(*columns):
    """A picture of 8 x 8 pixels: columns of these colours, from the left."""
    image = QtGui.QImage(8, 8, QtGui.QImage.Format.Format_RGB32)
    for x in range(8):
        for y in range(8):
            image.setPixelColor(x, y, QtGui.QColor(columns[x * len(columns) // 8]))
    data = QtCore.QBuffer()
    image.save(data, "PNG")
    return bytes(data.data())


def drawn(activity):
    image = activity.preview.pixmap().toImage()
    middle = image.height() // 2
    return [image.pixelColor(x, middle).name() for x in (2, image.width() - 3)]


@pytest.mark.parametrize(("selected", "part"), PARTS)
def test_the_selection_and_a_little_round_it_is_cut_out(plugin, selected, part):
    from velatura_krita.preview import part_of

    shown = (100, 20, 200, 100)
    assert part_of((100, 50), shown, selected) == part
    assert part_of((100, 50), None, selected) == (0, 0, 100, 50), "an older daemon does not say where it is"


@given(st.tuples(SIDES, SIDES), RECTS, RECTS)
def test_the_part_lies_within_the_preview(plugin, size, shown, selected):
    from velatura_krita.preview import part_of

    x, y, width, height = part_of(size, shown, selected)
    assert x >= 0 and y >= 0 and width >= 1 and height >= 1
    assert x + width <= size[0] and y + height <= size[1]


def test_where_it_lies_decides_what_is_drawn(activity):
    from velatura_krita.state import Job, Phase

    draft = Job("a", "Edit", phase=Phase.DONE, preview=png("red", "blue"))
    activity.state.set_draft(draft)
    assert drawn(activity) == ["#ff0000", "#0000ff"]
    activity.state.change_draft(shown=(10, 10, 80, 80), selected=(70, 30, 10, 10))
    assert drawn(activity) == ["#0000ff", "#0000ff"]
    assert "80 × 80 pixels at 10, 10" in activity.preview.toolTip()
    activity.state.change_draft(preview=base64.b64decode("AAAA"))
    assert activity.preview.pixmap().isNull(), "no picture"
    activity.state.set_draft(None)
    assert activity.preview.text() == ""
    activity.state.set_protocol("1.2")
    assert "slider" in activity.preview.text()


def test_the_status_gives_way_to_what_is_under_way(activity):
    from velatura_krita.state import Job, Phase

    state = activity.state
    state.say("2 variations above 'face', in 3.1 s.")
    assert activity.status.isVisible() and not activity.bar.isVisible()
    state.add_job(Job("a", "Edit", "a hat", phase=Phase.RUNNING))
    assert activity.bar.isVisible() and not activity.status.isVisible()
    assert activity.title.text() == "a hat"
    state.change_job("a", stage="Learning the layer", left="about 2 minutes left")
    assert activity.stage.text() == "Learning the layer · about 2 minutes left"
    state.change_job("a", phase=Phase.FAILED)
    assert activity.status.isVisible() and not activity.bar.isVisible()


@pytest.mark.parametrize(
    ("method", "parameters", "label"),
    [
        (METHOD, {}, "a cat, a hat"),
        (WEIGH, {"caption": ""}, "a cat, a hat"),
        (WEIGH, {"caption": "A dog, a hat"}, "dog → cat"),
        (WEIGH, {"caption": "a hat"}, "+ a cat"),
        (WEIGH, {"caption": "one cat, a big hat on a chair"}, "one → a, − big, − on a chair"),
        (WEIGH, {"caption": "a cat, a hat"}, "a cat, a hat"),
        (WEIGH, {"caption": "two dogs"}, "a cat, a hat"),
        (FIND, {"these": [{"text": "cat", "which": 1}]}, "Select: cat"),
        (FIND, {"these": [{"text": "a", "which": 2}, {"text": "hat"}, {"text": " "}]}, "Select: a (2), hat"),
        (FIND, {"these": []}, "Find words: a cat, a hat"),
        (FIND, {}, "Find words: a cat, a hat"),
    ],
)
def test_a_job_says_what_it_changes_or_selects(plugin, method, parameters, label):
    from velatura_krita.wish import Wish

    assert Wish(read(method), "", "a cat, a hat", 0, 1, parameters).about == label
