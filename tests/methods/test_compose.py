"""Several terms in one edit: each is that of its own method, and they work together."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura_protocol.errors import VelaturaError

MASK = box(80, 100, (30, 60), (20, 70))
CAPTION, WANTED = "a red hat", "a blue hat"
SNOW = {"more": "snow", "strength": 100.0, "begin": 0.0, "reach": 1.0}
FREE = {"cross_until": 0.0, "self_until": 0.0, "local_blend": False}
"""Attention is not edited, so a target with the source's own caption is sampled plainly."""


def edit(models, method, prompt=WANTED, mask=MASK, dtype="u16", rasters=None, **parameters):
    parameters = {"source_prompt": CAPTION, "steps": 4, **parameters}
    if method != "prompt-to-prompt":
        parameters = {"only_changes": False, **parameters}
    asked = Edit(picture(80, 100, dtype=dtype), mask, method=method, prompt=prompt, parameters=parameters)
    for name, painted in (rasters or {}).items():
        asked.request["inputs"][name] = asked._raster(painted[..., None], "A", "", (0, 0))
    (layer,) = execute(asked.request, asked.blobs.__getitem__, models, Recorded())
    return layer


@pytest.mark.parametrize("start", ["layer", "new"])
def test_words_alone_are_prompt_to_prompt(models, start):
    words, still = [{"text": "blue", "weight": 2.0}], [{"more": "snow", "strength": 0.0}]
    own = edit(models, "prompt-to-prompt", words=words, start=start)
    for concepts in ([], still):
        composed = {"words": words, "start": start, "concepts": concepts}
        assert edit(models, "compose", **composed).data == own.data


def test_concepts_at_0_alone_give_the_layer_exactly(models):
    still = [{**SNOW, "strength": 0.0}]
    layer = edit(models, "compose", "", mask=None, concepts=still)
    assert np.array_equal(pixels(layer), picture(80, 100, dtype="u16"))


@pytest.mark.parametrize("method", ["prompt-to-prompt", "compose"])
def test_the_prompt_of_a_new_picture_is_its_caption(models, method):
    """There is no layer to describe; the words are turned up in the one picture that is asked for."""
    asked = {"start": "new", "words": [{"text": "hat", "weight": 2.0}]}
    alone = edit(models, method, CAPTION, source_prompt="", **asked)
    assert alone.data == edit(models, method, CAPTION, source_prompt=CAPTION, **asked).data


def test_a_new_picture_needs_a_caption(models):
    with pytest.raises(VelaturaError, match="Describe the new picture"):
        edit(models, "compose", "", source_prompt="", start="new")


def test_concepts_alone_are_sega(models):
    """On a new picture: there both methods sample the caption and add the concepts."""
    shared = {"concepts": [SNOW], "start": "new", "mask": None}
    own = pixels(edit(models, "sega", "", **shared)).astype(int)
    composed = pixels(edit(models, "compose", "", **FREE, **shared)).astype(int)
    still = [{**SNOW, "strength": 0.0}]
    plain = pixels(edit(models, "sega", "", concepts=still, start="new", mask=None))
    assert np.abs(composed - own).max() <= 2  # of 65535: the rows of a pass are in another order
    assert np.abs(plain.astype(int) - own).max() > 100


def test_terms_work_together_and_only_in_the_selection(models):
    words, concepts = {}, {"concepts": [SNOW]}
    both = edit(models, "compose", **words, **concepts, local_blend=False)
    assert both.raster["rect"] == [20, 30, 50, 30]
    alone = [
        edit(models, "compose", **words, local_blend=False),
        edit(models, "compose", CAPTION, **concepts, local_blend=False),
    ]
    assert len({both.data, *(layer.data for layer in alone)}) == 3


def test_local_blend_leaves_the_places_of_concepts_alone(models):
    """All words are left alone: local blend lets nothing change, and the concept acts all the same."""
    word = {"keep_words": "a, hat, red, blue"}
    with pytest.raises(VelaturaError, match="fewer words to leave alone"):
        edit(models, "compose", **word)
    assert edit(models, "compose", **word, concepts=[SNOW])


def test_a_concept_stays_in_its_painted_place(models):
    """Elsewhere the layer's own latents stay at every step, and so it keeps its bytes."""
    painted = box(80, 100, (0, 40), (0, 30))
    rasters = {"place": painted}
    concepts = [{**SNOW, "where": "place"}]
    asked = {"rasters": rasters, "concepts": concepts, "only_changes": True}
    layer = edit(models, "compose", CAPTION, mask=None, **asked)
    source, changed = picture(80, 100, dtype="u16"), pixels(layer)
    assert not np.array_equal(changed[:30, :20, :3], source[:30, :20, :3])
    assert np.array_equal(changed[:, 80:, :3], source[:, 80:, :3])


REFUSED = {
    "no caption": ("empty-prompt", {"source_prompt": " ", "concepts": [SNOW]}, ""),
    "nothing to do": ("bad-request", {}, ""),
    "the caption itself": ("bad-request", {}, "a  red hat"),
    "a concept without words": ("bad-request", {"concepts": [{"strength": 50.0}]}, ""),
    "a window that ends before it begins": (
        "bad-request",
        {"concepts": [{**SNOW, "begin": 0.9, "end": 0.1}]},
        "",
    ),
    "a word that the prompt lacks": ("bad-request", {"words": [{"text": "cat", "weight": 2.0}]}, WANTED),
}


@pytest.mark.parametrize(("code", "parameters", "prompt"), REFUSED.values(), ids=REFUSED)
def test_refusals(code, parameters, prompt, models):
    with pytest.raises(VelaturaError) as error:
        edit(models, "compose", prompt, **parameters)
    assert error.value.code == code


def test_variations_are_ranked_by_the_caption_that_the_edit_leads_to():
    method = registry()["compose"]
    params = method.Parameters.model_validate({"source_prompt": CAPTION, "concepts": [SNOW]})
    assert method.wanted("", params) == "a red hat, snow"
    assert method.wanted(WANTED, params) == WANTED
