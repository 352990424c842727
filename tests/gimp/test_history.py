"""Undo in the dialog's fields of text."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from tests.gimp.conftest import PLUGIN

sys.path.insert(0, str(PLUGIN))

from velatura_plugin.history import History, difference

TEXT = st.text(alphabet="ab e\u0301", max_size=8)


def typed(history, letters):
    for letter in letters:
        history.note(history.now + letter)


def test_letters_in_a_row_are_one_step_and_a_new_word_is_another():
    history = History("")
    typed(history, "a red hat")
    assert [history.undo() for _ in range(5)] == ["a red ", "a red", "a ", "a", ""]
    assert [history.redo() for _ in range(6)] == ["a", "a ", "a red", "a red ", "a red hat", "a red hat"]


def test_a_text_put_in_at_once_is_one_step():
    history = History("")
    typed(history, "my")
    history.note("a photo of a man")
    assert [history.undo(), history.undo(), history.undo()] == ["my", "", ""]


def test_what_is_typed_after_an_undo_ends_what_could_be_redone():
    history = History("a")
    history.note("a hat")
    history.undo()
    history.note("a cap")
    assert history.redo() == "a cap"
    assert history.undo() == "a"


@given(TEXT, TEXT)
def test_the_difference_makes_one_text_of_the_other(old, new):
    start, removed, inserted = difference(old, new)
    assert old[:start] + inserted + old[start + removed :] == new
    assert not (removed and inserted) or old[start] != inserted[0]


@given(TEXT, st.lists(TEXT, max_size=6))
def test_undone_as_often_as_can_be_it_is_the_first_text_and_redone_the_last(first, later):
    history = History(first)
    for text in later:
        history.note(text)
    last = history.now
    for _ in range(sum(map(len, later)) + 9):
        history.undo()
    assert history.now == first
    for _ in range(sum(map(len, later)) + 9):
        history.redo()
    assert history.now == last
