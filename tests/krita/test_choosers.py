"""The boxes of methods and models: sections, and the model that the method needs."""

import pytest
from PyQt6 import QtCore, QtGui, QtWidgets

from tests.krita.schemas import LEAD, METHOD, TELL, WEIGH, known

NEEDS = QtCore.Qt.ItemFlag.ItemIsEnabled
FOUND = {"result": "mask", "id": "found", "title": "Find things", "max_variations": 1}
SECTIONED = [
    METHOD | {"section": "Change by words", "id": "first", "title": "Caption"},
    METHOD | {"section": "Change by words", "id": "second", "title": "Swap"},
    LEAD | {"section": "Change by degrees"},
    METHOD | {"section": "Select"} | FOUND,
    TELL | {"section": "Describe"},
]
MODELS = [
    {"id": "mini", "title": "Mini", "lacks": ["second", "lead", "tell"]},
    {"id": "large", "title": "Large", "lacks": ["second"], "defaults": {"steps": 24}},
    {"id": "pixels", "title": "Pixels", "lacks": ["first"], "defaults": {"steps": 48}},
]


@pytest.fixture
def desk(desks, tmp_path):
    from velatura_krita.state import Daemon

    made = desks(tmp_path / "state")
    made.until(lambda: made.session.state.daemon is Daemon.ABSENT)
    made.session.state.set_known(known(*SECTIONED, models=MODELS))
    return made


def rows(combo):
    return [(combo.itemText(row), combo.itemData(row)) for row in range(combo.count())]


def press(application, widget, *keys):
    for key in keys:
        text = key if isinstance(key, str) else ""
        code = QtCore.Qt.Key[f"Key_{key.upper()}"] if text else key
        for kind in (QtCore.QEvent.Type.KeyPress, QtCore.QEvent.Type.KeyRelease):
            event = QtGui.QKeyEvent(kind, code, QtCore.Qt.KeyboardModifier.NoModifier, text)
            application.sendEvent(widget, event)


def choose(desk, method):
    desk["method"].setCurrentIndex(desk["method"].findData(method))


def test_methods_stand_below_the_headings_of_their_sections(desk):
    assert rows(desk["method"]) == [
        ("Change by words", None), ("Caption", "first"), ("Swap", "second"),
        ("Change by degrees", None), ("More or less", "lead"),
        ("Select", None), ("Find things", "found"),
    ]  # fmt: skip
    assert desk["method"].currentData() == "first"
    assert not desk["method"].model().item(0).flags() and desk["method"].model().item(1).flags() & NEEDS


def test_without_sections_there_are_no_headings(desk):
    desk.session.state.set_known(known(METHOD, WEIGH))
    assert rows(desk["method"]) == [("Every kind", "every-kind"), ("Weigh words", "weigh")]
    assert desk["method"].currentData() == "every-kind"


def test_without_methods_nothing_is_chosen(desk):
    desk.session.state.set_known(known())
    assert desk["method"].currentIndex() == -1 and not desk["method"].isEnabled()


def test_keys_pass_over_headings(desk, application):
    key, combo, seen = QtCore.Qt.Key, desk["method"], []
    for pressed in (key.Key_Down, key.Key_Down, key.Key_Down, key.Key_Down, key.Key_Up, key.Key_Home):
        press(application, combo, pressed)
        seen.append(combo.currentData())
    assert seen == ["second", "lead", "found", "found", "lead", "first"]


def test_letters_find_methods_and_no_headings(desk, application):
    combo = desk["method"]
    press(application, combo, "s")
    assert combo.currentData() == "second"  # "Swap", not the heading "Select"
    combo.view().keyboardSearch("")  # the search begins anew
    press(application, combo, "f")
    assert combo.currentData() == "found"


def press_at(view, row, click=True):
    """Moves the pointer to a row, and clicks there."""
    at = QtCore.QPointF(view.visualRect(view.model().index(row, 0)).center())
    globally = QtCore.QPointF(view.viewport().mapToGlobal(at.toPoint()))
    left, none = QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier
    kinds = [QtCore.QEvent.Type.MouseMove]
    if click:
        kinds += [QtCore.QEvent.Type.MouseButtonPress, QtCore.QEvent.Type.MouseButtonRelease]
    for kind in kinds:
        event = QtGui.QMouseEvent(kind, at, globally, left, left, none)
        QtWidgets.QApplication.sendEvent(view.viewport(), event)


def test_a_click_on_a_heading_chooses_nothing_and_the_list_stays_open(desk):
    combo, view = desk["method"], desk["method"].view()
    combo.showPopup()
    desk.until(view.isVisible)
    press_at(view, 4, click=False)  # the pointer comes from a method
    press_at(view, 3)
    assert view.isVisible() and combo.currentData() == "first"
    press_at(view, 4)
    desk.until(lambda: not view.isVisible())
    assert combo.currentData() == "lead"


