"""The order in which hosts lay a result's layers, and what they read of its texts."""

import itertools
from unicodedata import is_normalized

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.results import MAX_TEXT, best_because, best_first, one_line, texts


@pytest.mark.parametrize("ranks", list(itertools.permutations(range(3))))
def test_the_best_comes_first(ranks):
    layers = [{"index": i, "rank": rank} for i, rank in enumerate(ranks)]
    assert [layer["rank"] for layer in best_first(layers)] == [0, 1, 2]
    assert [layer["index"] for layer in layers] == [0, 1, 2]


@pytest.mark.parametrize(
    "ranks",
    [
        [None, None],  # an older daemon
        [1, None],
        [0, 0],
        [1, 2],
        [1.0, 0.0],
        [True, False],
        ["1", "0"],
    ],
)
def test_what_is_not_ranked_as_specified_keeps_its_order(ranks):
    layers = [{"index": i} | ({} if rank is None else {"rank": rank}) for i, rank in enumerate(ranks)]
    assert best_first(layers) == layers


def test_nothing():
    assert best_first([]) == []


def test_masks_keep_the_methods_order():
    masks = [{"index": i, "kind": "mask", "title": title} for i, title in enumerate(("cat", "a"))]
    assert best_first(masks) == masks


@pytest.mark.parametrize(
    ("result", "read"),
    [
        ({"layers": []}, []),  # a draft of another method, an older daemon
        ({"layers": [], "texts": ["a cat", "a cat on a chair"]}, ["a cat", "a cat on a chair"]),
        ({"texts": ["a\ncat\u2028on  a\tchair ", "", " \n", 7, None, "e\u0301"]}, ["a cat on a chair", "é"]),
        ({"texts": "a cat"}, []),
        ({"texts": None}, []),
    ],
)
def test_texts_are_lines(result, read):
    assert texts(result) == read


@given(st.text() | st.text("a \n\u0301", min_size=MAX_TEXT - 5, max_size=3 * MAX_TEXT))
def test_any_text_becomes_a_line(text):
    line = one_line(text)
    assert len(line) <= MAX_TEXT and len(line.splitlines()) <= 1
    assert is_normalized("NFC", line) and line == line.strip() and one_line(line) == line


def test_why_the_best_lies_on_top():
    last = {"index": 0, "rank": 1, "why": "may miss the prompt"}
    layers = [last, {"index": 1, "rank": 0, "why": "cleanest edge"}]
    assert best_because(layers) == "Variation 2 lies on top: cleanest edge."


@pytest.mark.parametrize("best", [{}, {"why": ""}, {"why": 3}, {"why": "good", "index": "1"}])
def test_no_reason_is_no_sentence(best):
    assert best_because([{"index": 0, "rank": 0} | best, {"index": 1, "rank": 1}]) == ""
    assert best_because([]) == ""
