"""Selecting by words: what is found, and what is refused."""

from __future__ import annotations

import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura_protocol.errors import VelaturaError


def select(models, method, prompt, mask=None, hooks=None, **parameters):
    edit = Edit(picture(80, 100), mask, method=method, prompt=prompt, parameters=parameters)
    return edit.run(models, hooks)


def test_every_word_of_the_caption_gives_a_mask_or_those_that_are_named(models):
    hooks = Recorded()
    results = select(models, "word-map", "a Red hat, a hat", hooks=hooks, looks=2)
    assert [r.title for r in results] == ["a", "Red", "hat", "a", "hat"]
    assert hooks.steps == [(1, 2), (2, 2)]
    named = [{"text": "hat", "which": 2}, {"text": "red hat", "which": 1}]
    results = select(models, "word-map", "a Red hat, a hat", words=named, looks=1)
    assert [r.title for r in results] == ["hat", "Red hat"]
    assert all(r.kind == "mask" and pixels(r).shape == (80, 100, 1) for r in results)
    assert pixels(results[0]).any()


def test_a_selection_bounds_what_is_found(models):
    mask = box(80, 100, (30, 60), (20, 70))
    (found,) = select(models, "word-map", "hat", mask, looks=1, threshold=0.0)
    assert not pixels(found)[..., 0][mask == 0].any()
    assert pixels(found)[..., 0][mask == 255].any()


@pytest.mark.parametrize(
    ("method", "prompt", "parameters", "code", "said"),
    [
        ("word-map", "a hat", {"words": [{"text": "cat", "which": 1}]}, "bad-request", "'cat'"),
        ("word-map", "...", {}, "empty-prompt", "no words"),
        ("diffedit-mask", "a hat", {}, "empty-prompt", "shows now"),
        ("diffedit-mask", "a hat", {"source_prompt": "a hat"}, "bad-request", "change a word"),
        ("diffedit-mask", "a hat", {"source_prompt": "hat " * 40}, "prompt-too-long", "too long"),
    ],
)
def test_what_cannot_be_found_is_refused_in_a_sentence(models, method, prompt, parameters, code, said):
    with pytest.raises(VelaturaError, match=said) as refused:
        select(models, method, prompt, **parameters)
    assert refused.value.code == code


def test_what_would_change_is_one_mask(models):
    (found,) = select(models, "diffedit-mask", "a hat", source_prompt="a cat", looks=2)
    assert (found.title, found.kind) == ("changes", "mask")
    assert pixels(found).any()
