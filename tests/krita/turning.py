"""The form of dials on Qt 6 without a screen, for its tests."""

import pytest
from PyQt6 import QtWidgets

from tests.krita.schemas import FIND, LEAD, METHOD, TELL, WEIGH, known


@pytest.fixture
def controls(krita, application, tmp_path):
    from velatura_krita.controls import Controls
    from velatura_krita.state import State

    state = State()
    made = Controls(state, krita, tmp_path / "state")
    state.set_known(known(FIND, LEAD, WEIGH, METHOD, TELL, models=[{"id": "tiny", "title": "Tiny"}]))
    made.resize(250, 700)
    made.show()
    yield made
    made.close()


@pytest.fixture
def slid(controls):
    """A list that grows by one with each preview that is asked for."""
    heard = []
    controls.slid.connect(lambda: heard.append(values(controls)))
    return heard


def field(controls, name, kind=QtWidgets.QWidget):
    found = controls.findChild(kind, name)
    assert found is not None, name
    return found


def focused(controls):
    """What has the focus while its window has it."""
    return controls.focusWidget()


def values(controls):
    return controls.form.values()["dials"]


def dials(controls):
    return controls.prompts.dials.dials


def titles(controls):
    return [dial.title.full for dial in dials(controls)]


def offered(controls):
    return [chip.text() for chip in controls.prompts.dials.chips.widgets if not chip.isHidden()]


def click(controls, text):
    next(c for c in controls.prompts.dials.chips.widgets if not c.isHidden() and c.text() == text).click()


def write(dial, key, text):
    dial.texts.editors[key].edit.setText(text)


def entry(less="", more="", name="", strength=1.0):
    return {"name": name, "less": less, "more": more, "strength": strength}


def choose(controls, method):
    controls.method.setCurrentIndex(controls.method.findData(method))
