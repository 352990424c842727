"""What is set for words of a prompt stays with them, whatever is typed."""

from __future__ import annotations

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gimp.conftest import PLUGIN
from velatura_protocol.schema import Field
from velatura_protocol.words import find, words

sys.path.insert(0, str(PLUGIN))

from velatura_plugin.word_settings import WordSettings

TEXT = Field("text", "string", "Word", "", "", max_length=200)
WHICH = Field("which", "integer", "Which", "", 1, minimum=1, maximum=1000)
WEIGHT = Field("weight", "number", "Weight", "", 1.0, minimum=-2.0, maximum=4.0)
UNTIL = Field("until", "number", "Until", "", 1.0, minimum=0.0, maximum=1.0)
GROUP = Field(
    "words", "group", "Words", "", [], fields=(TEXT, WHICH, WEIGHT, UNTIL), max_items=3, words="prompt"
)
LIST = Field("words", "group", "Words", "", [], fields=(TEXT, WHICH), max_items=64, words="prompt")


def settings(prompt, **weights):
    """Settings with the first of each of these words weighed."""
    made = WordSettings(GROUP, prompt)
    for text, weight in weights.items():
        made.set(find(prompt, text), WEIGHT, weight)
    return made


def weights(made):
    return [(entry["text"], entry["which"], entry["weight"]) for entry in made.value()]


def type_in(made, at, text):
    """One letter at a time, as a person does."""
    for place, letter in enumerate(text, at):
        made.splice(place, 0, letter)


def chip(made, text):
    return next(chip for chip in made.chips() if chip.word.text == text)


def test_a_chip_shows_the_word_and_its_value():
    made = settings("a man with a beard, and a hat", beard=2.0, hat=0.25)
    assert [c.label for c in made.chips()] == [
        "a", "man", "with", "a", "beard ×2.0", "and", "a", "hat ×0.25"]  # fmt: skip
    made.set(find(made.prompt, "man"), UNTIL, 0.5)
    made.set(find(made.prompt, "beard"), UNTIL, 0.5)
    assert chip(made, "beard").label == "beard ×2.0"
    assert chip(made, "beard").about == "Weight: 2.0, Until: 0.5"


def test_a_word_with_nothing_but_defaults_has_no_entry():
    made = settings("a hat", hat=2.0)
    assert made.value() == [{"text": "hat", "which": 1, "weight": 2.0, "until": 1.0}]
    made.set(find("a hat", "hat"), WEIGHT, 1.0 + 1e-9)
    assert made.value() == []


def test_an_equal_word_typed_before_it_takes_nothing_from_it():
    made = settings("a cat", cat=2.0)
    type_in(made, 2, "cat ")
    assert made.prompt == "a cat cat"
    assert weights(made) == [("cat", 2, 2.0)]


def test_an_equal_word_pasted_before_or_after_takes_nothing_from_it():
    made = settings("a cat", cat=2.0)
    made.splice(2, 0, "cat ")
    made.splice(9, 0, " cat")
    assert made.prompt == "a cat cat cat"
    assert weights(made) == [("cat", 2, 2.0)]


def test_a_word_that_is_gone_sleeps_and_wakes_when_it_is_back():
    made = settings("a beard, long", beard=2.0)
    made.splice(2, 5, "")
    assert made.value() == []
    assert [c.label for c in made.chips()] == ["a", "long"]
    type_in(made, 2, "bear")
    assert made.value() == []
    type_in(made, 6, "d")
    assert weights(made) == [("beard", 1, 2.0)]


def test_the_setting_of_a_removed_word_does_not_go_to_its_equal():
    made = settings("cat, cat", cat=2.0)
    made.splice(0, 3, "")
    assert made.value() == []


def test_a_word_written_otherwise_in_the_middle_of_typing_keeps_its_setting():
    made = settings("a beard", beard=2.0)
    made.choose(find("a beard", "beard"))
    type_in(made, 7, "s")
    assert made.value() == []
    assert made.chosen().word.text == "beards"
    made.splice(7, 1, "")
    assert weights(made) == [("beard", 1, 2.0)]


