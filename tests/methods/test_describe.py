"""Describing a layer: what a captioner says, as the protocol and the model want it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.requests import Edit, Recorded, picture
from velatura.methods.base import Cancelled
from velatura.methods.describe import fitting
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError
from velatura_protocol.results import texts


def describe(source=None, **fields):
    source = picture(80, 100) if source is None else source
    return Edit(source, method="describe", prompt="", parameters={}, **fields)


def test_texts_come_and_no_layer(models):
    hooks = Recorded()
    said = describe().run(models, hooks)
    assert said and all(isinstance(text, str) for text in said)
    assert texts({"texts": said}) == said == list(dict.fromkeys(said))
    assert hooks.previews == [] and set(hooks.stages) == {"Loading the model", "Looking"}
    for text in said:
        models.get().check_prompt(text)


def test_a_draft_says_the_same(models):
    hooks = Recorded()
    assert describe(draft=True).run(models, hooks) == describe().run(models)
    assert hooks.previews == []


def test_what_is_painted_is_what_is_described(models):
    """Colours beneath alpha 0 are not seen, as with every method."""
    source = picture(80, 100)
    source[:40, :, 3] = 0
    hidden = source.copy()
    hidden[:40, :, :3] = 255 - hidden[:40, :, :3]
    assert describe(source).run(models) == describe(hidden).run(models)


def test_it_stops_when_it_is_told(models):
    with pytest.raises(Cancelled):
        describe().run(models, Recorded(cancel_after=2))


def test_a_transparent_layer_is_refused(models):
    with pytest.raises(VelaturaError) as refused:
        describe(np.zeros((40, 40, 4), np.uint8)).run(models)
    assert refused.value.code == "empty-layer"


def test_a_model_without_a_captioner_is_refused_before_it_is_loaded(entries):
    alone = ModelEntry("alone", "Alone", "diffusers", entries[0].path, 64)
    store = ModelStore([alone])
    with pytest.raises(VelaturaError, match=r"'Alone' has no captioner .* --captioner") as refused:
        describe().run(store)
    assert refused.value.code == "unknown-model" and store.loaded() == ""


def test_the_embedded_judge_tells_what_a_rendered_picture_shows(entries):
    from velatura.models.catalogue import EMBEDDED_COMPANIONS
    from velatura_lab.world import Portrait, render

    judge = str(EMBEDDED_COMPANIONS["captioner"])
    store = ModelStore(
        [ModelEntry("m", "M", "diffusers", entries[0].path, 64, companions={"captioner": judge})]
    )
    scene = Portrait(shirt_colour="red", background="blue", hat="hat", hat_colour="green")
    shown = np.concatenate([render(scene, 192).to_bytes(), np.full((192, 192, 1), 255, np.uint8)], axis=2)
    (said, *others) = describe(shown).run(store)
    # this model reads 75 letters, so the end is left out
    assert re.match("a photo of a .*woman", said) and not store.get().excess(said)
    assert not re.search(r"(\s|,|\b(a|an|the|with|of|in|and))\Z", said) and said not in others


WORDS = st.lists(st.sampled_from(["a", "cat", "with", "the", "hat,", "and", "é", "-"]), max_size=12)


@given(WORDS.map(" ".join), st.integers(0, 40))
def test_a_text_is_cut_to_what_is_read_at_the_end_of_a_word(text, most):
    def excess(words):
        return max(0, len(words) - most)

    cut = fitting(text, excess)
    assert not excess(cut) and text.startswith(cut)
    if excess(text):
        assert not cut or text[len(cut)] in " ,-"
        assert not re.search(r"[\s,-]\Z|\s(a|with|the|and)\Z", cut)
    else:
        assert cut == text
