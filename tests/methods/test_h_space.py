"""Deep dials as a person asks for them: exactness, refusals, what is kept, drafts."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.cache.cache import Cache
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura_protocol.errors import VelaturaError

MASK = box(64, 64, (20, 50), (16, 56))
PLAIN = {"source_prompt": "a red hat", "only_changes": False, "steps": 5, "tries": 2}


def ask(*dials, prompt="", mask=MASK, **parameters):
    parameters = {**PLAIN, **parameters, "dials": list(dials)}
    return Edit(picture(64, 64, dtype="u8"), mask, method="h-space", prompt=prompt, parameters=parameters)


def dial(more="snow", strength=100.0, **other):
    return {"more": more, "strength": strength, **other}


def run(asked, models, cache=None, hooks=None):
    return execute(asked.request, asked.blobs.__getitem__, models, hooks or Recorded(), cache)


@pytest.mark.parametrize("more", [{}, {"inversion": "edit-friendly"}, {"only_changes": True}])
def test_dials_at_0_give_the_layer_exactly(more, models):
    (layer,) = run(ask(dial(strength=0.0), mask=None, **more), models)
    assert np.array_equal(pixels(layer), picture(64, 64, dtype="u8"))


def test_a_dial_changes_the_selection_alone_and_both_ways(models):
    made = {}
    for strength in (100.0, 50.0, -100.0):
        (layer,) = run(ask(dial(strength=strength)), models)
        assert layer.raster["rect"] == [16, 20, 40, 30]
        made[strength] = layer.data
    assert len(set(made.values())) == 3


def test_a_moved_dial_learns_nothing_again(models):
    kept, first, moved = Cache(memory=1 << 28), Recorded(), Recorded()
    run(ask(dial(strength=50.0)), models, kept, first)
    assert first.during.count("Learning the dials") == 3  # begins at .3 of 5 steps
    assert first.fractions == sorted(first.fractions)
    again = run(ask(dial(strength=80.0)), models, kept, moved)[0].data
    assert moved.during == ["Editing"] * 5
    assert again == run(ask(dial(strength=80.0)), models)[0].data


def test_a_draft_takes_few_steps(models):
    asked = ask(dial(), steps=40)
    asked.request["draft"] = True
    hooks = Recorded()
    assert run(asked, models, hooks=hooks) == []
    assert hooks.during.count("Editing") == 8 and hooks.previews


@pytest.mark.parametrize(
    ("asked", "code", "sentence"),
    [
        (ask(dial(), source_prompt=" "), "empty-prompt", "Describe what the layer shows now"),
        (ask(dial(), source_prompt="", start="new"), "empty-prompt", "Describe the new picture"),
        (ask(), "bad-request", "Add a dial"),
        (ask(prompt="a red  hat"), "bad-request", "Add a dial"),
        (ask(dial(more=" ")), "bad-request", "write what there should be more of"),
        (ask(dial(), begin=0.9, end=0.1), "bad-request", "ends before it begins"),
    ],
)
def test_refusals_come_before_a_model_is_loaded(asked, code, sentence, models, monkeypatch):
    monkeypatch.setattr(type(models), "get", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(VelaturaError, match=sentence) as refused:
        run(asked, models)
    assert refused.value.code == code


def test_a_network_without_a_middle_is_refused_before_work_begins(models, monkeypatch):
    monkeypatch.setitem(models.get().unet._modules, "mid_block", None)
    hooks = Recorded()
    with pytest.raises(VelaturaError, match="no middle"):
        run(ask(dial()), models, hooks=hooks)
    assert hooks.during == []


def test_the_seed_matters_for_new_pictures_and_drawn_noise_alone():
    method = registry()["h-space"]
    params = method.Parameters(source_prompt="a hat", dials=[dial("snow", 60.0)])
    assert not method.varies(params) and method.wanted("", params) == "a hat, snow"
    assert method.wanted("a cat", params) == "a cat" and method.wanted("a  hat", params) == "a hat, snow"
    assert method.varies(params.model_copy(update={"start": "new"}))
    assert method.varies(params.model_copy(update={"inversion": "edit-friendly"}))
