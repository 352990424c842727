"""The two captions of a dial, from as little as a person writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.flow.texts import of_dial
from velatura_protocol.errors import VelaturaError
from velatura_protocol.words import find, words

MAN = "a photo of a smiling man with tan skin, short brown hair, glasses and a grey beard"
HOUSE = "a photo of a house with trees on a hill"


@pytest.mark.parametrize(
    ("less", "more", "changed"),
    [
        ("short", "long", MAN.replace("short", "long")),
        ("brown", "orange", MAN.replace("brown", "orange")),
        ("grey beard", "orange beard", MAN.replace("a grey", "an orange")),
        ("short brown hair", "no hair", MAN.replace("short brown hair", "no hair")),
        ("beard", "", MAN.replace(" and a grey beard", "")),
        ("grey beard", "", MAN.replace(" and a grey beard", "")),
        ("glasses", "", MAN.replace(", glasses and", " and")),
        ("tan skin", "", MAN.replace("tan skin, ", "")),
        ("smiling", "", MAN.replace("smiling ", "")),
    ],
)
def test_words_of_the_caption_give_way_to_others_or_are_taken_out(less, more, changed):
    assert of_dial(MAN, less, more) == (MAN, changed)
    if not more:  # more of a word that the caption has is less of it the other way round
        assert of_dial(MAN, "", less) == (changed, MAN)


def test_places_of_a_caption_are_taken_out_whole():
    assert of_dial(HOUSE, "trees", "").toward == "a photo of a house on a hill"
    assert of_dial(HOUSE, "hill", "").toward == "a photo of a house"
    assert of_dial("an owl, a cat and a dog", "cat", "").toward == "an owl and a dog"
    assert of_dial("an owl, a cat and a dog", "dog", "").toward == "an owl, a cat"
    assert of_dial("a smiling owl", "smiling", "").toward == "an owl"


def test_what_the_caption_lacks_is_added_and_opposites_are_both_added():
    assert of_dial(HOUSE, "", "deep snow") == (HOUSE, HOUSE + ", deep snow")
    assert of_dial(HOUSE + ".", "by day", "at night") == (HOUSE + ", by day", HOUSE + ", at night")
    assert of_dial(HOUSE, "by day", "") == (HOUSE + ", by day", HOUSE)


def test_whole_captions_stay_whole():
    castle = "a photo of a castle with trees on a hill"
    assert of_dial(HOUSE, "", castle) == (HOUSE, castle)
    assert of_dial(HOUSE, castle, "a photo of a barn with trees on a hill").away == castle


def test_only_the_article_before_the_changed_place_follows_it():
    assert of_dial("a man with a unicorn", "man", "elephant").toward == "an elephant with a unicorn"
    assert (
        of_dial("um homem olhando para a esquerda", "homem", "urso").toward
        == "um urso olhando para a esquerda"
    )
    assert of_dial("an user with an hat", "user", "cat").toward == "a cat with an hat"
    assert of_dial("A cat", "cat", "owl").toward == "An owl"


def test_signs_without_words_are_nothing():
    assert of_dial(HOUSE, "...", "deep snow") == of_dial(HOUSE, "", "deep snow")
    assert of_dial(HOUSE, "trees", " - ") == of_dial(HOUSE, "trees", "")


@pytest.mark.parametrize(("less", "more"), [("", ""), (" ", "\n"), ("", "…"), ("-", ",")])
def test_a_dial_without_words_is_refused(less, more):
    with pytest.raises(VelaturaError, match="write what there should be more of") as refused:
        of_dial(HOUSE, less, more)
    assert refused.value.code == "bad-request"


TEXT = st.text(st.sampled_from("ab ,.-'äΩ\n"), max_size=24) | st.sampled_from([MAN, HOUSE, "beard", "hill"])


@given(TEXT, TEXT, TEXT)
def test_whatever_is_typed_gives_two_texts_or_one_sentence(caption, less, more):
    try:
        away, toward = of_dial(caption, less, more)
    except VelaturaError:
        assert not words(less) and not words(more)
        return
    assert words(away) or words(toward)


@given(st.sampled_from([word.text for word in words(MAN)]))
def test_a_word_that_is_taken_out_is_gone_and_the_others_stay(word):
    away, toward = of_dial(MAN, word, "")
    assert away == MAN and len(words(toward)) < len(words(MAN))
    if find(MAN, word, 2) is None:
        assert find(toward, word) is None
    kept = iter(w.text for w in words(MAN))
    assert all(any(w.text in (other, "a", "an") for other in kept) for w in words(toward))
