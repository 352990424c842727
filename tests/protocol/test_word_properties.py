"""What holds of the settings of words for every prompt and every edit."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.page import Page
from velatura_protocol.words import find, words

LETTERS = st.text(alphabet="ab -',B1e\u0301é😀", max_size=12)
EDITS = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 5), LETTERS), max_size=8)


def weigh(page, numbers):
    """Words of these numbers get weights of their own."""
    for weight, number in enumerate(numbers, 2):
        there = words(page.settings.prompt)
        if there:
            page.settings.set(there[number % len(there)], {"weight": float(weight)})


def edit(page, start, count, text):
    start = min(start, len(page.settings.prompt))
    page.put(start, min(start + count, len(page.settings.prompt)), text)


@given(LETTERS, st.lists(st.integers(0, 5), max_size=3), EDITS)
def test_the_entries_are_about_words_of_the_prompt_and_the_chips_are_its_words(prompt, numbers, edits):
    page = Page(prompt)
    weigh(page, numbers)
    for start, count, text in edits:
        edit(page, start, count, text)
        found = [find(page.settings.prompt, e["text"], e["which"]) for e in page.settings.value()]
        assert all(found) and len({word.start for word in found}) == len(found)
        chips = page.settings.chips()
        assert all(a.word.end <= b.word.start for a, b in itertools.pairwise(chips))
        shown = [word.text for chip in chips for word in words(chip.word.text)]
        assert shown == [word.text for word in words(page.settings.prompt)]


@given(LETTERS, st.lists(st.integers(0, 5), max_size=3), EDITS)
def test_undo_restores(prompt, numbers, edits):
    page = Page(prompt)
    weigh(page, numbers)
    seen = []
    for start, count, text in edits:
        seen.append(page.settings.value())
        edit(page, start, count, text)
    while seen:
        page.undo()
        assert page.settings.value() == seen.pop()


@given(st.integers(0, 24), st.integers(0, 6), LETTERS)
def test_an_edit_leaves_every_word_that_it_does_not_touch_its_setting(start, count, text):
    prompt = "a hat, a beard and a hat"
    page = Page(prompt)
    there = [word for word in words(prompt) if word.text in ("hat", "beard")]
    for weight, word in enumerate(there, 2):
        page.settings.set(word, {"weight": float(weight)})
    edit(page, start, count, text)
    end = min(start + count, len(prompt))
    now = {(c.word.start, c.word.end): c.values["weight"] for c in page.settings.chips() if c.is_set}
    for weight, word in enumerate(there, 2):
        if word.end < start:
            assert now[word.start, word.end] == weight
        elif word.start > end:
            grown = len(page.settings.prompt) - len(prompt)
            assert now[word.start + grown, word.end + grown] == weight


@given(st.text(alphabet="abc ", max_size=8), st.text(alphabet="abc ", max_size=8), LETTERS)
def test_a_setting_is_lost_with_its_word_alone(before, after, typed):
    """Typed in front or behind, letter by letter, nothing changes what is set for a word."""
    page = Page("hat", "hat")
    page.at("hat").type(before + " ")
    page.cursor = len(page.settings.prompt)
    page.type(" " + after + typed)
    assert [chip.word.text for chip in page.settings.chips() if chip.is_set] == ["hat"]


@given(st.text(alphabet="ab ", max_size=12), st.integers(0, 5), st.data())
def test_a_word_that_is_deleted_letter_by_letter_is_like_one_that_is_deleted_at_once(prompt, number, data):
    page, other = Page(prompt), Page(prompt)
    weigh(page, [number])
    weigh(other, [number])
    there = words(prompt)
    if not there:
        return
    word = there[number % len(there)]
    other.put(word.start, word.end, "")
    at, end = data.draw(st.integers(word.start, word.end)), word.end
    while end > word.start:
        back = at > word.start and (at == end or data.draw(st.booleans()))
        at, end = at - back, end - 1
        page.put(at, at + 1, "")
    assert page.settings.prompt == other.settings.prompt and page.set == other.set
    place = data.draw(st.integers(0, len(page.settings.prompt)))
    typed = data.draw(st.sampled_from([word.text, f" {word.text}", f" {word.text} ", "a", " b a "]))
    is_pasted = data.draw(st.booleans())
    for each in (page, other):
        each.cursor = place
        each.paste(typed) if is_pasted else each.type(typed)
    assert page.set == other.set


@given(LETTERS, LETTERS, st.integers(-1, 13))
def test_a_difference_explains_the_edit_with_the_fewest_letters(old, new, cursor):
    from velatura_protocol.marks import difference

    edit = difference(old, new, min(cursor, len(new)))
    assert 0 <= edit.start <= edit.old_end <= len(old) and edit.start <= edit.new_end <= len(new)
    assert old[: edit.start] + new[edit.start : edit.new_end] + old[edit.old_end :] == new
    assert edit.new_end - edit.start == difference(old, new).new_end - difference(old, new).start


@pytest.mark.parametrize("size", [2000])
def test_a_long_prompt_that_is_replaced_by_another_is_no_hang(size):
    page = Page("a b " * (size // 4), "a")
    page.put(0, size, "b c a " * (size // 6))
    assert len(page.settings.value()) == 1
