"""The words of the prompt as chips, and the strip below them, on Qt 6 without a screen."""

import json

import pytest
from PyQt6 import QtCore, QtGui, QtWidgets

from tests.krita.schemas import FIND, LEAD, METHOD, WEIGH, known


@pytest.fixture
def controls(krita, application):
    from velatura_krita.controls import Controls
    from velatura_krita.state import State

    state = State()
    made = Controls(state, krita)
    state.set_known(known(WEIGH, METHOD, FIND, LEAD, models=[{"id": "tiny", "title": "Tiny"}]))
    made.resize(250, 700)
    made.show()
    yield made
    made.close()


def field(controls, name, kind=QtWidgets.QWidget):
    found = controls.findChild(kind, name)
    assert found is not None, name
    return found


def chips(controls):
    return [c.text() for c in controls.prompts.words.chips if not c.isHidden()]


def choose(controls, word):
    next(c for c in controls.prompts.words.chips if c.chip.word.text == word).click()


def words(controls):
    return controls.form.values()["of_words"]


def entry(text, which=1, **values):
    return {"text": text, "which": which, "weight": 1.0, "until": 1.0} | values


def test_a_chip_for_each_word_as_it_is_typed(controls):
    field(controls, "prompt").setPlainText("a man, a beard")
    assert chips(controls) == ["a", "man", "a", "beard"]
    field(controls, "prompt").insertPlainText("the ")
    assert chips(controls) == ["the", "a", "man", "a", "beard"]
    assert field(controls, "of_words.strip").isHidden()
    assert controls.form.findChild(QtWidgets.QWidget, "of_words") is None, "the group's own editor is shown"


def test_a_word_is_turned_up_and_set_back(controls):
    field(controls, "prompt").setPlainText("a man with a beard")
    choose(controls, "beard")
    assert field(controls, "of_words.strip").isVisible()
    assert not field(controls, "word.reset").isEnabled()
    field(controls, "weight").setValue(2.0)
    assert chips(controls)[-1] == "beard ×2" and words(controls) == [entry("beard", weight=2.0)]
    choose(controls, "man")
    assert field(controls, "weight").value() == 1.0
    field(controls, "until").setValue(0.5)
    assert chips(controls)[1] == "man •"
    choose(controls, "beard")
    assert field(controls, "weight").value() == 2.0
    field(controls, "word.reset").click()
    assert words(controls) == [entry("man", until=0.5)] and field(controls, "weight").value() == 1.0
    choose(controls, "beard")
    assert field(controls, "of_words.strip").isHidden()


def test_nothing_moves_while_a_slider_does(controls, application):
    field(controls, "prompt").setPlainText("a man with a long and very curly beard, and a hat on his head")
    choose(controls, "curly")
    for _ in range(4):  # layouts within layouts
        application.processEvents()
    before = [c.geometry() for c in controls.prompts.words.chips]
    strip = field(controls, "of_words.strip").geometry()
    slider = field(controls, "weight.slider")
    for position in range(slider.minimum(), slider.maximum() + 1, 7):
        slider.setValue(position)
        application.processEvents()
        assert [c.geometry() for c in controls.prompts.words.chips] == before
        assert field(controls, "of_words.strip").geometry() == strip


def test_chips_lie_within_the_width_and_not_on_each_other(controls, application):
    field(controls, "prompt").setPlainText("x " * 40 + "w" * 300)
    for width in (250, 180, 400):
        controls.resize(width, 700)
        application.processEvents()
        places = [c.geometry() for c in controls.prompts.words.chips]
        inside = controls.prompts.words.flow.rect()
        assert all(inside.contains(place) for place in places)
        assert not any(a.intersects(b) for a in places for b in places if a is not b)


def test_everything_is_seen_at_any_width(controls, application):
    field(controls, "prompt").setPlainText("a man with a long grey beard, glasses and a red hat")
    choose(controls, "grey")
    area = QtWidgets.QScrollArea()
    area.setWidgetResizable(True)
    area.setWidget(controls)
    area.show()
    strip = field(controls, "of_words.strip")
    for width in (300, 220, 400, 190, 260):
        area.resize(width, 500)
        for _ in range(6):
            application.processEvents()
        for button in strip.buttons.values():
            corner = button.mapTo(strip, button.rect().bottomRight())
            assert strip.rect().contains(corner), (width, button.text())
        assert strip.geometry().bottom() <= controls.prompts.words.rect().bottom()
    area.takeWidget()
    area.close()


def test_swap_add_remove(controls):
    prompt = field(controls, "prompt")
    prompt.setPlainText("a man with a beard")
    choose(controls, "beard")
    field(controls, "weight").setValue(3.0)
    assert not field(controls, "word.swap").isEnabled()
    field(controls, "word.another").setText(" moustache ")
    field(controls, "word.swap").click()
    assert prompt.toPlainText() == "a man with a moustache" and field(controls, "word.another").text() == ""
    assert words(controls) == [entry("moustache", weight=3.0)]
    for name, text in (("before", "long"), ("after", "indeed")):
        field(controls, "word.another").setText(text)
        field(controls, "word." + name).click()
    assert prompt.toPlainText() == "a man with a long moustache indeed"
    assert words(controls) == [entry("moustache", weight=3.0)]
    field(controls, "word.remove").click()
    assert prompt.toPlainText() == "a man with a long indeed" and words(controls) == []
    assert field(controls, "of_words.strip").isHidden()
    for _ in range(4):
        prompt.undo()
    assert prompt.toPlainText() == "a man with a beard"


