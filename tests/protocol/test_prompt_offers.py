"""The list below a prompt: words, earlier prompts, and the keys on it."""

import pytest

from velatura_protocol.prompt_history import PromptHistory
from velatura_protocol.prompt_offers import PromptOffers


@pytest.fixture
def offers(tmp_path):
    history = PromptHistory(tmp_path)
    for prompt in ("a red hat", "a bearded man", "a hat"):
        history.add(prompt)
    offers = PromptOffers(history)
    offers.vocabulary = ["beach", "bear", "beard"]
    offers.enter()
    return offers


def test_a_word_is_completed_where_it_is_typed(offers):
    assert offers.typed("a be with a hat", 4) == ["bearded", "beach", "bear", "beard"]
    assert offers.take("a be with a hat") is None  # nothing is chosen: Return keeps its meaning
    offers.move(1)
    offers.move(1)
    assert offers.texts[offers.chosen] == "beach"
    assert offers.take("a be with a hat") == ("a beach with a hat", 7)
    assert offers.texts == [] and offers.chosen is None and offers.take("a be") is None


def test_the_choice_goes_round_by_way_of_none(offers):
    offers.typed("a be", 4)
    seen = []
    for by in (-1, 1, 1, -1):
        offers.move(by)
        seen.append(offers.chosen)
    assert seen == [3, None, 0, None]
    offers.move(1)
    assert offers.typed("a bea", 5) and offers.chosen is None  # what is typed chooses nothing
    assert offers.typed("a bea ", 6) == []
    offers.move(1)
    assert offers.chosen is None


def test_earlier_prompts_take_the_place_of_the_whole(offers):
    assert offers.earlier("") == ["a hat", "a bearded man", "a red hat"] and offers.are_prompts
    assert offers.earlier("hat") == ["a hat", "a red hat"]
    assert offers.earlier("a hat") == ["a red hat"]
    assert offers.take("a hat", 0) == ("a red hat", 9)
    assert not offers.are_prompts
    assert offers.earlier("snow") == []