def test_a_swapped_word_keeps_its_setting_also_as_a_phrase():
    made = settings("a cat on a chair", cat=2.0)
    word = find(made.prompt, "cat")
    made.choose(word)
    made.swap(word, "red fox")
    made.splice(word.start, 3, "")
    made.splice(word.start, 0, "red fox")
    assert weights(made) == [("red fox", 1, 2.0)]
    assert [c.label for c in made.chips()] == ["a", "red fox ×2.0", "on", "a", "chair"]
    assert made.chosen().word.text == "red fox"


def test_a_whole_new_prompt_keeps_what_it_has_the_words_for():
    made = settings("a cat and a dog", cat=2.0, dog=3.0)
    made.splice(0, len(made.prompt), "")
    made.splice(0, 0, "dogs and a dog")
    assert weights(made) == [("dog", 1, 3.0)]


def test_saved_entries_are_taken_up_and_those_of_other_prompts_left_out():
    made = WordSettings(GROUP, "a hat, a hat")
    made.load([{"text": "Hat", "which": 2, "weight": 3.0, "until": 1.0},
               {"text": "beard", "which": 1, "weight": 3.0, "until": 1.0},
               {"text": "hat", "which": 7, "weight": 4.0, "until": 1.0}])  # fmt: skip
    assert ("hat", 2, 3.0) in weights(made)
    assert "beard" not in [text for text, _, _ in weights(made)]


def test_a_full_group_takes_no_more():
    made = settings("a b c d", a=2.0, b=2.0, c=2.0, d=2.0)
    assert [text for text, _, _ in weights(made)] == ["a", "b", "c"]


def test_where_nothing_can_be_set_the_entries_are_a_list():
    made = WordSettings(LIST, "a hat")
    made.put(find("a hat", "hat"), True)
    assert made.value() == [{"text": "hat", "which": 1}]
    assert [c.is_set for c in made.chips()] == [False, True]
    made.put(find("a hat", "hat"), False)
    assert made.value() == []


def test_a_word_is_the_same_however_its_accent_was_typed():
    made = settings("a cafe\u0301", café=2.0)
    assert [c.label for c in made.chips()] == ["a", "cafe\u0301 ×2.0"]
    made.splice(6, 1, "")  # the accent alone
    assert made.value() == []
    assert [c.label for c in made.chips()] == ["a", "cafe"]
    made.splice(2, 4, "Caf\u00e9")
    assert weights(made) == [("Caf\u00e9", 1, 2.0)]


def test_two_entries_for_one_word_are_one():
    made = WordSettings(GROUP, "a caf\u00e9")
    made.load([{"text": text, "which": 1, "weight": weight, "until": 1.0}
               for text, weight in (("caf\u00e9", 2.0), ("cafe\u0301", 3.0))])  # fmt: skip
    assert weights(made) == [("caf\u00e9", 1, 3.0)]


def test_a_chosen_word_that_is_removed_is_chosen_no_more():
    made = settings("a big hat")
    made.choose(find("a big hat", "big"))
    made.splice(1, 4, "")
    assert made.chosen() is None


PROMPTS = st.text(alphabet="ab -',B1e\u0301é", max_size=12)
EDITS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4), PROMPTS), max_size=6)


@given(PROMPTS, st.integers(0, 3), EDITS)
def test_whatever_is_typed_the_value_is_about_words_of_the_prompt(prompt, number, edits):
    made = WordSettings(GROUP, prompt)
    there = words(prompt)
    if there:
        made.set(there[number % len(there)], WEIGHT, 2.0)
        made.choose(there[0])
    for start, removed, inserted in edits:
        start = min(start, len(made.prompt))
        made.splice(start, min(removed, len(made.prompt) - start), inserted)
        for entry in made.value():
            assert find(made.prompt, entry["text"], entry["which"]) is not None
        spans = [(c.word.start, c.word.end) for c in made.chips()]
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
        shown = [word for chip in made.chips() for word in words(chip.word.text)]
        assert [word.text for word in shown] == [word.text for word in words(made.prompt)]


@pytest.mark.parametrize("prompt", ["a hat, a beard and a hat"])
@given(start=st.integers(0, 10), text=PROMPTS)
def test_an_edit_elsewhere_leaves_every_setting_on_its_word(prompt, start, text):
    made = WordSettings(GROUP, prompt)
    made.set(find(prompt, "hat", 2), WEIGHT, 2.0)
    made.splice(start, 0, text)
    assert [c.label for c in made.chips()][-1] == "hat ×2.0"
    assert made.value()[0]["which"] == sum(w.text == "hat" for w in words(made.prompt))
