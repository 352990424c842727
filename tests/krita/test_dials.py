"""Dials: rows of sliders, and the words that become some; on Qt 6 without a screen."""

import json

from PyQt6 import QtCore, QtGui, QtWidgets
from PyQt6.QtTest import QTest

from tests.krita.schemas import WEIGH, known
from tests.krita.turning import (
    choose,
    click,
    controls,
    dials,
    entry,
    field,
    focused,
    offered,
    slid,
    titles,
    values,
    write,
)

__all__ = ["controls", "slid"]

LEFT = QtCore.Qt.MouseButton.LeftButton


def test_one_begins_with_the_first_method_that_edits(controls):
    assert controls.method.currentData() == "lead"
    assert controls.form.findChild(QtWidgets.QWidget, "dials.add") is None, "the group's own editor is shown"
    assert field(controls, "prompt").placeholderText().startswith("May stay empty")
    choose(controls, "weigh")
    assert field(controls, "prompt").placeholderText() == "What should be there?"


def test_one_click_makes_a_dial_of_a_word_of_the_caption(controls, slid):
    assert offered(controls) == ["Other…"] and controls.prompts.dials.hint.text().startswith("Write above")
    field(controls, "caption").setPlainText("a man with a beard & a hat")
    assert offered(controls) == ["man", "beard", "hat", "Other…"]
    click(controls, "beard")
    assert titles(controls) == ["+ beard"] and values(controls) == [entry(more="beard")]
    assert offered(controls) == ["man", "hat", "Other…"] and len(slid) == 1
    assert focused(controls) is dials(controls)[0].number.slider


def test_moving_asks_for_previews_and_zero_is_one_click_away(controls, slid):
    controls.prompts.dials.set_value([entry("short", "long")])
    (dial,) = dials(controls)
    assert not slid
    dial.number.slider.setValue(dial.number.slider.maximum())
    assert values(controls) == [entry("short", "long", strength=3.0)] and slid == [values(controls)]
    dial.back.click()
    assert values(controls)[0]["strength"] == 0.0 and not dial.back.isEnabled() and len(slid) == 2
    dial.number.spin.setValue(-1.5)
    QTest.mouseDClick(dial.number.slider, LEFT)
    assert values(controls)[0]["strength"] == 0.0


def test_a_dial_without_words_is_not_sent(controls, slid):
    click(controls, "Other…")
    (dial,) = dials(controls)
    assert (
        titles(controls) == ["New dial"] and dial.texts.isVisible() and not dial.title.text().startswith("+")
    )
    assert focused(controls) is dial.texts.editors["less"].edit
    dial.number.spin.setValue(2.0)
    assert values(controls) == [] and not slid and controls.form.is_default()
    write(dial, "less", " short hair")
    write(dial, "more", "long hair")
    assert titles(controls) == ["short hair → long hair"]
    QTest.keyClick(dial.texts.editors["more"].edit, QtCore.Qt.Key.Key_Return)
    assert not dial.texts.isVisible() and focused(controls) is dial.number.slider
    dial.title.click()
    assert dial.texts.isVisible()
    write(dial, "name", "Length")
    assert titles(controls) == ["Length"]
    assert values(controls) == [entry(" short hair", "long hair", "Length", 2.0)]


def test_no_more_than_the_field_takes(controls):
    said = []
    controls.prompts.dials.said.connect(lambda *what: said.append(what))
    field(controls, "caption").setPlainText("a b c d e f g")
    for word in "bcde":
        click(controls, word)
    assert len(values(controls)) == 4
    assert not any(c.isEnabled() for c in controls.prompts.dials.chips.widgets)
    controls.prompts.dials.add_word("g")
    assert len(values(controls)) == 4 and said[0][1] and "4 dials" in said[0][0]
    controls.prompts.dials.add_word("C")
    assert focused(controls) is dials(controls)[1].number.slider and len(said) == 1
    dials(controls)[0].remove.click()
    assert titles(controls) == ["+ c", "+ d", "+ e"]
    assert all(c.isEnabled() for c in controls.prompts.dials.chips.widgets)


