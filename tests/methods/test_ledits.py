"""LEDITS++ as a person asks for it: exactness, refusals, places, what is remembered."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.cache.cache import Cache
from velatura.methods.base import Cancelled
from velatura.methods.execute import execute
from velatura.methods.ledits import DRAFT_STEPS
from velatura.methods.registry import registry
from velatura_protocol.errors import VelaturaError

MASK = box(80, 100, (30, 60), (20, 70))
STEPS = 4


def add(*concepts, prompt="", mask=None, source=None, place=None, **parameters):
    """concepts: each a text, or a dict of its settings. place: a painted mask, named "there"."""
    listed = [{"text": asked} if isinstance(asked, str) else asked for asked in concepts]
    listed = [{"scale": 20.0, "threshold": 0.5, **asked} for asked in listed]
    source = picture(80, 100, dtype="u16") if source is None else source
    more = {key: parameters.pop(key) for key in ("seed", "variations", "draft") if key in parameters}
    parameters = {"steps": STEPS, **parameters, "concepts": listed}
    edit = Edit(source, mask, method="ledits", prompt=prompt, parameters=parameters, **more)
    if place is not None:
        edit.request["inputs"]["there"] = edit._raster(place[..., None], "A", "", (0, 0))
    return edit


def run(asked, models, cache=None, hooks=None):
    return execute(asked.request, asked.blobs.__getitem__, models, hooks or Recorded(), cache)


@pytest.mark.parametrize("dtype", ["u8", "u16", "f32"])
@pytest.mark.parametrize("caption", ["", "a red hat"])
def test_a_scale_of_0_gives_the_layer_exactly(models, dtype, caption):
    source = picture(80, 100, dtype=dtype)
    (layer,) = run(add({"text": "a hat", "scale": 0.0}, source=source, source_prompt=caption), models)
    assert np.array_equal(pixels(layer), source)


def test_a_concept_changes_the_selection_alone(models):
    (layer,) = run(add("a hat", mask=MASK), models)
    x, y, width, height = layer.raster["rect"]
    assert (x, y, width, height) == (20, 30, 50, 30)
    assert not np.array_equal(pixels(layer)[..., :3], picture(80, 100, dtype="u16")[30:60, 20:70, :3])


def test_the_prompt_is_a_concept(models):
    settings = {"text": "a hat", "scale": 4.0, "threshold": 0.8}
    assert run(add(prompt="a hat"), models)[0].data == run(add(settings), models)[0].data


def test_a_painted_place_changes_less_elsewhere(models):
    place = box(80, 100, (0, 40), (0, 50))
    source = picture(80, 100, dtype="u16").astype(int)
    half = {"text": "a hat", "where": "there", "threshold": 0.86}  # the place is a quarter
    (inside,) = run(add(half, place=place), models)
    (whole,) = run(add("a hat"), models)
    there, elsewhere = np.s_[:40, :50, :3], np.s_[48:, 60:, :3]
    changed = [np.abs(pixels(layer).astype(int) - source) for layer in (inside, whole)]
    assert changed[0][there].mean() > 2.0 * changed[0][elsewhere].mean()
    assert changed[0][elsewhere].mean() < changed[1][elsewhere].mean()


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (lambda: add(), "Write what to add"),
        (lambda: add(" "), "Concept 1 has no words"),
        (lambda: add("a hat", "!!"), "Concept 2 has no words"),
        (
            lambda: add({"text": "a hat", "begin": 0.5, "end": 0.5}),
            "“a hat” ends before it begins; let “Ends” be above “Begins”",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_model_is_loaded(asked, sentence, models, monkeypatch):
    monkeypatch.setattr(type(models), "get", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(VelaturaError, match=sentence) as refused:
        run(asked(), models)
    assert refused.value.code == "bad-request"


def test_a_place_outside_of_the_selection_is_refused(models):
    place = box(80, 100, (70, 80), (90, 100))
    with pytest.raises(VelaturaError, match="“a hat” is outside the selection"):
        run(add({"text": "a hat", "where": "there"}, place=place, mask=MASK, context=4.0), models)


def test_the_layer_is_read_once_and_reading_resumes(models, tmp_path):
    kept, hooks = Cache(memory=1 << 28), Recorded(cancel_after=2)
    with pytest.raises(Cancelled):
        run(add("a hat"), models, kept, hooks)
    hooks = Recorded()
    first = run(add("a hat"), models, kept, hooks)[0].data
    assert 1 <= hooks.during.count("Reading the layer") < STEPS - 1
    assert hooks.during.count("Editing") == STEPS
    assert hooks.fractions == sorted(hooks.fractions)
    moved = Recorded()
    run(add({"text": "a hat", "scale": -5.0, "begin": 0.5}), models, kept, moved)
    assert moved.during == ["Editing"] * (STEPS // 2)
    assert run(add("a hat"), models, kept)[0].data == run(add("a hat"), models)[0].data == first
    disk = Cache(tmp_path, memory=1 << 28, disk=1 << 28)
    run(add("a hat"), models, disk)
    again = Recorded()
    other = Cache(tmp_path, memory=1 << 28, disk=1 << 28)
    assert run(add("a hat"), models, other, again)[0].data == first
    assert again.during == ["Editing"] * STEPS


def test_another_caption_or_seed_is_read_anew(models):
    kept = Cache(memory=1 << 28)
    for more, reads in (
        ({}, 1),
        ({"source_prompt": "a dog"}, 1),
        ({"source_prompt": "a dog", "source_guidance": 2.0}, 1),
        ({"seed": 7, "variations": 2}, 1),
        ({"start": 0.5}, 1),
        ({}, 0),
    ):
        hooks = Recorded()
        run(add("a hat", **more), models, kept, hooks)
        assert hooks.during.count("Reading the layer") == reads * STEPS, more


@pytest.mark.parametrize(("steps", "few"), [(30, DRAFT_STEPS), (4, 4)])
def test_a_draft_has_few_steps_and_no_more_than_the_edit(steps, few, models):
    hooks = Recorded()
    asked = add("a hat", steps=steps)
    asked.request["draft"] = True
    assert run(asked, models, None, hooks) == []
    assert len(hooks.steps) == 2 * few and hooks.previews


def test_variations_are_ranked_by_the_caption_and_what_is_added():
    method = registry()["ledits"]
    concepts = [{"text": "a hat"}, {"text": "a beard", "scale": -3.0}, {"text": "snow"}]
    params = method.Parameters(source_prompt="a man", concepts=concepts)
    assert method.wanted("glasses", params) == "a man, glasses, a hat, snow"
