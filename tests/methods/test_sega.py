"""Concepts by dials as a person asks for them: exactness, refusals, painted places, even dials, drafts."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.cache.cache import Cache
from velatura.flow import even
from velatura.methods.base import Cancelled
from velatura.methods.evening import STEPS as PROBE_STEPS
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura_protocol.errors import VelaturaError

MASK = box(80, 100, (30, 60), (20, 70))
CAPTION = "a red hat"
PLAIN = {"only_changes": False, "steps": 5}


def ask(*concepts, prompt="", mask=MASK, source=None, **parameters):
    source = picture(80, 100, dtype="u16") if source is None else source
    parameters = {"source_prompt": CAPTION, **PLAIN, **parameters, "concepts": list(concepts)}
    return Edit(source, mask, method="sega", prompt=prompt, parameters=parameters)


def concept(more="snow", strength=100.0, **more_of_it):
    return {"more": more, "strength": strength, **more_of_it}


def run(asked, models, cache=None, hooks=None):
    return execute(asked.request, asked.blobs.__getitem__, models, hooks or Recorded(), cache)


NOTHING = {
    "a concept at 0": {},
    "without the rest left alone": {"only_changes": True},
    "even": {"even": True},
    "edit-friendly": {"inversion": "edit-friendly"},
    "guidance 1": {"guidance": 1.0},
    "much momentum": {"momentum": 0.6},
}


@pytest.mark.parametrize("more", NOTHING.values(), ids=NOTHING)
def test_concepts_at_0_give_the_layer_exactly(more, models):
    source = picture(80, 100, dtype="u8")
    (layer,) = run(ask(concept(strength=0.0), mask=None, source=source, **more), models)
    assert np.array_equal(pixels(layer), source)


def test_a_concept_changes_the_selection_alone(models):
    source = picture(80, 100, dtype="u16")
    for more in ({}, {"guidance": 1.0}, {"start": "new"}):
        (layer,) = run(ask(concept(), **more), models)
        assert layer.raster["rect"] == [20, 30, 50, 30]
        assert not np.array_equal(pixels(layer)[..., :3], source[30:60, 20:70, :3])


def test_less_of_a_thing_is_the_other_direction_of_more(models):
    def made(one):
        return run(ask(one, words_of_concepts="alone"), models)[0].data

    assert made({"less": "snow", "strength": 50.0}) == made(concept(strength=-50.0))
    assert made({"less": "snow", "more": "rain", "strength": 50.0}) != made(concept("rain", 50.0))


def test_a_concept_changes_only_the_painted_place(models):
    """Away from it only the network's own reach is seen, which is far smaller."""
    asked = ask(concept(reach=1.0, where="place"), mask=None)
    painted = np.zeros((80, 100, 4), np.uint8)
    painted[:16, :16] = 255
    asked.request["inputs"]["place"] = asked._raster(painted, "RGBA", "sRGB", (0, 0))
    (layer,) = run(asked, models)
    assert layer.raster["rect"] == [0, 0, 100, 80]
    everywhere = run(ask(concept(reach=1.0), mask=None), models)[0]
    change, whole = (
        np.abs(pixels(one)[..., :3].astype(int) - picture(80, 100, dtype="u16")[..., :3]).mean()
        for one in (layer, everywhere)
    )
    assert 0.0 < change < whole


@pytest.mark.parametrize(
    ("asked", "code", "sentence"),
    [
        (ask(concept(), source_prompt=" "), "empty-prompt", "Describe what the layer shows now"),
        (ask(concept(), source_prompt="", start="new"), "empty-prompt", "Describe the new picture"),
        (ask(), "bad-request", "Add a concept"),
        (ask(concept(more=" ")), "bad-request", "write what there should be more of"),
        (
            ask(concept(begin=0.9, end=0.1)),
            "bad-request",
            "“snow” ends before it begins; let “Ends” be above",
        ),
        (ask(concept(begin=0.5, end=0.5)), "bad-request", "“snow” ends before it begins"),
    ],
)
def test_refusals_come_before_a_model_is_loaded(asked, code, sentence, models, monkeypatch):
    monkeypatch.setattr(type(models), "get", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(VelaturaError, match=sentence) as refused:
        run(asked, models)
    assert refused.value.code == code


def test_a_place_outside_of_the_selection_is_refused(models):
    asked = ask(concept(where="place"))
    painted = np.zeros((80, 100, 4), np.uint8)
    painted[70:, 90:] = 255
    asked.request["inputs"]["place"] = asked._raster(painted, "RGBA", "sRGB", (0, 0))
    with pytest.raises(VelaturaError, match="The place of “snow” is outside the selection") as refused:
        run(asked, models)
    assert refused.value.code == "bad-request"


@pytest.mark.parametrize("method", ["sega", "ledits"])
def test_a_late_or_short_window_has_a_step_in_a_run_of_few(method, models):
    """Rounding would lose both, and the concept would silently do nothing."""
    source = picture(80, 100, dtype="u16")

    def made(strength, **window):
        if method == "sega":
            dial = concept(strength=strength, reach=1.0, **window)
            return pixels(run(ask(dial, mask=None, source=source, steps=4), models)[0])
        added = {"text": "snow", "scale": strength / 5.0, "threshold": 0.0, **window}
        parameters = {"concepts": [added], "steps": 4}
        return pixels(run(Edit(source, None, method=method, parameters=parameters), models)[0])

    unchanged = made(0.0)
    assert not np.array_equal(made(100.0, begin=0.95, end=1.0), unchanged)
    assert not np.array_equal(made(100.0, begin=0.5, end=0.55), unchanged)


def test_a_prompt_alone_is_the_caption_of_a_new_picture(models):
    by_prompt = run(ask(concept(), prompt=CAPTION, source_prompt="", start="new"), models)[0]
    assert by_prompt.data == run(ask(concept(), start="new"), models)[0].data


def test_even_concepts_are_tried_out_once_a_layer(models):
    kept, hooks = Cache(memory=1 << 28), Recorded()
    first = run(ask(concept(strength=50.0), even=True), models, kept, hooks)[0]
    tried = hooks.during.count("Trying out the dials")
    assert 2 * PROBE_STEPS < tried <= PROBE_STEPS * len(even.PROBES)
    assert hooks.fractions == sorted(hooks.fractions)
    moved = Recorded()
    run(ask(concept(strength=70.0), even=True), models, kept, moved)
    assert moved.during == ["Editing"] * 5
    assert run(ask(concept(strength=50.0), even=True), models, kept)[0].data == first.data


@pytest.mark.parametrize(
    ("start", "stage"), [("layer", "Reading the layer"), ("new", "Making the new picture")]
)
def test_what_comes_before_the_dials_are_tried_out_stops_within_a_step(start, stage, models):
    hooks = Recorded(cancel_after=2)
    with pytest.raises(Cancelled):
        run(ask(concept(), even=True, start=start), models, hooks=hooks)
    assert hooks.during == [stage] * 2


def test_a_draft_takes_few_steps(models):
    asked = ask(concept(), steps=40)
    asked.request["draft"] = True
    hooks = Recorded()
    assert run(asked, models, hooks=hooks) == []
    assert hooks.during.count("Editing") == 10 and hooks.previews


def test_variations_are_ranked_by_the_caption_of_the_strongest_concept():
    method = registry()["sega"]
    params = method.Parameters(source_prompt=CAPTION, concepts=[concept("blue", 20.0), concept("snow", 60.0)])
    assert method.wanted("", params) == "a red hat, snow"
    assert method.wanted("a cat", params) == "a cat"
    assert not method.varies(params)
    assert method.varies(params.model_copy(update={"start": "new"}))
