"""Earlier prompts, and words for the one that is being typed."""

import json
import os

from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.prompt_history import MAX_PROMPTS, MOST, PromptHistory, complete
from velatura_protocol.requests import MAX_PROMPT

TEXTS = st.text(max_size=40)


def test_the_newest_prompt_is_first_and_each_is_there_once(tmp_path):
    one, other = PromptHistory(tmp_path / "state"), PromptHistory(tmp_path / "state")
    one.add("a hat")
    other.add(" a long Beard ")
    one.add("a hat")
    assert one.prompts() == other.prompts() == ["a hat", "a long Beard"]
    assert one.prompts("beard LONG") == ["a long Beard"] and one.prompts("beard hat") == []
    assert one.path.stat().st_mode & 0o077 == 0 or os.name == "nt"
    one.remove("a hat")
    assert other.prompts() == ["a long Beard"]
    one.clear()
    assert other.prompts() == [] and [path.name for path in one.path.parent.iterdir()] == ["prompts.json"]


def test_there_are_no_more_than_the_limit(tmp_path):
    history = PromptHistory(tmp_path)
    history.path.write_text(json.dumps([f"number {i}" for i in range(MAX_PROMPTS)]))
    history.add("newest")
    assert len(history.prompts()) == MAX_PROMPTS
    assert history.prompts()[:2] == ["newest", "number 0"]
    history.add("x" * (MAX_PROMPT + 1))
    history.add("  ")
    assert history.prompts()[0] == "newest"


@given(st.binary(max_size=60) | st.recursive(st.none() | st.integers() | TEXTS, st.lists, max_leaves=6))
def test_any_file_gives_prompts_and_takes_one_more(tmp_path_factory, content):
    history = PromptHistory(tmp_path_factory.mktemp("state"))
    history.path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    assert all(isinstance(prompt, str) for prompt in history.prompts())
    history.add("a hat")
    assert history.prompts()[0] == "a hat"


def test_a_folder_that_cannot_be_written_costs_nothing_else(tmp_path):
    (tmp_path / "state").write_text("a file")
    history = PromptHistory(tmp_path / "state")
    history.add("a hat")
    assert history.prompts() == []


def test_own_words_come_before_the_models():
    found = complete(
        "a woman with be", 15, ["a Beagle", "the best"], ["beard", "beautiful", "best", "be", "a"]
    )
    assert (found.start, found.end) == (13, 15)
    assert found.words == ["Beagle", "best", "beard", "beautiful"]
    assert found.applied("a woman with be", "beard") == ("a woman with beard", 18)


def test_nothing_is_offered_within_a_word_or_for_one_letter():
    assert complete("beard", 3, [], ["beautiful"]).words == []
    assert complete("b", 1, [], ["beautiful"]).words == []
    assert complete("be ", 3, [], ["beautiful"]).words == []
    assert complete("", 0, [], ["beautiful"]).words == []


@given(TEXTS, st.integers(-3, 45), st.lists(TEXTS, max_size=4), st.lists(TEXTS, max_size=20))
def test_every_offer_goes_on_from_what_is_typed(prompt, cursor, prompts, vocabulary):
    found = complete(prompt, cursor, prompts, vocabulary)
    assert len(found.words) == len(set(found.words)) <= MOST
    for word in found.words:
        text, place = found.applied(prompt, word)
        assert text[: found.start] == prompt[: found.start] and text[place:] == prompt[cursor:]
        assert found.end == cursor and text[found.start : place] == word
