"""Words and tokens of prompts, whatever people type."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

import velatura
from tests.tiny import tiny_tokenizer
from velatura.models.clip_tokens import tokenized
from velatura.prompt_to_prompt.prompt import Tokens, find, find_all, governed, indices, tokens, words
from velatura_protocol.errors import VelaturaError

BUNDLES = Path(velatura.__file__).parent / "bundles"
FOLDERS = {
    "mini": BUNDLES / "velatura-mini" / "tokenizer",
    "clip": BUNDLES / "velatura-clip",
    "letters": None,
}
ROOM = 1500  # tokens, more than any prompt here has

PIECES = [
    "cat",
    "Cat,",
    "don't",
    "red-hot",
    "x9",
    "Café",
    "Cafe\u0301",
    "q\u0307\u0323",
    "A\u030a\u0323",
    "Å",
    "ŕ",
]
PIECES += [
    "ﬁsh",
    "İ",
    "ẞ",
    "ΑΣ",
    "\u1100\u1161\u11a8",
    "각",
    "\u0958",
    "कि",
    "\U0001f600",
    "\U0001f468\u200d\U0001f469",
]
PIECES += [
    " ",
    "  ",
    "\t",
    "\n",
    "\u00a0",
    "\u2028",
    "\u3000",
    "\x1c",
    "'s",
    "’",
    "--",
    "…",
    "!?",
    "_",
    "\u200b",
    "e\u0331",
]
TYPED = st.lists(st.sampled_from(PIECES) | st.characters(codec="utf-8"), max_size=12).map("".join)


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    """Reads every byte as a token."""
    return CLIPTokenizer.from_pretrained(tiny_tokenizer(tmp_path_factory.mktemp("letters")))


@pytest.fixture(scope="module", params=FOLDERS)
def tokenizer(request, letters):
    folder = FOLDERS[request.param]
    return CLIPTokenizer.from_pretrained(folder) if folder else letters


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a  Cat, a cat", [("a", 0, 1), ("Cat", 3, 1), ("a", 8, 2), ("cat", 10, 2)]),
        ("a man's well-known hat", [("a", 0, 1), ("man's", 2, 1), ("well-known", 8, 1), ("hat", 19, 1)]),
        ("Cafe\u0301s, café", [("Cafe\u0301s", 0, 1), ("café", 8, 1)]),
        ("café cafe\u0301", [("café", 0, 1), ("cafe\u0301", 5, 2)]),
        ("a\u0f73\u0325 b", [("a\u0f73\u0325", 0, 1), ("b", 4, 1)]),  # the ring goes to the a, past the rest
        ("-- !?", []),
        ("", []),
    ],
)
def test_words_stand_where_they_were_typed(prompt, found):
    assert [(word.text, word.start, word.which) for word in words(prompt)] == found


@given(TYPED)
def test_every_word_is_found_again_by_its_text(prompt):
    ends = [0]
    for word in words(prompt):
        assert prompt[word.start : word.end] == word.text
        assert ends[-1] <= word.start < word.end
        for text in (word.text, normalize("NFC", word.text), normalize("NFD", word.text)):
            assert find(prompt, text, word.which) == word
        ends.append(word.end)


@pytest.mark.parametrize(
    ("text", "which", "span"),
    [
        ("blond hair", 1, (2, 12)),
        ("Blond, HAIR!", 1, (2, 12)),
        ("blond hair", 2, (17, 30)),
        ("hair", 3, (31, 35)),
        ("café", 1, (38, 43)),
    ],
)
def test_phrases_are_found_whatever_stands_between_their_words(text, which, span):
    word = find("a blond hair and Blond,\t\n hair hair, (Cafe\u0301)", text, which)
    assert (word.start, word.end, word.which) == (*span, which)


@pytest.mark.parametrize(
    ("text", "which", "sentence"),
    [
        ("dog", 1, "The prompt has no 'dog'; write it into the prompt or name one of its words."),
        ("at", 1, "The prompt has no 'at'; write it into the prompt or name one of its words."),
        ("hat", 2, "'hat' stands once in the prompt; choose number 1, not 2."),
        ("cat", 3, "'cat' stands 2 times in the prompt; choose number 1 to 2, not 3."),
        ("cat", 0, "'cat' stands 2 times in the prompt; choose number 1 to 2, not 0."),
        ("cat hat", 1, "The prompt has no 'cat hat'; write it into the prompt or name one of its words."),
        ("?!", 1, "'?!' is no word; name one of the prompt's words."),
        ("", 1, "'' is no word; name one of the prompt's words."),
    ],
)
def test_what_is_not_there_is_refused_with_a_sentence(text, which, sentence):
    with pytest.raises(VelaturaError) as refused:
        find("a Cat, a cat with a hat", text, which)
    assert (refused.value.code, refused.value.message) == ("bad-request", sentence)


def test_every_place_of_a_word_is_found_and_none_where_there_is_none():
    assert [(word.start, word.which) for word in find_all("A cat, a Cat's cat. CAT", "cat")] == [
        (2, 1),
        (15, 2),
        (20, 3),
    ]
    assert [word.start for word in find_all("a cat a cat a", "a  cat")] == [0, 6]
    assert find_all("a cat", "dog") == find_all("a cat", "...") == []


@pytest.mark.parametrize(
    ("prompt", "word", "phrase"),
    [
        ("a man without a beard", "without", "without a beard"),
        ("a man With a long  beard, in a park", "with", "With a long  beard"),
        ("a man with a cup of tea on a hill", "with", "with a cup of tea"),
        ("a man with a beard and a hat", "with", "with a beard"),
        ("a man with no beard", "no", "no beard"),
        ("a man with no beard", "with", "with no beard"),
        ("a man with a beard", "beard", "beard"),
        ("a man with", "with", "with"),
        ("a man with, perhaps, a beard", "with", "with"),
        ("out of a house", "out", "out of a house"),
    ],
)
def test_a_preposition_governs_the_phrase_behind_it(prompt, word, phrase):
    place = find(prompt, word)
    start, end = governed(prompt, (place.start, place.end))
    assert prompt[start:end] == phrase


@given(prompt=TYPED)
def test_what_is_governed_begins_where_the_span_does_and_ends_with_a_word(prompt):
    for word in words(prompt):
        start, end = governed(prompt, (word.start, word.end))
        assert start == word.start and end in {other.end for other in words(prompt) if other.end >= word.end}


def test_marks_and_padding_are_told_apart_from_content(letters):
    read = tokens(tokenized(letters, "a cat", 9), "a cat")
    assert (list(read.content), list(read.marks), list(read.padding)) == ([1, 2, 3, 4], [5], [6, 7, 8])
    assert read.ids == letters("a cat", padding="max_length", max_length=9).input_ids
    assert read.spans == [(0, 0), (0, 1), (2, 3), (3, 4), (4, 5), (0, 0), (0, 0), (0, 0), (0, 0)]
    assert tokens(tokenized(letters, "", 2), "") == Tokens([512, 513], [(0, 0), (0, 0)], range(1, 1))
    assert not tokens(tokenized(letters, "a cat", 6), "a cat").padding


@pytest.mark.parametrize(
    ("prompt", "word", "span"),
    [
        ("Cafe\u0301 noir", "Café", (0, 5)),  # the tokenizer says (0, 4)
        ("q\u0307\u0323 x", "q", (0, 3)),  # the marks change places
        ("\u1100\u1161\u11a8 cat", "각", (0, 3)),
        ("a  \t\n CAT,", "cat", (6, 9)),
        ("\U0001f600 cat", "cat", (2, 5)),
        ("ﬁsh", "ﬁsh", (0, 3)),
    ],
)
def test_a_words_tokens_are_all_that_were_read_from_it(tokenizer, prompt, word, span):
    read = tokens(tokenized(tokenizer, prompt, 40), prompt)
    found = find(prompt, word)
    assert (found.start, found.end) == span
    spans = [read.spans[i] for i in indices(read, span)]
    assert (spans[0][0], spans[-1][1]) == span


@given(prompt=TYPED)
@example("<|endoftext|> cat")
@example("<|EndOfText|>\u0338 ’s 's")
def test_every_word_has_tokens_and_they_are_its_own(tokenizer, prompt):
    read = tokens(tokenized(tokenizer, prompt, ROOM), prompt)
    assert read.length == ROOM
    assert read.content.stop + len(read.padding) + 1 == ROOM
    spans = [read.spans[i] for i in read.content]
    assert spans == sorted(spans)
    assert all(0 <= start < end <= len(prompt) for start, end in spans)
    for word in words(prompt):
        found = indices(read, (word.start, word.end))
        assert found == list(range(found[0], found[-1] + 1))
        if "<|" not in prompt:  # a mark that is typed is read as a mark
            start, end = read.spans[found[0]][0], read.spans[found[-1]][1]
            assert start <= word.start < word.end <= end
            said = tokenizer.decode([read.ids[i] for i in found], clean_up_tokenization_spaces=False)
            assert said.replace(" ", "") == _lower(prompt[start:end])


@given(prompt=TYPED)
def test_nothing_that_is_seen_goes_unread(tokenizer, prompt):
    read = tokens(tokenized(tokenizer, prompt, ROOM), prompt)
    seen = {i for start, end in (read.spans[k] for k in read.content) for i in range(start, end)}
    assert not [c for i, c in enumerate(prompt) if i not in seen and not c.isspace()]


def _lower(text):
    return "".join(letter.lower() for letter in normalize("NFC", text))
