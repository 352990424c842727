"""Words of prompts, and what clients do with them."""

import re
from unicodedata import is_normalized, normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.words import Word, changes, find, place, replace, words

PIECES = st.sampled_from(["cat", "Cat", "dog", "x-ray", "it's", " ", ", ", "-", "'", "_", "ß", "2", "é", "’"])
PROMPTS = st.lists(PIECES, max_size=20).map("".join) | st.text(max_size=60)


#: What normal form C joins, takes apart, changes places of, or leaves: accents and other marks, jamo, vowel
#: signs, letters that are never composed, and two characters of class 0 that stand for marks of another.
ODD = st.text(
    "aeqZ' -,é\u0301\u0323\u0327\u0345\u1100\u1161\u11a8가\u09c7\u09be\u0958\u212bǰ\u0344\u0f73\u0f71",
    max_size=16,
)


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


@given(PROMPTS | ODD)
def test_every_word_is_found_again(prompt: str) -> None:
    for word in words(prompt):
        assert find(prompt, word.text, word.which) == word


@given(PROMPTS)
def test_case_does_not_matter(prompt: str) -> None:
    for word in words(prompt):
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
    assert [place(entry, before) for entry in entries] == words(before)
    left = [(word.text.casefold(), word.which) for word in words(after)]
    for entry in entries:
        assert (place(entry, after) is not None) == ((entry["text"].casefold(), entry["which"]) in left)


def test_an_entry_without_which_is_the_first() -> None:
    found = [place(entry, "a dog") for entry in ({"text": "Dog"}, {"text": "cat"}, {"text": ""})]
    assert found == [find("a dog", "dog"), None, None]


@given(PROMPTS | ODD, st.sampled_from(["NFC", "NFD"]))
def test_words_are_the_same_however_accents_were_typed(prompt: str, form: str) -> None:
    other = normalize(form, prompt)
    found, again = words(prompt), words(other)
    assert [w.which for w in found] == [w.which for w in again]
    for word, same in zip(found, again, strict=True):
        assert find(prompt, same.text, same.which) == word and find(other, word.text, word.which) == same


@given(ODD)
def test_words_are_those_of_the_normal_form_and_lie_where_they_are_in_the_prompt(prompt: str) -> None:
    found, ends = words(prompt), [0]
    pattern = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
    wanted = pattern.findall(normalize("NFC", prompt))
    assert len(found) == len(wanted)
    for word, composed in zip(found, wanted, strict=True):
        assert ends[-1] <= word.start < word.end and prompt[word.start : word.end] == word.text
        assert normalize("NFC", word.text).startswith(composed)  # what is not composed may carry marks
        ends.append(word.end)


def test_an_accent_is_part_of_its_word() -> None:
    prompt = "cafe\u0301s, CAFÉS"
    assert not is_normalized("NFC", prompt)
    assert words(prompt) == [Word("cafe\u0301s", 0, 6, 1), Word("CAFÉS", 8, 13, 2)]
    assert find(prompt, "cafés", 1) == words(prompt)[0]
    assert find(prompt, "cafe\u0301s", 2) == words(prompt)[1]
    assert replace(prompt, words(prompt)[0], "bars") == "bars, CAFÉS"
    assert [word.called for word in words(prompt)] == ["cafe\u0301s", "CAFÉS (2)"]


def test_the_pattern_is_the_specifications() -> None:
    assert re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", "l'été d-1 ’q") == [w.text for w in words("l'été d-1 ’q")]


@pytest.mark.parametrize(
    ("caption", "prompt", "told"),
    [
        ("a man, brown hair", "a man, red hair", "brown → red"),
        ("tan skin and short brown hair", "tan skin, short red hair and a beard", "brown → red, + a beard"),
        ("a hat", "a cat, a hat", "+ a cat"),
        ("A cat", "a cat, a cat", "+ a cat"),
        ("a cat", "A CAT", ""),
        ("two boats", "a man", ""),
        ("a cat " * 200, "a dog " * 200, ""),
    ],
)
def test_what_a_prompt_changes_is_told_in_few_words(caption, prompt, told):
    assert changes(caption, prompt) == told
