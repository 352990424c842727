"""From captions and settings to the tensors of an edit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from velatura.prompt_to_prompt.plan import Settings, WordSetting, plan
from velatura.prompt_to_prompt.prompt import find, indices, tokens
from velatura_protocol.errors import VelaturaError

N = 10
SETTINGS = Settings(
    cross_until=0.8,
    self_until=0.4,
    self_share=0.25,
    value_until=0.2,
    value_share=0.5,
    renormalise=True,
    replaced="swap",
    local_blend=True,
    threshold=0.3,
    blend_start=0.2,
)


def at(model, prompt, text, which=1):
    """The tokens of a word. (The tiny model reads letter by letter.)"""
    word = find(prompt, text, which)
    return indices(tokens(model.tokenized(prompt), prompt), (word.start, word.end))


def of(model, source, target, words=(), **settings):
    return plan(model, source, target, words, replace(SETTINGS, **settings), N)


def test_the_windows_are_shares_of_the_steps(sharp):
    control = of(sharp, "a red hat", "a blue hat").control
    assert [control.takes_cross(i) for i in range(N)] == [True] * 8 + [False] * 2
    assert control.phases == (0,) * 8 + (8,) * 2
    assert [control.takes_self(i) for i in range(N)] == [True] * 4 + [False] * 6
    assert [control.takes_values(i) for i in range(N)] == [True] * 2 + [False] * 8
    assert of(sharp, "a red hat", "a blue hat").local.start == 2


def test_a_word_may_keep_its_shape_for_a_part_of_the_window(sharp):
    target = "a blue hat"
    control = of(sharp, "a red hat", target, [WordSetting("Blue", until=0.5)]).control
    blue, hat = at(sharp, target, "blue"), at(sharp, target, "hat")
    assert control.alpha[:, blue].sum(0).tolist() == [4.0] * 4
    assert control.alpha[:, hat].sum(0).tolist() == [8.0] * 3


def test_a_weight_is_of_the_word_that_was_meant(sharp):
    prompt = "a cat, a dog and a Cat"
    second = of(sharp, prompt, prompt, [WordSetting("cat", which=2, weight=2.5)])
    weights = second.control.weights
    assert weights[at(sharp, prompt, "cat", 2)].tolist() == [2.5] * 3
    assert (weights != 1.0).sum() == 3
    assert second.changes


def test_local_blend_looks_at_what_changes_in_each_prompt(sharp):
    source, target = "a man with a hat", "a man with red glasses"
    words = of(sharp, source, target, [WordSetting("man", weight=2.0)]).local.words
    changed = {*at(sharp, source, "a hat"), *at(sharp, source, "man")}
    assert set(words.source[:, 0].nonzero().flatten().tolist()) == changed
    changed = {*at(sharp, target, "red glasses"), *at(sharp, target, "man")}
    assert set(words.target[:, 0].nonzero().flatten().tolist()) == changed
    assert not words.source[:, 1].any() and not words.target[:, 1].any()


def test_local_blend_can_be_told_where(sharp):
    source, target = "a man with a hat", "a man with a crown"
    words = of(sharp, source, target, blend_words=["a man"], keep_words=["crown"]).local.words
    assert set(words.source[:, 0].nonzero().flatten().tolist()) == set(at(sharp, source, "a man"))
    assert set(words.target[:, 1].nonzero().flatten().tolist()) == set(at(sharp, target, "crown"))
    assert not words.source[:, 1].any()


def marked(words, group):
    """The tokens of a group in each prompt."""
    return [set(tokens[:, group].nonzero().flatten().tolist()) for tokens in words]


def test_of_equal_words_all_are_meant_or_the_one_that_is_chosen(sharp):
    source, target = "a red cat and a cat", "a blue cat and a cat"

    def kept(*phrases):
        return marked(of(sharp, source, target, keep_words=phrases).local.words, 1)

    first, second = (
        [set(at(sharp, prompt, "cat", which)) for prompt in (source, target)] for which in (1, 2)
    )
    assert kept("cat") == [a | b for a, b in zip(first, second, strict=True)]
    assert kept("cat:1") == first
    assert kept("Cat : 2") == second
    assert kept("cat:1", "cat:2") == kept("cat")


def test_a_word_that_is_chosen_is_counted_in_the_prompt_and_followed_to_the_caption(sharp):
    source, target = "a dog and a cat", "a cat and a cat"
    words = of(sharp, source, target, blend_words=["cat:2"]).local.words
    assert marked(words, 0) == [set(at(sharp, source, "cat")), set(at(sharp, target, "cat", 2))]
    words = of(sharp, source, target, blend_words=["cat:1"]).local.words
    assert marked(words, 0) == [set(at(sharp, source, "dog")), set(at(sharp, target, "cat", 1))]
    gone = of(sharp, "a cat and a dog", "a cat", blend_words=["dog:1"]).local.words
    assert marked(gone, 0) == [set(at(sharp, "a cat and a dog", "dog")), set()]


def test_a_number_that_is_too_high_is_refused_by_name(sharp):
    for source, target in (("a hat", "a cat and a cat"), ("a cat and a cat", "a hat")):
        with pytest.raises(VelaturaError, match=r"'cat' stands 2 times.* 1 to 2, not 3"):
            of(sharp, source, target, keep_words=["cat:3"])


def test_what_a_changed_preposition_governs_changes(sharp):
    source, target = "a man with a beard, in a park", "a man without a beard, in a park"
    words = of(sharp, source, target).local.words
    assert marked(words, 0) == [
        set(at(sharp, source, "with a beard")),
        set(at(sharp, target, "without a beard")),
    ]
    source, target = "a man with a beard", "a man with no beard"
    assert set(at(sharp, target, "no beard")) == marked(of(sharp, source, target).local.words, 0)[1]


def test_entries_that_overlap_are_combined_whatever_their_order(sharp):
    prompt = "a blue hat"
    entries = [WordSetting("blue hat", weight=2.0), WordSetting("hat", until=0.5)]
    for words in (entries, entries[::-1]):
        control = of(sharp, "a red hat", prompt, words).control
        assert control.weights[at(sharp, prompt, "blue hat")].tolist() == [2.0] * 7
        assert control.alpha[:, at(sharp, prompt, "hat")].sum(0).tolist() == [4.0] * 3
        assert control.alpha[:, at(sharp, prompt, "blue")].sum(0).tolist() == [8.0] * 4


@pytest.mark.parametrize("field", ["weight", "until"])
def test_entries_that_disagree_are_refused_by_name(sharp, field):
    entries = [WordSetting("blue hat", **{field: 0.5}), WordSetting("hat", **{field: 0.25})]
    with pytest.raises(VelaturaError, match="'hat' is in two entries") as refused:
        of(sharp, "a red hat", "a blue hat", entries)
    assert refused.value.code == "bad-request"
    of(sharp, "a red hat", "a blue hat", [entries[0], WordSetting("hat", **{field: 0.5})])


@pytest.mark.parametrize("wrong", [{"blend_words": ["cat"]}, {"keep_words": ["cat"]}])
def test_a_phrase_of_neither_prompt_is_refused_by_name(sharp, wrong):
    with pytest.raises(VelaturaError, match="'cat'") as refused:
        of(sharp, "a red hat", "a blue hat", **wrong)
    assert refused.value.code == "bad-request"


def test_a_word_that_is_not_there_is_refused_by_name(sharp):
    with pytest.raises(VelaturaError, match="'cat'"):
        of(sharp, "a red hat", "a blue hat", [WordSetting("cat", weight=2.0)])


def test_the_same_prompt_changes_nothing_and_says_so(sharp):
    same = of(sharp, "a red hat", "a red hat", [WordSetting("hat", weight=1.0)])
    assert not same.changes and same.local is None
    assert torch.equal(same.control.A, torch.eye(sharp.prompt_tokens))


def test_a_prompt_that_is_too_long_is_refused(sharp):
    with pytest.raises(VelaturaError) as refused:
        of(sharp, "hat " * 40, "a hat")
    assert refused.value.code == "prompt-too-long"
