"""Methods that edit and select by words, on Stable Diffusion 3 and FLUX.1."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from tests.models import flows
from tests.tiny_flux1 import tiny_flux1
from tests.tiny_sd3 import tiny_sd3
from velatura.cache.cache import Cache
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura.models.families import flux1, sd3
from velatura_protocol.errors import VelaturaError

MASK = box(64, 64, (16, 48), (16, 48))
CAPTION = {"source_prompt": "a red hat", "steps": 4}
SHARP = {"threshold": 0.98, "softness": 0.0, "refine": 0}  # maps of random networks are nearly flat
MODELS = {"sd3": (tiny_sd3, sd3), "flux1": (tiny_flux1, flux1)}
ASKED = {
    "prompt-to-prompt": CAPTION | {"local_blend": False, "words": [{"text": "blue", "weight": 2.0}]},
    "prompt-to-prompt, blend": CAPTION | {"threshold": 0.3, "preset": "own", "start": "new"},
    "prompt-to-prompt, cycle": CAPTION | {"preset": "cycle-consistent"},
    "ledits": {"steps": 4, "concepts": [{"text": "snow", "scale": 20.0, "threshold": 0.2}]},
    "flow-align": CAPTION | {"only_changes": False, "self_until": 0.5},
    "fluxspace": CAPTION | {"concepts": [{"more": "snow", "strength": 100.0}], "only_changes": False},
}

# FLUX.1 reads three times as many tokens, by the same code
CASES = [("sd3", name) for name in ASKED] + [("flux1", name) for name in ("prompt-to-prompt", "fluxspace")]


@pytest.fixture(scope="module", params=MODELS, name="store")
def a_store(request, tmp_path_factory):
    make, family = MODELS[request.param]
    return flows.Holding(flows.loaded(family.load, make(tmp_path_factory.mktemp(request.param))))


def run(store, name, cache=None, hooks=None, **fields):
    method = name.partition(",")[0]
    prompt = "" if method == "fluxspace" else "a blue hat"
    asked = fields.pop("parameters", ASKED.get(name))
    edit = Edit(picture(64, 64), MASK, method=method, parameters=asked, prompt=prompt, **fields)
    return execute(edit.request, edit.blobs.__getitem__, store, hooks or Recorded(), cache)


@pytest.mark.parametrize(("store", "name"), CASES, indirect=["store"])
def test_a_recipe_gives_the_same_bytes_whatever_is_kept(store, name):
    hooks, cache = Recorded(), Cache(memory=1 << 26)
    alone = run(store, name, hooks=hooks)[0].data
    assert [run(store, name, cache)[0].data for _ in range(2)] == [alone, alone]
    assert hooks.steps and hooks.previews


def test_a_batch_of_new_pictures_is_its_rows(store):
    asked = ASKED["fluxspace"] | {"start": "new"}
    batch = run(store, "fluxspace", parameters=asked, variations=2)
    alone = run(store, "fluxspace", parameters=asked, seed=8)
    difference = pixels(batch[1]).astype(int) - pixels(alone[0])
    assert np.abs(difference).max() <= 1
    without = run(store, "fluxspace", parameters=asked | {"concepts": [{"more": "snow", "strength": 0.0}]})
    assert without[0].data != batch[0].data


@pytest.mark.parametrize("reading", ["best", "attention", "concepts"])
def test_words_are_selected(store, reading):
    edit = Edit(
        picture(64, 64),
        method="word-map",
        prompt="a red hat",
        parameters={"words": [{"text": "hat"}], "looks": 1, "reading": reading} | SHARP,
    )
    (mask,) = edit.run(store)
    assert 0 < np.frombuffer(mask.data, np.uint8).mean() < 255


def test_other_models_are_refused_with_a_sentence(models):
    with pytest.raises(VelaturaError, match="reads words and picture together") as refused:
        run(models, "fluxspace")
    assert refused.value.code == "unknown-model"
    edit = Edit(picture(64, 64), method="word-map", prompt="a hat", parameters={"reading": "concepts"})
    with pytest.raises(VelaturaError, match="As suits the model"):
        edit.run(models)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"concepts": []}, "Add a concept"),
        ({"concepts": [{"strength": 50.0}]}, "needs words"),
        ({"concepts": [{"more": "snow", "begin": 0.5, "end": 0.5}]}, "ends before it begins"),
        ({"source_prompt": "", "concepts": [{"more": "snow"}]}, "caption|shows"),
    ],
)
def test_what_cannot_be_is_refused_before_work_begins(parameters, sentence):
    method = registry()["fluxspace"]
    with pytest.raises(VelaturaError, match=sentence):
        method.check("", method.Parameters(**CAPTION | parameters))