def test_the_open_list_is_as_wide_as_its_longest_title(desk):
    title = "Change the light of the whole picture by words"
    long = METHOD | {"id": "long", "title": title, "section": "Light"}
    desk.session.state.set_known(known(*SECTIONED, long))
    combo = desk["method"]
    needed = QtGui.QFontMetrics(combo.view().font()).horizontalAdvance(title)
    combo.showPopup()
    combo.hidePopup()
    assert combo.view().minimumWidth() > needed > combo.width()
    assert combo.minimumSizeHint().width() < 200


def test_a_method_that_the_model_lacks_takes_the_first_that_can_and_the_next_method_the_own_again(desk):
    desk["model"].setCurrentIndex(1)
    assert desk["steps"].value() == 24 and not desk["model.note"].isVisible()
    choose(desk, "second")
    assert desk["model"].currentData() == "pixels" and desk["steps"].value() == 48
    assert desk["model.note"].text() == "“Large” cannot do this, so “Pixels” does it."
    assert desk["model.note"].isVisible()
    assert desk.panel.controls.wish().model == "pixels"
    choose(desk, "first")
    assert desk["model"].currentData() == "large" and desk["steps"].value() == 24
    assert not desk["model.note"].isVisible()


def test_models_that_cannot_are_gray_while_another_can(desk):
    def enabled():
        model = desk["model"].model()
        return [bool(model.item(row).flags() & NEEDS) for row in range(model.rowCount())]

    assert enabled() == [True, True, False]
    choose(desk, "second")
    assert enabled() == [False, False, True]
    choose(desk, "found")
    assert enabled() == [True, True, True]


def test_a_model_chosen_by_the_person_is_their_own(desk):
    choose(desk, "lead")
    assert desk["model"].currentData() == "large"  # Mini cannot
    desk["model"].setCurrentIndex(2)
    assert not desk["model.note"].isVisible()
    choose(desk, "found")
    assert desk["model"].currentData() == "pixels"


def test_where_no_model_can_the_choice_stays_and_is_told(desk):
    models = [MODELS[0], MODELS[1]]
    desk.session.state.set_known(known(*SECTIONED, models=models))
    choose(desk, "second")
    assert desk["model"].currentData() == "mini"
    assert desk["model.note"].text() == "No model here can do this; run it to read what is missing."
    assert all(desk["model"].model().item(row).flags() & NEEDS for row in range(2))


def test_the_own_model_is_kept_for_the_next_start(desk, desks, tmp_path):
    desk["model"].setCurrentIndex(1)
    choose(desk, "second")
    desk.panel.controls.wish()
    second = desks(tmp_path / "state")
    second.session.state.set_known(known(*SECTIONED, models=MODELS))
    assert second["method"].currentData() == "second" and second["model"].currentData() == "pixels"
    choose(second, "first")
    assert second["model"].currentData() == "large"


def test_a_list_that_is_offered_anew_keeps_the_own_model(desk):
    desk["model"].setCurrentIndex(1)
    choose(desk, "second")
    desk.session.state.set_known(known(*SECTIONED, models=MODELS[1:]))
    assert desk["model"].currentData() == "pixels"
    choose(desk, "first")
    assert desk["model"].currentData() == "large"


@pytest.mark.parametrize(("model", "own"), [("pixels", "large"), ("large", "large")])
def test_a_recipes_model_is_shown_and_the_own_stays_where_it_would_be_shown_anyway(desk, model, own):
    from velatura_krita.velatura_protocol.requests import Edit

    desk["model"].setCurrentIndex(1)
    method = "second" if model == "pixels" else "first"
    assert desk.panel.controls.show_recipe(Edit(method, model=model, prompt="a hat"))
    assert desk["model"].currentData() == model
    choose(desk, "first")
    assert desk["model"].currentData() == own


def test_a_caption_comes_from_the_chosen_model_or_the_own(desk):
    controls = desk.panel.controls
    choose(desk, "first")
    assert controls._teller() == "mini"  # lacks it, and no further model is loaded for a caption
    desk["model"].setCurrentIndex(1)
    assert controls._teller() == "large"
    choose(desk, "second")
    assert controls._teller() == "pixels"


def test_long_notes_wrap_in_a_narrow_docker(desk):
    models = [m | {"title": f"{m['title']} with a very long name of its own, version 3"} for m in MODELS]
    desk.session.state.set_known(known(*SECTIONED, models=models))
    choose(desk, "second")
    assert desk["model.note"].isVisible()
    area = desk.panel.findChild(QtWidgets.QScrollArea)
    assert area.widget().minimumSizeHint().width() <= 260