def test_removing_takes_its_words_back_into_the_offer(controls, slid):
    field(controls, "caption").setPlainText("beard hat")
    for word in ("beard", "hat"):
        click(controls, word)
    dials(controls)[0].remove.click()
    assert offered(controls) == ["beard", "Other…"] and len(slid) == 3
    assert focused(controls) is dials(controls)[0].number.slider
    dials(controls)[0].remove.click()
    assert values(controls) == [] and field(controls, "dials.add").isChecked()


def test_the_offer_is_there_while_there_are_no_dials_and_folded_away_else(controls):
    assert field(controls, "dials.offer").isVisible()
    controls.prompts.dials.set_value([entry(more="a")])
    assert not field(controls, "dials.offer").isVisible()
    field(controls, "dials.add").click()
    assert field(controls, "dials.offer").isVisible()


def test_put_in_order_by_keys_and_by_dragging(controls, application):
    controls.prompts.dials.set_value([entry(more=word) for word in ("one", "two", "three")])
    dial = dials(controls)[0]
    dial.handle.setFocus()
    QTest.keyClick(dial.handle, QtCore.Qt.Key.Key_Down)
    assert [e["more"] for e in values(controls)] == ["two", "one", "three"] and focused(
        controls
    ) is dial.handle
    for _ in range(3):
        QTest.keyClick(dial.handle, QtCore.Qt.Key.Key_Up)
    assert [e["more"] for e in values(controls)] == ["one", "two", "three"]
    dials(controls)[1].title.click()  # of another height
    for _ in range(4):
        application.processEvents()
    QTest.mousePress(dial.handle, LEFT)
    below = dials(controls)[2].mapTo(controls, dials(controls)[2].rect().bottomLeft())
    for step in range(1, 40):
        at = dial.handle.mapFrom(controls, below * step / 39)
        move = QtGui.QMouseEvent(
            QtCore.QEvent.Type.MouseMove, QtCore.QPointF(at), QtCore.QPointF(at), LEFT, LEFT,
            QtCore.Qt.KeyboardModifier.NoModifier,
        )  # fmt: skip
        application.sendEvent(dial.handle, move)
        application.processEvents()
    QTest.mouseRelease(dial.handle, LEFT)  # else the button stays down for all tests that follow
    assert [e["more"] for e in values(controls)] == ["two", "three", "one"]
    places = [d.geometry().top() for d in dials(controls)]
    assert places == sorted(places) and [d.objectName() for d in dials(controls)] == [
        "dials.0",
        "dials.1",
        "dials.2",
    ]


def test_a_word_of_the_prompt_is_turned_into_a_dial(controls):
    choose(controls, "weigh")
    field(controls, "caption").setPlainText("a man with a beard")
    field(controls, "copy").click()
    words = controls.prompts.words
    words.choose(4)
    field(controls, "word.dial").click()
    assert (
        controls.method.currentData() == "lead" and controls.form.values()["caption"] == "a man with a beard"
    )
    assert values(controls) == [entry(more="beard")] and field(controls, "prompt").toPlainText() == ""
    field(controls, "prompt").undo()
    assert field(controls, "prompt").toPlainText() == "a man with a beard"
    choose(controls, "weigh")
    field(controls, "prompt").setPlainText("a man with glasses")
    controls.prompts.words.choose(3)
    field(controls, "word.dial").click()
    assert titles(controls) == ["+ beard", "beard → glasses"]
    assert field(controls, "prompt").toPlainText() == "", "the dial says all of it"
    choose(controls, "weigh")
    field(controls, "prompt").setPlainText("a tall man with glasses")
    controls.prompts.words.choose(4)
    field(controls, "word.dial").click()
    assert titles(controls) == ["+ beard", "beard → glasses"], "it is there already"
    assert field(controls, "prompt").toPlainText() == "a tall man with glasses", "it asks for more than that"


