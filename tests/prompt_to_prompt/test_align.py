"""Alignments of prompts: by hand where one can, and laws that all of them keep."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import CLIPTokenizer

import velatura
from tests.tiny import tiny_tokenizer
from velatura.models.clip_tokens import tokenized
from velatura.prompt_to_prompt.align import align, changed
from velatura.prompt_to_prompt.prompt import find, indices, tokens, words

SHIPPED = Path(velatura.__file__).parent / "bundles" / "velatura-mini" / "tokenizer"
ROOM = 160

WORDS = ["a", "cat", "Cat", "dog", "red", "smiling", "man's", "straße", "strasse", "Café", "Cafe\u0301", "x9"]
WORDS += [",", ", ", "  ", "\n", "!?", "…", "\U0001f600", "-", "'s"]
PROMPTS = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.lists(st.sampled_from(WORDS)).map(
    lambda pieces: "".join(pieces)[:60]
)
MODES = st.sampled_from(["swap", "refine"])


@pytest.fixture(scope="module", params=["mini", "letters"])
def tokenizer(request, tmp_path_factory):
    """The shipped one, which has words of one token and of several, and one that reads letter by letter."""
    folder = SHIPPED if request.param == "mini" else tiny_tokenizer(tmp_path_factory.mktemp("letters"))
    return CLIPTokenizer.from_pretrained(folder)


class Pair:
    """Two prompts and their alignment."""

    def __init__(self, tokenizer, source, target, replaced="swap", room=ROOM):
        self.source, self.target = source, target
        self.s, self.t = (tokens(tokenized(tokenizer, prompt, room), prompt) for prompt in (source, target))
        self.found = align(source, self.s, target, self.t, replaced)
        self.A, self.alpha = self.found.A, self.found.alpha

    def said(self):
        """(replaced, inserted, deleted) in words."""
        found = self.found
        pairs = [(self.source[slice(*a)], self.target[slice(*b)]) for a, b in found.replaced]
        inserted = [self.target[slice(*span)] for span in found.inserted]
        return pairs, inserted, [self.source[slice(*span)] for span in found.deleted]

    def block(self, source, target, which=(1, 1)):
        """A where one word or phrase meets another, [n, m]."""
        a, b = find(self.source, source, which[0]), find(self.target, target, which[1])
        return self.A[indices(self.s, (a.start, a.end))][:, indices(self.t, (b.start, b.end))]


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("a red cat", "A  red, cat", ([], [","], [])),
        ("a cat on a mat", "a dog on a mat", ([("cat", "dog")], [], [])),
        ("a cat, on a mat", "a dog, on a mat", ([("cat", "dog")], [], [])),
        ("a cat on a mat", "a dog, on a mat", ([("cat", "dog")], [","], [])),
        ("a cat", "a smiling dog", ([("cat", "smiling dog")], [], [])),
        ("a big, red cat", "a dog", ([("big, red cat", "dog")], [], [])),
        ("an old cat!", "a young dog!", ([("an", "a"), ("old", "young"), ("cat", "dog")], [], [])),
        ("a man with a hat", "a man with glasses and a hat", ([], ["glasses and"], [])),
        ("a photo of a cat", "a cat", ([], [], ["photo of a"])),
        ("a cat", "a cat a cat", ([], ["a cat"], [])),
        ("red red hat", "red red red hat", ([], ["red"], [])),
        ("a cat; a dog", "a cow, a dog", ([("cat", "cow"), (";", ",")], [], [])),
        ("cat, dog", "cat and dog", ([(",", "and")], [], [])),
        ("a \U0001f600", "a smile", ([("\U0001f600", "smile")], [], [])),
        ("", "a cat", ([], ["a cat"], [])),
        ("a straße", "a strasse", ([("straße", "strasse")], [], [])),
    ],
)
def test_what_is_said_to_have_changed(tokenizer, source, target, said):
    assert Pair(tokenizer, source, target).said() == said


@pytest.mark.parametrize("source", ["a cat, a Cat", "", "Cafe\u0301  x"])
def test_the_same_words_are_the_identity(tokenizer, source):
    for target in (source, source.upper(), f" {source}\n"):
        pair = Pair(tokenizer, source, target)
        assert torch.equal(pair.A, torch.eye(ROOM))
        assert pair.alpha.all()
        assert not changed(pair.found)


def test_what_is_read_as_the_same_tokens_is_the_same(tokenizer):
    pair = Pair(tokenizer, "a 4 k cat's", "a 4k cat 's")
    assert torch.equal(pair.A, torch.eye(ROOM))
    assert not changed(pair.found)
    assert changed(Pair(tokenizer, "a cat", "a cat.").found)


def test_a_word_of_n_tokens_takes_n_one_by_one_and_m_share_their_sum(tokenizer):
    pair = Pair(tokenizer, "the cat, two cats and red", "the dog, two smiling and bright")
    assert torch.equal(pair.block("cat", "dog"), torch.eye(len(pair.block("cat", "dog"))))
    for both in (("cats", "smiling"), ("red", "bright")):
        block = pair.block(*both)
        n, m = block.shape
        assert torch.equal(block, torch.eye(n) if n == m else torch.full((n, m), 1 / m))


def test_more_words_together_take_the_maps_of_fewer(tokenizer):
    pair = Pair(tokenizer, "a cat sat", "a red and blue dog sat")
    block = pair.block("cat", "red and blue dog")
    assert torch.equal(block, torch.full(block.shape, 1 / block.shape[1]))
    assert pair.alpha.sum() == ROOM
    refined = Pair(tokenizer, "a cat sat", "a red and blue dog sat", "refine")
    assert not refined.block("cat", "red and blue dog").any()
    assert refined.alpha.sum() == ROOM - block.shape[1]
    assert refined.said() == pair.said()


def test_of_repeated_words_the_first_are_kept(tokenizer):
    """A causal text encoder reads them as before."""
    assert Pair(tokenizer, "a cat", "a cat a cat").found.inserted == [(6, 11)]
    assert Pair(tokenizer, "red red red hat", "red red hat").found.deleted == [(8, 11)]


def test_a_swap_that_changes_the_length_shifts_nothing_behind_it(tokenizer):
    """In the published code the later tokens take the maps of their neighbours."""
    pair = Pair(tokenizer, "a dog and a cat in the red grass", "a dog and a smiling man in the red grass")
    for word in ("dog", "in", "the", "red", "grass"):
        assert torch.equal(pair.block(word, word), torch.eye(len(pair.block(word, word))))
    assert pair.A[pair.s.content.stop, pair.t.content.stop] == 1.0
    assert torch.equal(pair.A[-20:, -20:], torch.eye(20))


def test_a_deletion_maps_no_padding_onto_content(tokenizer):
    """In the published code it does."""
    pair = Pair(tokenizer, "a smiling cat, a red dog", "a red dog")
    assert not pair.A[pair.s.content.stop :, : pair.t.content.stop].any()
    surplus = len(pair.t.padding) - len(pair.s.padding)
    assert surplus > 0
    assert not pair.alpha[list(pair.t.padding[:surplus])].any()
    assert pair.alpha.sum() == ROOM - surplus
    word = find(pair.source, "smiling")
    assert not pair.A[indices(pair.s, (word.start, word.end))].any()


def test_an_insertion_sums_the_padding_that_is_left_over(tokenizer):
    source, target = "a cat", "a red cat"
    pair = Pair(tokenizer, source, target)
    first, more = pair.t.padding[0], len(pair.s.padding) - len(pair.t.padding)
    assert pair.A[:, first].tolist() == [float(pair.s.content.stop < i <= first) for i in range(ROOM)]
    assert pair.A[:, first].sum() == more + 1
    full = Pair(tokenizer, source, target, room=pair.t.content.stop + 1)
    taken = [float(i >= full.s.content.stop) for i in range(full.s.length)]
    assert full.A[:, full.t.content.stop].tolist() == taken


def test_windows_of_different_length_end_together(tokenizer):
    s, t = (tokens(tokenized(tokenizer, "a cat", room), "a cat") for room in (30, 20))
    A = align("a cat", s, "a cat", t).A
    assert A.shape == (30, 20)
    assert torch.equal(A[: s.content.stop + 1, : s.content.stop + 1], torch.eye(s.content.stop + 1))
    assert torch.equal(A[-10:, -10:], torch.eye(10))


@given(source=PROMPTS, target=PROMPTS, mode=MODES)
def test_whole_maps_go_where_tokens_have_partners(tokenizer, source, target, mode):
    pair = Pair(tokenizer, source, target, mode)
    A, alpha, found = pair.A, pair.alpha, pair.found
    assert A.dtype == alpha.dtype == torch.float32
    assert set(alpha.tolist()) <= {0.0, 1.0}
    assert torch.equal(A.sum(0) > 0.0, alpha == 1.0)
    assert (A >= 0.0).all()
    own = list(found.inserted) + [b for _, b in found.replaced if mode == "refine"]
    gone = list(found.deleted) + [a for a, _ in found.replaced if mode == "refine"]
    rows = torch.ones(ROOM)
    rows[[i for span in gone for i in indices(pair.s, span)]] = 0.0
    torch.testing.assert_close(A.sum(1), rows)
    columns = torch.ones(ROOM)
    columns[[i for span in own for i in indices(pair.t, span)]] = 0.0
    columns[list(pair.t.padding)[: max(0, len(pair.t.padding) - len(pair.s.padding))]] = 0.0
    assert torch.equal(alpha, columns)
    kinds = [
        [1] * prompt.content.start + [2] * len(prompt.content) + [3] * (len(prompt.padding) + 1)
        for prompt in (pair.s, pair.t)
    ]
    i, j = A.nonzero(as_tuple=True)
    assert [kinds[0][k] for k in i] == [kinds[1][k] for k in j]


@given(source=PROMPTS, target=PROMPTS)
@example("a cat dog", "dog cat a")
def test_the_other_way_round_is_the_same_alignment(tokenizer, source, target):
    there, back = Pair(tokenizer, source, target), Pair(tokenizer, target, source)
    assert [(b, a) for a, b in there.found.replaced] == back.found.replaced
    assert (there.found.inserted, there.found.deleted) == (back.found.deleted, back.found.inserted)
    assert changed(there.found) == changed(back.found) == (there.s.ids != there.t.ids)
    s, t = (slice(prompt.content.start - 1, prompt.content.stop + 1) for prompt in (there.s, there.t))
    assert torch.equal(there.A[s, t] > 0.0, (back.A[t, s] > 0.0).T)


@given(prompt=PROMPTS, mode=MODES)
def test_a_prompt_aligned_with_itself_is_unchanged(tokenizer, prompt, mode):
    pair = Pair(tokenizer, prompt, prompt, mode)
    assert torch.equal(pair.A, torch.eye(ROOM))
    assert not changed(pair.found)


@given(source=PROMPTS, target=PROMPTS)
def test_spans_lie_in_order_and_apart(tokenizer, source, target):
    found = Pair(tokenizer, source, target).found
    for prompt, spans in (
        (source, [a for a, _ in found.replaced] + found.deleted),
        (target, [b for _, b in found.replaced] + found.inserted),
    ):
        flat = [edge for span in sorted(spans) for edge in span]
        assert flat == sorted(flat)
        assert all(prompt[start:end].strip() for start, end in spans)
    for spans in (found.replaced, found.inserted, found.deleted):
        assert spans == sorted(spans)


PLAIN = st.lists(st.sampled_from(["a", "cat", "dog", "red", "and"]), max_size=7)


@given(source=PLAIN, target=PLAIN)
def test_as_many_words_as_can_be_are_kept_and_in_as_few_pieces(tokenizer, source, target):
    """Against trying everything."""

    @cache
    def best(i, j, skipping):
        ways = [(0, 0)] if i == len(source) and j == len(target) else []
        if i < len(source):
            kept, places = best(i + 1, j, True)
            ways.append((kept, places - (not skipping)))
        if j < len(target):
            kept, places = best(i, j + 1, True)
            ways.append((kept, places - (not skipping)))
        if i < len(source) and j < len(target) and source[i] == target[j]:
            kept, places = best(i + 1, j + 1, False)
            ways.append((kept + 1, places))
        return max(ways)

    pair = Pair(tokenizer, " ".join(source), " ".join(target))
    replaced = pair.found.replaced
    of_s = _left(pair.source, [a for a, _ in replaced] + pair.found.deleted)
    of_t = _left(pair.target, [b for _, b in replaced] + pair.found.inserted)
    assert [source[i] for i in of_s] == [target[j] for j in of_t]
    steps = pairwise([(-1, -1), *zip(of_s, of_t, strict=True), (len(source), len(target))])
    places = sum((p, q) != (i + 1, j + 1) for (i, j), (p, q) in steps)
    assert (len(of_s), -places) == best(0, 0, False)


def _left(prompt, spans):
    """Indices of the words outside all spans."""
    return [
        i
        for i, word in enumerate(words(prompt))
        if not any(start <= word.start < end for start, end in spans)
    ]
