"""Recipes as they were written before protocol 1.5, run again by the methods of today."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.methods.requests import DTYPES, Recorded, box, picture
from velatura.daemon.broker.submission import complete_request
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura_protocol.rasters import Pixels
from velatura_protocol.requests import Recipe, blobs

KEPT = Path(__file__).parents[1] / "protocol" / "recipes" / "before_1_5.json"
OLD = [Recipe.from_wire(json.loads(kept["gimp"])) for kept in json.loads(KEPT.read_text("ascii"))]


@pytest.mark.parametrize("recipe", OLD, ids=lambda recipe: f"{recipe.request.method} {recipe.variation}")
def test_a_recipe_from_before_1_5_runs(models, entries, recipe):
    """With all that it has but the model's digest: libraries write the files of the tests' model anew."""
    layer, selected = picture(seed=1), box(64, 64, (4, 30), (4, 30))
    assert layer.dtype == DTYPES["u8"]
    source = Pixels(layer.tobytes(), (0, 0, 64, 64), "RGBA", "u8", "sRGB")
    mask = Pixels(selected.tobytes(), (0, 0, 64, 64), "A", "u8", "")
    inputs = {"source": source, "mask": mask if recipe.request.inputs["mask"] else None}
    edit = replace(recipe.of_layer().again(), model_digest=models.get("tiny").digest)
    request = edit.on(inputs, (64, 64))
    whole, _ = complete_request(request.to_wire(), registry(), entries)
    assert whole["parameters"].items() >= recipe.request.parameters.items()
    results = execute(whole, blobs(inputs).__getitem__, models, Recorded())
    assert results
    for result in results:
        made = Recipe.from_wire(result.recipe)
        assert made.request.parameters == whole["parameters"] and made.request.seed == request.seed
