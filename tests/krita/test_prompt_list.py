"""The list below the prompt: the model's words and earlier prompts, by keys and by a click."""

from __future__ import annotations

import pytest
from PyQt6 import QtGui, QtWidgets
from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtTest import QTest

from tests.krita.turning import controls, field
from velatura_protocol.prompt_history import PromptHistory

__all__ = ["controls"]
NONE, ALT, CONTROL = (getattr(Qt.KeyboardModifier, f"{name}Modifier") for name in ("No", "Alt", "Control"))


@pytest.fixture
def asked(controls):
    """The models whose words were wanted; the words come at once."""
    models = []

    def answer(model):
        models.append(model)
        controls.state.words[model] = ["beard", "bear", "hat"]

    controls.state.wordsWanted.connect(answer)
    return models


@pytest.fixture
def prompt(controls, asked, until):
    for one in ("a bearded man", "a blue hat"):
        PromptHistory(controls.folder).add(one)
    edit = controls.prompt
    edit.setPlainText("")
    controls.activateWindow()
    edit.setFocus()
    until(edit.hasFocus)
    return edit


def offers(controls) -> list[str]:
    shown = field(controls, "prompt.offers")
    return [shown.item(row).text() for row in range(shown.count())] if shown.isVisible() else []


def test_the_words_of_the_model_are_completed_and_typing_goes_on(controls, prompt, asked):
    assert asked == ["tiny"]
    prompt.insertPlainText("𝔸 ")
    QTest.keyClicks(prompt, "bea")
    listed = offers(controls)
    assert listed[0] == "bearded" and set(listed) == {"bearded", "beard", "bear"}  # the person's own first
    QTest.keyClick(prompt, Qt.Key.Key_Down)
    QTest.keyClick(prompt, Qt.Key.Key_Return)
    assert prompt.toPlainText().strip() == "𝔸 bearded" and offers(controls) == []
    assert prompt.textCursor().position() == len(prompt.toPlainText()) + 1  # one letter is two units of Qt's
    prompt.undo()
    assert prompt.toPlainText() == "𝔸 bea"
    QTest.keyClicks(prompt, "r")
    shown = field(controls, "prompt.offers")
    shown.itemClicked.emit(shown.item(1))
    assert prompt.toPlainText().strip() == f"𝔸 {listed[1]}"
    assert asked == ["tiny"]  # once


def test_nothing_is_taken_before_the_first_down(controls, prompt):
    QTest.keyClicks(prompt, "bea")
    assert offers(controls)
    override = QtGui.QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_Escape, NONE)
    override.ignore()
    QtWidgets.QApplication.sendEvent(prompt, override)
    assert override.isAccepted()  # Krita has a meaning of its own for it
    QTest.keyClick(prompt, Qt.Key.Key_Return)
    assert prompt.toPlainText() == "bea\n"
    QTest.keyClicks(prompt, "hat"[:2])
    QTest.keyClick(prompt, Qt.Key.Key_Escape)
    assert offers(controls) == [] and prompt.toPlainText() == "bea\nha"
    entered = []
    controls.entered.connect(lambda: entered.append(1))
    QTest.keyClicks(prompt, "t")
    QTest.keyClick(prompt, Qt.Key.Key_Return, CONTROL)
    assert entered == [1] and prompt.toPlainText() == "bea\nhat"


def test_earlier_prompts_come_with_down_in_an_empty_prompt_and_with_alt(controls, prompt):
    QTest.keyClick(prompt, Qt.Key.Key_Down)
    assert offers(controls) == ["a blue hat", "a bearded man"]
    QTest.keyClick(prompt, Qt.Key.Key_Down)
    QTest.keyClick(prompt, Qt.Key.Key_Tab)
    assert prompt.toPlainText() == "a bearded man" and prompt.hasFocus()
    prompt.setPlainText("hat")
    QTest.keyClick(prompt, Qt.Key.Key_Down, ALT)
    assert offers(controls) == ["a blue hat"]
    prompt.clearFocus()
    assert offers(controls) == []
