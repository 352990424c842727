"""The docker by eye and by keyboard: errors that can be read, Tab from top to bottom, one Run at a time."""

from __future__ import annotations

import pytest
from PyQt6 import QtCore, QtGui, QtWidgets

from tests.krita.schemas import METHOD, known


@pytest.fixture
def desk(desks, tmp_path, document):
    made = desks(tmp_path / "state")
    made.session.state.set_known(known(METHOD))
    made.panel.resize(280, 1400)
    made.until(lambda: made["steps.slider"].isVisible())
    return made


@pytest.mark.parametrize(
    "background", ["#000000", "#2b2b2b", "#31363b", "#5a5a5a", "#c9c9c9", "#eff0f1", "#ffffff"]
)
def test_the_colour_of_errors_is_legible_on_every_theme(krita, background):
    from velatura_krita.activity import CONTRAST, contrast, legible

    behind = QtGui.QColor(background)
    red = legible(behind)
    assert contrast(red, behind) >= CONTRAST
    assert contrast(QtGui.QColor("black"), QtGui.QColor("white")) == pytest.approx(21)


def test_an_error_is_shown_in_it_and_keeps_the_font(desk):
    from velatura_krita.activity import CONTRAST, contrast

    status = desk["status"]
    font = QtGui.QFont(desk.panel.font())
    font.setPointSize(6)
    desk.panel.setFont(font)
    desk.session.state.say("Something failed.", bad=True)
    palette, roles = status.palette(), QtGui.QPalette.ColorRole
    assert contrast(palette.color(roles.WindowText), palette.color(roles.Window)) >= CONTRAST
    assert status.font().pointSize() == 6
    desk.session.state.say("All is well.")
    assert status.palette().color(roles.WindowText) == desk.panel.palette().color(roles.WindowText)


def test_the_name_of_a_layer_is_no_markup(desk):
    desk.session.state.say("'<h1>big</h1>' is empty")
    assert desk["status"].textFormat() == QtCore.Qt.TextFormat.PlainText


def test_tab_goes_from_top_to_bottom(desk, application):
    from velatura_krita.panel import in_order

    fields = in_order(desk.panel)
    names = [field.objectName() for field in fields]
    wanted = ["method", "sees", "prompt", "variations", "seed", "strength.slider", "steps.slider"]
    places = [names.index(name) for name in wanted if name in names]
    assert places == sorted(places) and len(places) >= 5, names
    desk["variations"].setFocus()
    application.processEvents()
    if QtWidgets.QApplication.focusWidget() is desk["variations"]:
        desk.panel.focusNextPrevChild(True)
        assert QtWidgets.QApplication.focusWidget() is desk["seed"]


def test_run_does_not_keep_the_focus(desk):
    desk["run"].setEnabled(True)
    assert not desk["run"].focusPolicy() & QtCore.Qt.FocusPolicy.ClickFocus
    desk["run"].setFocus()
    desk["run"].click()
    assert not desk["run"].hasFocus()