def test_letters_beyond_the_basic_plane_do_not_shift_anything(controls):
    prompt = field(controls, "prompt")
    prompt.setPlainText("😀😀 a cat 😀 here")
    choose(controls, "cat")
    field(controls, "word.another").setText("dog")
    field(controls, "word.swap").click()
    assert prompt.toPlainText() == "😀😀 a dog 😀 here"


def test_typing_an_equal_word_before(controls):
    prompt = field(controls, "prompt")
    prompt.setPlainText("cat")
    choose(controls, "cat")
    field(controls, "weight").setValue(2.0)
    prompt.moveCursor(QtGui.QTextCursor.MoveOperation.Start)
    for character in "cat and ":
        prompt.insertPlainText(character)
    assert chips(controls) == ["cat", "and", "cat ×2"] and words(controls) == [entry("cat", 2, weight=2.0)]


def test_select_asks_the_method_that_finds_words(controls):
    field(controls, "prompt").setPlainText("a cat and a cat")
    asked = []
    controls.wished.connect(asked.append)
    controls.prompts.words.choose(4)
    field(controls, "word.select").click()
    (wish,) = asked
    assert wish.method.id == "find" and wish.prompt == "a cat and a cat" and wish.whole
    assert wish.parameters == {"these": [{"text": "cat", "which": 2}]} and wish.variations == 1


def test_without_such_a_method_there_is_no_select(controls):
    controls.state.set_known(known(WEIGH))
    field(controls, "prompt").setPlainText("cat")
    choose(controls, "cat")
    assert field(controls, "word.select").isHidden() and field(controls, "word.remove").isVisible()


def test_words_without_settings_are_listed(controls):
    controls.method.setCurrentIndex(2)
    field(controls, "prompt").setPlainText("a cat")
    choose(controls, "cat")
    field(controls, "listed").click()
    assert chips(controls) == ["a", "cat ✓"] and controls.form.values() == {
        "these": [{"text": "cat", "which": 1}]
    }


def test_what_is_shown_now_stands_above_and_is_copied(controls, application):
    prompt, caption = field(controls, "prompt"), field(controls, "caption")
    assert caption.mapTo(controls, QtCore.QPoint()).y() < prompt.mapTo(controls, QtCore.QPoint()).y()
    assert not field(controls, "copy").isEnabled()
    caption.setPlainText("a man ")
    application.sendEvent(caption, QtGui.QFocusEvent(QtCore.QEvent.Type.FocusOut))
    assert prompt.toPlainText() == "a man"
    caption.setPlainText("a woman")
    application.sendEvent(caption, QtGui.QFocusEvent(QtCore.QEvent.Type.FocusOut))
    assert prompt.toPlainText() == "a man"
    field(controls, "copy").click()
    assert prompt.toPlainText() == "a woman" and controls.form.values()["caption"] == "a woman"
    controls.method.setCurrentIndex(1)
    assert controls.findChild(QtWidgets.QWidget, "caption") is None and field(controls, "copy").isHidden()


def test_a_recipe_and_the_next_start_bring_all_back(controls, krita):
    from velatura_krita.controls import Controls
    from velatura_krita.velatura_protocol.requests import Edit

    parameters = {"caption": "a cat", "of_words": [entry("cat", 2, weight=2.5), entry("dog", weight=2.0)]}
    recipe = Edit("weigh", prompt="cat or cat", parameters=parameters, seed=3)
    assert controls.show_recipe(recipe)
    assert words(controls) == [entry("cat", 2, weight=2.5)]
    assert field(controls, "caption").toPlainText() == "a cat"
    controls.wish()
    assert json.loads(krita.settings["velatura", "last"])["parameters"]["weigh"]["caption"] == "a cat"
    again = Controls(controls.state, krita)
    assert again.form.values()["of_words"] == words(controls) and chips(again) == ["cat", "or", "cat ×2.5"]
    again.deleteLater()


def test_defaults_take_words_back_too(controls):
    field(controls, "prompt").setPlainText("cat")
    choose(controls, "cat")
    field(controls, "weight").setValue(2.0)
    field(controls, "reset").click()
    assert words(controls) == [] and chips(controls) == ["cat"]


def test_names_for_screen_readers_and_the_width_of_a_narrow_docker(controls):
    field(controls, "prompt").setPlainText("a man with a beard " + "w" * 100)
    choose(controls, "beard")
    kinds = (QtWidgets.QAbstractButton, QtWidgets.QAbstractSpinBox, QtWidgets.QSlider)
    for widget in (w for kind in kinds for w in controls.findChildren(kind)):
        assert widget.accessibleName() and widget.objectName(), widget
    assert controls.minimumSizeHint().width() <= 250


def test_chips_are_used_again(controls):
    prompt = field(controls, "prompt")
    prompt.setPlainText("a few words " * 20)
    before = list(controls.prompts.words.chips)
    prompt.setPlainText("two words")
    assert chips(controls) == ["two", "words"]
    prompt.setPlainText("a few words " * 20)
    assert controls.prompts.words.chips == before and len(chips(controls)) == 60
