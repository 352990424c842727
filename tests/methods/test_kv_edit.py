"""KV-Edit through `execute`: outside exact, the ways of reading the layer, and when seeds matter."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.methods.execute import execute
from velatura.methods.registry import registry

MASK = box(64, 64, (16, 48), (16, 48))
METHOD = registry()["kv-edit"]


def results(models, variations=1, hooks=None, **parameters):
    asked = Edit(
        picture(64, 64),
        MASK,
        method="kv-edit",
        variations=variations,
        parameters={"steps": 4, **parameters},
    )
    return execute(asked.request, asked.blobs.__getitem__, models, hooks or Recorded())


@pytest.mark.parametrize("reading", ["noise", "inversion"])
def test_outside_of_the_selection_nothing_is_touched(models, reading):
    hooks = Recorded()
    (layer,) = results(models, reading=reading, hooks=hooks, source_prompt="a cat")
    rgba, (x, y, w, h) = pixels(layer), layer.raster["rect"]
    outside = MASK[y : y + h, x : x + w] == 0
    assert not rgba[outside][:, 3].any() and rgba[~outside][:, 3].all()
    assert ("Reading the layer" in hooks.during) == (reading == "inversion")


def test_a_variation_is_the_same_in_any_batch(models):
    two = results(models, variations=2, reading="noise")
    (one,) = results(models, reading="noise")
    nearest = min(np.abs(pixels(one).astype(int) - pixels(layer)).max() for layer in two)
    assert nearest <= 1 and two[0].data != two[1].data  # a batch rounds the last bits in another order


def test_every_setting_matters(models):
    (plain,) = results(models)
    for changed in ({"bias": 3.0}, {"forget": True, "strength": 0.6}, {"source_prompt": "a cat"}):
        (other,) = results(models, **changed)
        assert not np.array_equal(pixels(other), pixels(plain))


def test_seeds_matter_where_noise_is_drawn():
    made = {
        (reading, forget): METHOD.varies(METHOD.Parameters(reading=reading, forget=forget))
        for reading in ("noise", "inversion")
        for forget in (False, True)
    }
    assert [name for name, varies in made.items() if not varies] == [("inversion", False)]
