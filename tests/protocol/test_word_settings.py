"""What is set for words of a prompt, whatever is typed: the behaviour of every host."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.schema import Field
from velatura_protocol.word_settings import WordSettings
from velatura_protocol.words import find, words

TEXT = Field("text", "string", "Word", "", "", max_length=40)
WHICH = Field("which", "integer", "Which", "", 1, minimum=1, maximum=1000)
WEIGHT = Field("weight", "number", "Weight", "", 1.0, minimum=-2.0, maximum=100.0)
UNTIL = Field("until", "number", "Until", "", 1.0, minimum=0.0, maximum=1.0)
GROUP = Field(
    "words", "group", "Words", "", [], fields=(TEXT, WHICH, WEIGHT, UNTIL), max_items=3, words="prompt"
)
LIST = Field("words", "group", "Words", "", [], fields=(TEXT, WHICH), max_items=64, words="prompt")


class Page:
    """A prompt with a cursor, as a host's editor has it: every edit is one that the settings follow.

    Each of `weighed`, such as "cat" or "cat:2" (the second one), is set to `weight`.
    """

    def __init__(self, prompt, *weighed, field=GROUP, weight=2.0):
        self.settings = WordSettings(field, prompt)
        self.cursor = len(prompt)
        self.steps = []
        for word in weighed:
            text, _, which = word.partition(":")
            assert self.settings.set(find(prompt, text, int(which or 1)), {"weight": weight})

    def put(self, start, end, text):
        """Replace what is between `start` and `end`, in one edit."""
        old = self.settings.prompt
        self.steps.append((old, end))
        self.cursor = start + len(text)
        self.settings.follow(old[:start] + text + old[end:], self.cursor)
        return self

    def at(self, text):
        self.cursor = self.settings.prompt.index(text)
        return self

    def after(self, text):
        self.cursor = self.settings.prompt.index(text) + len(text)
        return self

    def type(self, text):
        for letter in text:
            self.put(self.cursor, self.cursor, letter)
        return self

    def paste(self, text):
        return self.put(self.cursor, self.cursor, text)

    def backspace(self, count):
        for _ in range(count):
            self.put(self.cursor - 1, self.cursor, "")
        return self

    def delete(self, text):
        """Select it and press Delete."""
        start = self.settings.prompt.index(text)
        return self.put(start, start + len(text), "")

    def type_over(self, old, new):
        """Select it and type: the first letter replaces, the others follow."""
        start = self.settings.prompt.index(old)
        return self.put(start, start + len(old), new[0]).type(new[1:])

    def paste_over(self, old, new):
        start = self.settings.prompt.index(old)
        return self.put(start, start + len(old), new)

    def undo(self):
        old, end = self.steps.pop()
        self.cursor = end
        self.settings.follow(old, end)
        return self

    @property
    def set(self):
        """What is set, as "beard ×2"."""
        return [f"{chip.word.text}{f'({chip.word.which})' if chip.word.which > 1 else ''} {chip.suffix}"
                for chip in self.settings.chips() if chip.is_set]  # fmt: skip


# A word is corrected


def test_a_word_that_is_written_otherwise_keeps_its_setting_all_the_while():
    page = Page("a beard", "beard").after("beard").type("s")
    assert page.set == ["beards ×2"]
    assert page.backspace(5).set == ["b ×2"]
    assert page.type("oat").set == ["boat ×2"]
    assert page.at("boat").type("grey").set == ["greyboat ×2"]
    assert page.delete("boat").set == ["grey ×2"]


def test_letters_typed_over_the_first_are_part_of_the_word():
    page = Page("a beard", "beard").type_over("beard", "hat").delete("h").type("c")
    assert page.settings.prompt == "a cat"
    assert page.set == ["cat ×2"]


def test_a_word_that_is_typed_over_gives_what_is_set_for_it_to_the_new_one():
    assert Page("a man with a beard", "beard").type_over("beard", "hat").set == ["hat ×2"]
    assert Page("a man with a beard", "beard").paste_over("beard", "hat").set == ["hat ×2"]
    page = Page("a man with a beard, old", "beard").delete("beard").type("hat")
    assert page.set == ["hat ×2"], "select, delete and type is the same as to type over"
    assert Page("a beard", "beard").backspace(5).type("hat").set == ["hat ×2"]


def test_several_words_pasted_over_one_take_nothing_over_unless_they_are_swapped_in():
    assert Page("a cat, old", "cat").paste_over("cat", "dog and a red fox").set == []
    page = Page("a cat on a chair", "cat")
    page.settings.choose(find("a cat on a chair", "cat"))
    page.settings.swap(find("a cat on a chair", "cat"), " red  fox ")
    assert page.settings.prompt == "a red fox on a chair"
    assert page.set == ["red fox ×2"]
    assert page.settings.chosen().word.text == "red fox"


# A word is deleted, and typed again


def test_a_word_that_is_deleted_is_set_again_when_it_is_typed_again():
    page = Page("a man with a beard, old", "beard").delete("beard")
    assert page.set == [] and page.settings.value() == []
    page.after("old").type(" and a long beard")
    assert page.set == ["beard ×2"]


def test_only_what_is_typed_right_where_it_was_takes_the_place_of_a_deleted_word():
    page = Page("a man with a beard, old", "beard").delete("beard").after("old").type(" hat")
    assert page.set == []
    page = Page("a man with a beard", "beard").backspace(8).type("in the rain")
    assert page.set == []
    page = Page("a man with a beard", "beard").delete("with a beard").type("in the rain")
    assert page.set == []
    page = Page("a man with a beard", "beard").type_over("with a beard", "in the rain")
    assert page.set == []
    assert page.type(", beard").set == ["beard ×2"]


def test_another_word_that_only_begins_like_the_deleted_one_does_not_get_its_setting():
    page = Page("a man", "a").delete("a ").after("man").type(" eats an apple")
    assert page.set == []
    assert page.type(", a").set == ["a ×2"], "so far it is the same word"
    assert page.type("nd").set == []
    page.type(" a cat")
    assert page.set == ["a ×2"]
    assert page.type(", and an apple").set == ["a ×2"]


def test_the_setting_of_a_deleted_word_does_not_go_to_its_equal():
    page = Page("cat, cat", "cat").put(0, 3, "")
    assert page.set == []
    assert page.after(", cat").type("s and").set == []
    assert Page("cat, cat", "cat:2").put(0, 5, "").set == ["cat ×2"]


def test_of_several_deleted_words_the_last_one_comes_back_first():
    page = Page("cat and cat, old", "cat")
    page.settings.set(find("cat and cat, old", "cat", 2), {"weight": 3.0})
    page.put(0, 4, "").put(4, 8, "").after("old").type(" cat")
    assert page.set == ["cat ×3"]
    assert page.type(" cat").set == ["cat ×3", "cat(2) ×2"]


def test_a_word_that_has_a_setting_wakes_no_other():
    page = Page("a beard, a hat, old", "beard")
    page.settings.set(find("a beard, a hat, old", "hat"), {"weight": 3.0})
    page.delete("a hat, ").type_over("beard", "hat")
    assert page.set == ["hat ×2"]
    assert page.after("old").type(" hat").set == ["hat ×2", "hat(2) ×3"]


def test_what_has_waited_longest_is_forgotten_in_the_end():
    from velatura_protocol.following import MOST_WAITING

    words_there = [f"w{number}" for number in range(MOST_WAITING + 1)]
    wide = replace(GROUP, max_items=99)
    page = Page(" ".join([*words_there, "end"]), *words_there, field=wide)
    for word in words_there:
        page.delete(word + " ")
    page.after("end").paste(" " + words_there[0]).paste(" " + words_there[1])
    assert page.set == ["w1 ×2"]


def test_a_word_typed_right_behind_and_then_apart_takes_nothing():
    page = Page("a cat", "cat").type("dog")
    assert page.set == ["catdog ×2"]
    assert page.put(5, 5, " ").set == ["cat ×2"]


def test_a_word_that_is_moved_takes_its_setting_along():
    page = Page("a long beard on a man", "beard").delete("a long beard on ").after("man")
    assert page.paste(" with a long beard").set == ["beard ×2"]
    dragged = Page("red hat, blue scarf", "hat", "scarf")
    dragged.put(0, len("red hat, blue scarf"), "blue scarf, red hat")
    assert dragged.set == ["scarf ×2", "hat ×2"]


def test_a_phrase_that_is_moved_takes_its_setting_along():
    page = Page("a cat", "cat")
    page.settings.swap(find("a cat", "cat"), "red fox")
    page.put(0, len("a red fox"), "dogs and one red fox there")
    assert page.set == ["red fox ×2"]


# Other words are typed


def test_an_equal_word_typed_before_or_after_takes_nothing():
    page = Page("a cat", "cat").at("cat").type("cat ")
    assert page.settings.prompt == "a cat cat"
    assert page.set == ["cat(2) ×2"]
    assert Page("a cat", "cat").after("cat").type(" cat").set == ["cat ×2"]
    assert Page("a cat", "cat").at("cat").paste("cat ").after("a cat cat").paste(" cat").set == ["cat(2) ×2"]


def test_a_new_prompt_altogether_keeps_what_it_has_the_words_for():
    page = Page("a cat and a dog", "cat", "dog").put(0, 15, "dogs and a dog")
    assert page.set == ["dog ×2"]
    assert Page("a man with a beard", "beard").put(0, 18, "two dogs").set == []
    assert Page("a beard", "beard").put(0, 7, "a bright dog").set == [], "a letter in common is not enough"
    page = Page("a cat and a dog", "cat", "dog").put(0, 15, "")
    assert page.type("dogs and a dog").set == ["dog ×2"]


def test_two_words_that_become_one_and_two_again():
    page = Page("red hat", "red")
    page.settings.set(find("red hat", "hat"), {"weight": 3.0})
    page.put(3, 4, "")
    assert page.set == ["redhat ×2"]
    assert page.put(3, 3, " ").set == ["red ×2", "hat ×3"]
    assert page.put(3, 4, "-").set == ["red-hat ×2"]


def test_part_of_a_phrase_is_written_otherwise():
    page = Page("a cat", "cat")
    page.settings.swap(find("a cat", "cat"), "red fox")
    assert page.type_over("fox", "panda").set == ["red panda ×2"]
    assert page.delete("red ").set == ["panda ×2"]


def test_accents_belong_to_their_word_however_they_are_typed():
    apart, together = "cafe\u0301", "caf\u00e9"
    page = Page("a cafe", "cafe").type("\u0301 au lait")
    assert page.set == [f"{apart} ×2"]
    page.put(2, 7, together)
    assert page.set == [f"{together} ×2"]
    assert page.delete(together).after("lait").type(f", {apart}").set == [f"{apart} ×2"]


# The buttons, and undo


def test_add_and_remove():
    page = Page("a man with a beard, old", "beard")
    settings = page.settings
    settings.add(find(settings.prompt, "beard"), "long", before=True)
    settings.add(find(settings.prompt, "beard"), "indeed", before=False)
    assert settings.prompt == "a man with a long beard indeed, old" and page.set == ["beard ×2"]
    settings.remove(find(settings.prompt, "indeed"))
    settings.remove(find(settings.prompt, "a"))
    assert settings.prompt == "man with a long beard, old" and page.set == ["beard ×2"]
    settings.remove(find(settings.prompt, "beard"))
    assert settings.prompt == "man with a long, old" and page.set == []
    settings.remove(find(settings.prompt, "old"))
    assert settings.prompt == "man with a long,"


def test_the_edit_of_a_button_makes_the_new_prompt_of_the_old_one():
    for act in (lambda s, w: s.swap(w, "cat cat"), lambda s, w: s.add(w, "cat", True),
                lambda s, w: s.add(w, "cat", False), lambda s, w: s.remove(w)):  # fmt: skip
        page = Page("a cat, cat", "cat:2")
        old = page.settings.prompt
        edit = act(page.settings, find(old, "cat", 2))
        new = page.settings.prompt
        assert old[: edit.start] + new[edit.start : edit.new_end] + old[edit.old_end :] == new
        page.settings.follow(new, 0)  # the editor says so, too
        page.settings.follow(old, edit.old_end)
        assert page.set == ["cat(2) ×2"], "undo"


def test_undo_brings_back_what_was_set_with_the_values_of_now():
    page = Page("a beard", "beard").type_over("beard", "hat")
    page.settings.set(find("a hat", "hat"), {"weight": 3.0})
    for _ in range(3):
        page.undo()
    assert page.settings.prompt == "a beard" and page.set == ["beard ×3"]
    page.delete("beard").undo()
    assert page.set == ["beard ×3"]
    page.settings.reset(find("a beard", "beard"))
    page.type("s").undo()
    assert page.set == []


def test_several_letters_that_are_taken_back_at_once():
    page = Page("red hat", "red")
    page.settings.set(find("red hat", "hat"), {"weight": 3.0})
    page.put(3, 4, "")
    page.cursor = 6
    page.backspace(6)
    page.settings.follow("redhat", 6)
    page.settings.follow("red hat", 4)
    assert page.set == ["red ×2", "hat ×3"]


# What is shown and sent


def test_chips_and_entries():
    page = Page("a man with a beard, and a hat", "beard")
    page.settings.set(find(page.settings.prompt, "hat"), {"weight": 0.25})
    page.settings.set(find(page.settings.prompt, "man"), {"until": 0.5})
    page.settings.set(find(page.settings.prompt, "beard"), {"until": 0.5})
    chips = page.settings.chips()
    assert [chip.label for chip in chips] == [
        "a", "man •", "with", "a", "beard ×2", "and", "a", "hat ×0.25"]  # fmt: skip
    assert chips[4].about == "Weight: 2, Until: 0.5"
    assert page.settings.value() == [
        {"text": "man", "which": 1, "weight": 1.0, "until": 0.5},
        {"text": "beard", "which": 1, "weight": 2.0, "until": 0.5},
        {"text": "hat", "which": 1, "weight": 0.25, "until": 1.0},
    ]


def test_a_word_with_nothing_but_defaults_has_no_entry():
    settings = Page("a hat", "hat").settings
    assert settings.value() == [{"text": "hat", "which": 1, "weight": 2.0, "until": 1.0}]
    settings.set(find("a hat", "hat"), {"weight": 1.0 + 1e-9})
    assert settings.value() == []


def test_a_full_group_takes_no_more_and_says_so():
    settings = Page("a b c d", "a", "b", "c").settings
    assert not settings.set(find("a b c d", "d"), {"weight": 2.0})
    assert [entry["text"] for entry in settings.value()] == ["a", "b", "c"]
    assert settings.set(find("a b c d", "a"), {"weight": 3.0})


def test_where_nothing_can_be_set_the_entries_are_a_list():
    settings = WordSettings(LIST, "a hat")
    assert settings.is_list
    (listed,) = settings.settings
    settings.set(find("a hat", "hat"), {listed.key: True})
    assert settings.value() == [{"text": "hat", "which": 1}]
    assert [chip.label for chip in settings.chips()] == ["a", "hat ✓"]
    settings.reset(find("a hat", "hat"))
    assert settings.value() == []
    settings.load([{"text": "a", "which": 1}])
    assert settings.value() == [{"text": "a", "which": 1}]


def test_entries_are_loaded_and_those_without_a_word_wait_for_it():
    settings = WordSettings(GROUP, "a hat, a hat")
    settings.load(
        [{"text": "Hat", "which": 2, "weight": 3.0, "until": 1.0}, {"text": "beard", "weight": 2.0}]
    )
    assert settings.value() == [{"text": "hat", "which": 2, "weight": 3.0, "until": 1.0}]
    settings.follow("a hat, a hat and a beard", 24)
    assert [chip.label for chip in settings.chips() if chip.is_set] == ["hat ×3", "beard ×2"]


def test_of_two_entries_for_one_word_the_last_counts():
    entries = [{"text": text, "weight": w} for text, w in (("caf\u00e9", 2.0), ("cafe\u0301", 3.0))]
    settings = WordSettings(GROUP, "a caf\u00e9", entries)
    assert settings.value() == [{"text": "caf\u00e9", "which": 1, "weight": 3.0, "until": 1.0}]


def test_a_phrase_of_saved_entries_is_one_chip():
    settings = WordSettings(GROUP, "a red hat, a red hat", [{"text": "Red hat", "which": 2, "weight": 2.0}])
    assert [chip.word.text for chip in settings.chips()] == ["a", "red", "hat", "a", "red hat"]
    assert settings.value() == [{"text": "red hat", "which": 2, "weight": 2.0, "until": 1.0}]


def test_the_chosen_word_stays_chosen_while_it_is_written_otherwise_and_no_longer():
    page = Page("a big hat")
    page.settings.choose(find("a big hat", "big"))
    assert page.settings.chosen().word.text == "big"
    page.after("big").type("gest")
    assert page.settings.chosen().word.text == "biggest"
    page.delete("biggest ")
    assert page.settings.chosen() is None
    page.undo()
    assert page.settings.chosen() is None and page.settings.value() == []


# Whatever is typed

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
