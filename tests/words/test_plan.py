"""From captions and settings to the tensors of an edit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from velatura.words.plan import Settings, WordSetting, plan
from velatura.words.prompt import find, indices, tokens
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
    return indices(tokens(model.tokenizer, prompt, model.prompt_tokens), (word.start, word.end))


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
