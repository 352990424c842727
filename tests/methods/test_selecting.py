"""Selecting by words: what is found, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.methods.naming import phrases
from velatura.methods.registry import registry
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
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
        ("clipseg-mask", " , \n,", {}, "empty-prompt", "names nothing"),
        ("clipseg-mask", ",".join("abcdefghijklmnopq"), {}, "bad-request", "names 17 things; name 16"),
        ("clipseg-mask", "a hat, " + "x" * 76, {}, "prompt-too-long", "'xxx"),
        ("diffedit-mask", "a hat", {}, "empty-prompt", "shows now"),
        ("diffedit-mask", "a hat", {"source_prompt": "a hat"}, "bad-request", "change a word"),
        ("diffedit-mask", "a hat", {"source_prompt": " A  Hat"}, "bad-request", "change a word"),
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


def test_each_thing_that_is_named_is_a_mask_of_the_layers_size(models):
    hooks = Recorded()
    results = select(
        models, "clipseg-mask", "the  red hat,\n a cat, the red hat,", hooks=hooks, threshold=0.0
    )
    assert [(r.title, r.kind) for r in results] == [("the red hat", "mask"), ("a cat", "mask")]
    assert all(pixels(r).shape == (80, 100, 1) and pixels(r).any() for r in results)
    assert hooks.steps == [(1, 1)] and hooks.previews == []
    assert not np.array_equal(pixels(results[0]), pixels(results[1]))


def test_what_is_named_is_found_within_the_selection(models):
    mask = box(80, 100, (30, 60), (20, 70))
    (found,) = select(models, "clipseg-mask", "a cat", mask, threshold=0.0)
    assert not pixels(found)[..., 0][mask == 0].any()
    assert pixels(found)[..., 0][mask == 255].all()


def test_a_higher_threshold_selects_less_and_hardly_anything_at_last(models):
    """The network's probability is compared as it is, so that what is not there is not selected."""
    areas = []
    for threshold in (0.0, 0.3, 0.5, 0.7, 1.0):
        (found,) = select(models, "clipseg-mask", "a cat", threshold=threshold, softness=0.05)
        areas.append(int(pixels(found).sum(dtype=np.int64)))
    assert areas == sorted(areas, reverse=True) and areas[0] > areas[2] > 4 * areas[-1]


def test_the_model_reads_nothing_of_what_is_named(models):
    many = ", ".join(f"thing {i}" for i in range(16))
    assert models.get().excess(many)
    assert len(select(models, "clipseg-mask", many)) == 16


def test_a_model_without_a_segmenter_says_what_to_do(entries):
    store = ModelStore([ModelEntry("alone", "Alone", "diffusers", entries[0].path, 64)])
    with pytest.raises(VelaturaError, match=r"'Alone' has no segmenter .* --segmenter") as refused:
        select(store, "clipseg-mask", "a cat")
    assert refused.value.code == "unknown-model" and store.loaded() == ""


@pytest.mark.parametrize(("method", "companion"), [("clipseg-mask", "segmenter"), ("describe", "captioner")])
def test_a_method_that_forgets_its_needs_says_what_to_do_too(entries, monkeypatch, method, companion):
    monkeypatch.setattr(type(registry()[method]), "needs", "")
    store = ModelStore([ModelEntry("alone", "Alone", "diffusers", entries[0].path, 64)])
    with pytest.raises(VelaturaError, match=rf"'Alone' has no {companion} .* --{companion}") as refused:
        select(store, method, "a cat" if method == "clipseg-mask" else "")
    assert refused.value.code == "unknown-model" and store.loaded() == "alone"


@given(st.lists(st.text("ab ,\n\t", max_size=8), max_size=6), st.sampled_from([",", "\n", " , "]))
def test_phrases_stand_between_commas_and_lines(parts, separator):
    found = phrases(separator.join(parts))
    assert all(phrase == " ".join(phrase.split()) != "" for phrase in found)
    assert not set(",\n\t") & set("".join(found)) and len(set(found)) == len(found)
    assert [letter for part in parts for letter in part if letter in "ab"] or not found
    assert phrases(",".join(found)) == found