def test_without_a_method_of_dials_there_is_no_such_button(controls):
    controls.state.set_known(known(WEIGH))
    field(controls, "prompt").setPlainText("cat")
    controls.prompts.words.choose(0)
    assert field(controls, "word.dial").isHidden()


def test_a_caption_does_not_become_a_prompt_that_may_stay_empty(controls, application):
    caption = field(controls, "caption")
    caption.setPlainText("a man")
    application.sendEvent(caption, QtGui.QFocusEvent(QtCore.QEvent.Type.FocusOut))
    assert field(controls, "prompt").toPlainText() == ""


def test_recipe_defaults_and_the_next_start(controls, krita, tmp_path):
    from velatura_krita.controls import Controls
    from velatura_krita.velatura_protocol.requests import Edit

    several = [entry("short", "long", "Length", 2.5), entry(more="hat", strength=-1.0)]
    recipe = Edit("lead", parameters={"caption": "a man", "dials": several})
    assert controls.show_recipe(recipe)
    assert values(controls) == several and titles(controls) == ["Length", "+ hat"]
    wish = controls.wish()
    assert wish.about == "Length 2.5, + hat −1" and not wish.lacks_prompt
    assert json.loads(krita.settings["velatura", "last"])["parameters"]["lead"]["dials"] == several
    again = Controls(controls.state, krita)
    assert again.form.values()["dials"] == several
    again.deleteLater()
    field(controls, "reset").click()
    assert values(controls) == [] and controls.form.is_default()


def test_names_for_screen_readers_and_the_width_of_a_narrow_docker(controls, application):
    field(controls, "caption").setPlainText("a man with a beard " + "w" * 100)
    controls.prompts.dials.set_value([entry("x" * 90, "y" * 90), entry(more="hat")])
    field(controls, "dials.add").click()
    dials(controls)[0].title.click()
    kinds = (QtWidgets.QAbstractButton, QtWidgets.QAbstractSpinBox, QtWidgets.QSlider)
    for widget in (w for kind in kinds for w in controls.findChildren(kind)):
        assert widget.accessibleName() and widget.objectName(), widget
    reached = [
        w
        for w in controls.findChildren(QtWidgets.QWidget)
        if w.focusPolicy() & QtCore.Qt.FocusPolicy.TabFocus
    ]
    for dial in dials(controls):
        assert {dial.handle, dial.title, dial.remove, dial.number.slider, dial.back} <= set(reached)
        assert dial.title.full in dial.number.slider.accessibleName()
    assert controls.minimumSizeHint().width() <= 250
    for _ in range(6):
        application.processEvents()
    for dial in dials(controls):
        assert dial.rect().contains(dial.back.geometry().translated(dial.number.pos()))


def test_nothing_moves_while_a_slider_does(controls, application):
    controls.prompts.dials.set_value([entry("short", "long"), entry(more="hat")])
    for _ in range(4):
        application.processEvents()
    parts = [
        w for dial in dials(controls) for w in (dial, dial.title, dial.number.slider, dial.back, dial.remove)
    ]
    before = [w.geometry() for w in parts]
    slider = dials(controls)[0].number.slider
    for position in range(slider.minimum(), slider.maximum() + 1, 7):
        slider.setValue(position)
        application.processEvents()
        assert [w.geometry() for w in parts] == before


def test_a_dial_can_have_a_painted_place(krita, application):
    from velatura_krita.dials import Dials

    from velatura.methods.registry import describe, registry
    from velatura_protocol.schema import fields_from_schema

    form = describe(registry()["sega"])["parameters"]
    (spec,) = (spec for spec in fields_from_schema(form) if spec.dials)
    made = Dials(spec, lambda: "a cat", None, lambda: [("{7}", "Painted")])
    made.set_value([{part.key: part.default for part in spec.fields} | {"more": "snow"}])
    (dial,) = made.dials
    where = dial.texts.editors["where"]
    assert made.value()[0]["where"] is None
    place = where.combo.findText("Painted")
    where.combo.setCurrentIndex(place)
    assert made.value()[0]["where"] == where.combo.itemData(place)
    assert where.combo.itemData(place)
    made.deleteLater()
