"""Words of prompts, and what clients do with them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.words import Word, find, replace, settle, words

PIECES = st.sampled_from(["cat", "Cat", "dog", "x-ray", "it's", " ", ", ", "-", "'", "_", "ß", "2", "é", "’"])
PROMPTS = st.lists(PIECES, max_size=20).map("".join) | st.text(max_size=60)


def test_punctuation_is_no_part_of_a_word() -> None:
    assert words("A cat, a “well-lit” CAT's 2nd_toy --") == [
        Word("A", 0, 1, 1),
        Word("cat", 2, 5, 1),
        Word("a", 7, 8, 2),
        Word("well-lit", 10, 18, 1),
        Word("CAT's", 20, 25, 1),
        Word("2nd", 26, 29, 1),
        Word("toy", 30, 33, 1),
    ]


@given(PROMPTS)
def test_words_lie_in_order_and_leave_no_letter_out(prompt: str) -> None:
    found = words(prompt)
    ends = [0, *(word.end for word in found)]
    for end, word in zip(ends, found, strict=False):
        assert end <= word.start < word.end
        assert prompt[word.start : word.end] == word.text
    assert [c for c in prompt if c.isalnum()] == [c for word in found for c in word.text if c.isalnum()]


@given(PROMPTS)
def test_every_word_is_found_again(prompt: str) -> None:
    for word in words(prompt):
        assert find(prompt, word.text, word.which) == word
        other = find(prompt, word.text.upper(), word.which)
        assert other == word or word.text.upper().casefold() != word.text.casefold()


@pytest.mark.parametrize(
    ("text", "which", "span"),
    [
        ("red dress", 1, (2, 11)),
        ("RED,  dress", 1, (2, 11)),
        ("dress", 2, (19, 24)),
        ("a", 1, (0, 1)),
        ("red", 2, None),
        ("", 1, None),
        ("?!", 1, None),
        ("dress", 0, None),
    ],
)
def test_phrases_are_found_too(text: str, which: int, span: tuple[int, int] | None) -> None:
    found = find("a red dress, the   dress", text, which)
    assert (found and (found.start, found.end)) == span


@given(PROMPTS, st.data())
def test_replacing_changes_only_the_word(prompt: str, data: st.DataObject) -> None:
    found = words(prompt)
    if found:
        word = data.draw(st.sampled_from(found))
        changed = replace(prompt, word, "tiger")
        assert changed == prompt[: word.start] + "tiger" + prompt[word.end :]
        assert replace(prompt, word, word.text) == prompt


@given(PROMPTS, PROMPTS)
def test_entries_stay_while_their_word_does(before: str, after: str) -> None:
    entries = [{"text": word.text, "which": word.which, "weight": 2.0} for word in words(before)]
    assert settle(entries, before) == entries
    left = [(word.text.casefold(), word.which) for word in words(after)]
    assert settle(entries, after) == [e for e in entries if (e["text"].casefold(), e["which"]) in left]
    assert settle(settle(entries, after), after) == settle(entries, after)


def test_an_entry_without_which_is_the_first() -> None:
    assert settle([{"text": "Dog"}, {"text": "cat"}, {"text": ""}], "a dog") == [{"text": "Dog"}]


def test_the_pattern_is_the_specifications() -> None:
    assert re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", "l'été d-1 ’q") == [w.text for w in words("l'été d-1 ’q")]
