"""Undo in the dialog's fields of text."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from tests.gimp.conftest import PLUGIN

sys.path.insert(0, str(PLUGIN))

from velatura_plugin.history import History

TEXT = st.text(alphabet="ab e\u0301", max_size=8)


def undo(history):
    """The text after an undo, which is what its edit makes of the text before."""
    return _made(history, history.undo)


def redo(history):
    return _made(history, history.redo)


def _made(history, go):
    before = history.now
    edit = go()
    if edit is None:
        assert history.now == before
    else:
        new = history.now[edit.start : edit.new_end]
        assert before[: edit.start] + new + before[edit.old_end :] == history.now
    return history.now


def typed(history, letters):
    for letter in letters:
        history.note(history.now + letter)


def test_letters_in_a_row_are_one_step_and_a_new_word_is_another():
    history = History("")
    typed(history, "a red hat")
    assert [undo(history) for _ in range(5)] == ["a red ", "a red", "a ", "a", ""]
    assert [redo(history) for _ in range(6)] == ["a", "a ", "a red", "a red ", "a red hat", "a red hat"]


def test_a_text_put_in_at_once_is_one_step():
    history = History("")
    typed(history, "my")
    history.note("a photo of a man")
    assert [undo(history), undo(history), undo(history)] == ["my", "", ""]


def test_an_equal_word_typed_in_front_is_taken_back_where_it_was_typed():
    history = History("cat")
    for cursor in range(1, 5):
        history.note("cat "[:cursor] + "cat", cursor)
    first, second = history.undo(), history.undo()
    assert history.now == "cat"
    assert (first.start, first.old_end, second.start, second.old_end) == (3, 4, 0, 3)


def test_what_is_typed_after_an_undo_ends_what_could_be_redone():
    history = History("a")
    history.note("a hat")
    undo(history)
    history.note("a cap")
    assert redo(history) == "a cap"
    assert undo(history) == "a"


@given(TEXT, st.lists(TEXT, max_size=6))
def test_undone_as_often_as_can_be_it_is_the_first_text_and_redone_the_last(first, later):
    history = History(first)
    for text in later:
        history.note(text)
    last = history.now
    for _ in range(sum(map(len, later)) + 9):
        undo(history)
    assert history.now == first
    for _ in range(sum(map(len, later)) + 9):
        redo(history)
    assert history.now == last
