"""What is set for a word stays with it while the prompt is edited."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.krita.schemas import FIND, WEIGH
from velatura_protocol.words import find

pytestmark = pytest.mark.usefixtures("plugin")


def wording(prompt="", entries=(), method=WEIGH):
    from velatura_krita.velatura_protocol.schema import fields_from_schema
    from velatura_krita.wording import Wording

    made = Wording(next(f for f in fields_from_schema(method["parameters"]) if f.words))
    made.follow(prompt)
    made.load([dict(entry) for entry in entries])
    return made


def entry(text, weight=2.0, which=1):
    return {"text": text, "which": which, "weight": weight, "until": 1.0}


def type_in(made, text, at):
    """Key by key, as a person types."""
    for character in text:
        made.follow(made.prompt[:at] + character + made.prompt[at:], at + 1)
        at += 1


def test_an_equal_word_typed_before_the_first_leaves_it_its_settings():
    made = wording("cat on a chair", [entry("cat")])
    type_in(made, "cat and ", 0)
    assert made.prompt == "cat and cat on a chair"
    assert made.entries() == [entry("cat", which=2)]


def test_an_equal_word_typed_after_takes_nothing():
    made = wording("a cat", [entry("cat")])
    type_in(made, " cat", 5)
    assert made.entries() == [entry("cat")]


def test_an_equal_word_removed_before_counts_down():
    made = wording("cat and cat", [entry("cat", which=2)])
    made.follow("cat", 0)
    assert made.entries() == [entry("cat")]


def test_a_word_whose_spelling_is_put_right_keeps_its_settings():
    made = wording("a berd", [entry("berd")])
    type_in(made, "a", 4)
    assert made.entries() == [entry("beard")]


def test_a_word_that_is_deleted_loses_them():
    made = wording("a man with a beard", [entry("beard"), entry("man", 0.5)])
    made.follow("a man", 5)
    assert made.entries() == [entry("man", 0.5)]


def test_another_prompt_altogether():
    made = wording("a man with a beard", [entry("beard")])
    made.follow("two dogs", 0)
    assert made.entries() == []


def test_several_words_for_which_one_thing_is_set_are_one_piece():
    made = wording("a red hat, a red hat", [entry("Red hat", which=2)])
    assert [p.word.text for p in made.pieces()] == ["a", "red", "hat", "a", "red hat"]
    assert made.entries() == [entry("red hat", which=2)]


def test_swap_add_and_remove():
    made = wording("a man with a beard, old", [entry("beard")])
    made.swap(find(made.prompt, "beard"), "moustache")
    assert made.prompt == "a man with a moustache, old" and made.entries() == [entry("moustache")]
    made.add(find(made.prompt, "moustache"), "long", before=True)
    made.add(find(made.prompt, "moustache"), "indeed", before=False)
    assert made.prompt == "a man with a long moustache indeed, old" and made.entries() == [entry("moustache")]
    made.remove(find(made.prompt, "indeed"))
    made.remove(find(made.prompt, "a"))
    assert made.prompt == "man with a long moustache, old" and made.entries() == [entry("moustache")]
    made.remove(find(made.prompt, "moustache"))
    assert made.prompt == "man with a long, old" and made.entries() == []
    made.remove(find(made.prompt, "old"))
    assert made.prompt == "man with a long,"


def test_what_is_as_it_was_is_no_entry_and_the_group_has_an_end():
    made = wording("a b c d e", [entry(w) for w in "abcde"])
    assert [e["text"] for e in made.entries()] == ["a", "b", "c"]
    made.marks[0].values = made.defaults()
    assert [e["text"] for e in made.entries()] == ["b", "c", "d"]


def test_words_for_which_nothing_can_be_set_are_listed():
    made = wording("a cat", [{"text": "cat"}], FIND)
    assert made.entries() == [{"text": "cat", "which": 1}]
    made.mark(find("a cat", "a")).values = {"listed": True}
    assert made.entries() == [{"text": "a", "which": 1}, {"text": "cat", "which": 1}]


def test_two_marked_words_that_become_one_and_two_again():
    made = wording("red hat", [entry("red"), entry("hat", 3.0)])
    made.follow("redhat", 3)
    assert made.entries() == [entry("redhat")]
    made.follow("red hat", 4)
    assert made.entries() == [entry("red"), entry("hat", 3.0)]


def test_an_accent_belongs_to_its_word_however_it_is_typed():
    apart, together = "cafe\u0301", "caf\u00e9"
    made = wording(f"a {apart}, a {together}", [entry(together, which=2), entry(apart, 3.0)])
    assert [p.word.text for p in made.pieces()] == ["a", apart, "a", together]
    assert made.entries() == [entry(apart, 3.0), entry(together, which=2)]
    made = wording("a cafe", [entry("cafe")])
    type_in(made, "\u0301 au lait", 6)
    assert made.entries() == [entry(apart)]
    made.follow(f"a {together} au lait", 6)  # put together by what the person types with
    assert made.entries() == [entry(together)]
    made.remove(find(made.prompt, apart))
    assert made.prompt == "a au lait" and made.entries() == []


TEXTS = st.text(alphabet="ab ,é😀\u0301", max_size=12)


@given(TEXTS, TEXTS, st.integers(-1, 13))
def test_a_difference_explains_the_edit(plugin, old, new, cursor):
    from velatura_krita.wording import difference

    start, old_end, new_end = difference(old, new, min(cursor, len(new)))
    assert 0 <= start <= old_end <= len(old) and start <= new_end <= len(new)
    assert old[:start] + new[start:new_end] + old[old_end:] == new


@given(st.lists(st.tuples(TEXTS, st.integers(-1, 12)), min_size=1, max_size=6), st.data())
def test_whatever_is_typed_every_entry_is_about_a_word_of_the_prompt(plugin, edits, data):
    made = wording("a b ab")
    for text, cursor in edits:
        for piece in made.pieces():
            if data.draw(st.booleans()):
                made.mark(piece.word).values = {"weight": 2.0, "until": 1.0}
        made.follow(text, min(cursor, len(text)))
        found = [find(made.prompt, e["text"], e["which"]) for e in made.entries()]
        assert all(found) and len({word.start for word in found}) == len(found)


@given(TEXTS, st.integers(0, 12))
def test_qt_counts_otherwise(plugin, text, count):
    from velatura_krita.words import characters, units

    count = min(count, len(text))
    assert characters(text, units(text, count)) == count
