"""Edits, the requests that they make of pixels, and recipes, of this version and of the first."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.rasters import Pixels
from velatura_protocol.requests import DAMAGED, MAX_SEED, NEWER, Edit, Recipe, Request, blobs
from velatura_protocol.schema import fields_from_schema

from .test_messages import json_values
from .test_rasters import MASK, RASTER, REQUEST, changed

OLD = json.loads((Path(__file__).parent / "recipes" / "before_1_5.json").read_text("ascii"))
RECIPE = REQUEST | {
    "method_version": 2, "model": {"id": "a", "digest": "blake2b:" + "1" * 64}, "seed": MAX_SEED,
    "variations": 3, "parameters": {"steps": 9, "strength": 0.5},
    "job": "1f0a3a52-7d0c-4f8b-9a52-0d6a3f1f2b11", "variation": 2, "rank": 0, "score": 0.5, "later": [1],
}  # fmt: skip
SOURCE = Pixels(bytes(range(96)), (-1, 2, 6, 4), "BGRA", "u8", "sRGB")
SCRIBBLE = Pixels(bytearray(b"scribble"), (0, 0, 4, 2), "G", "u8", "")
EDIT = Edit("method", 3, "a", "", "a hat", 7, 2, {"strength": 0.5})


SEED = {"type": "integer", "default": 0, "minimum": 0, "maximum": MAX_SEED}
DISTANCE = {"type": "number", "default": 0.25, "minimum": 0.0, "maximum": 1.0}
ITEMS = {"type": "object", "properties": {"seed": SEED, "distance": DISTANCE}}
GROUP = {"type": "array", "default": [], "maxItems": 4, "x-around": True, "items": ITEMS}
AROUND = {"type": "object", "properties": {"around": GROUP}}


def test_an_edit_of_pixels_is_a_request():
    request = EDIT.on({"source": SOURCE, "mask": None}, (64, 48))
    assert request.to_wire() == {
        "velatura": 1, "method": "method", "method_version": 3, "model": {"id": "a", "digest": ""},
        "prompt": "a hat", "seed": 7, "variations": 2, "parameters": {"strength": 0.5},
        "inputs": {
            "source": {"digest": digest(SOURCE.data), "width": 6, "height": 4, "channels": "BGRA",
                       "dtype": "u8", "profile": "sRGB", "rect": [-1, 2, 6, 4]},
            "mask": None,
        },
        "canvas": [64, 48],
    }  # fmt: skip
    assert Request.from_wire(json.loads(json.dumps(request.to_wire()))) == request


def test_any_raster_goes_under_its_name_with_its_bytes():
    inputs = {"source": SOURCE, "mask": None, "scribble": SCRIBBLE}
    request = EDIT.on(inputs, [64, 48])
    assert list(request.to_wire()["inputs"]) == ["source", "mask", "scribble"]
    assert Request.from_wire(request.to_wire()).inputs["scribble"] == SCRIBBLE.raster
    assert blobs(inputs) == {digest(SOURCE.data): SOURCE.data, digest(b"scribble"): SCRIBBLE.data}


@pytest.mark.parametrize("flags", [{}, {"lease": True}, {"draft": True}, {"lease": True, "draft": True}])
def test_lease_and_draft_are_said_where_they_are_so(flags):
    request = EDIT.on({"source": SOURCE}, (64, 48), **flags)
    wire = request.to_wire()
    assert {key: wire[key] for key in ("lease", "draft") if key in wire} == flags
    read = Request.from_wire(wire)
    assert (read.lease, read.draft) == (flags.get("lease", False), flags.get("draft", False))


def test_pixels_are_hashed_once_and_when_they_are_asked_for(monkeypatch):
    hashed = []
    monkeypatch.setattr("velatura_protocol.rasters.digest", lambda data: hashed.append(data) or digest(data))
    pixels = replace(SOURCE)
    assert hashed == []
    for _ in range(2):
        EDIT.on({"source": pixels}, (64, 48))
        blobs({"source": pixels})
    assert len(hashed) == 1


def test_a_request_is_read_as_it_was_written():
    read = Request.from_wire({**REQUEST, "from-the-future": 1})
    assert read.to_wire() == REQUEST
    assert (read.inputs["source"].to_wire(), read.inputs["mask"].to_wire()) == (RASTER, MASK)
    without = changed(REQUEST, "inputs", {"source": RASTER})
    assert Request.from_wire(without).inputs["mask"] is None


def test_a_further_raster_that_is_none_is_refused():
    with pytest.raises(VelaturaError) as caught:
        Request.from_wire(changed(REQUEST, "inputs.scribble", {"width": 3}))
    assert caught.value.code == "bad-request"


def test_a_recipe_is_run_again_with_what_changes():
    recipe = Recipe.from_wire(RECIPE)
    assert (recipe.job, recipe.variation, recipe.written) == (RECIPE["job"], 2, RECIPE)
    edit = recipe.again(prompt="a cap", parameters={"steps": 4})
    assert (edit.prompt, edit.seed, edit.variations) == ("a cap", MAX_SEED, 3)
    assert edit.parameters == {"steps": 4, "strength": 0.5}
    assert type(edit) is Edit, "nothing of the old pixels"
    wire = edit.on({"source": SOURCE, "mask": None}, (64, 48)).to_wire()
    assert (wire["method_version"], wire["model"]) == (2, RECIPE["model"])
    assert not wire.keys() & {"job", "variation", "rank", "score", "later", "lease"}
    assert wire["inputs"]["mask"] is None and wire["canvas"] == [64, 48]
    assert recipe.again(seed=-1, variations=1).seed == -1


def test_the_recipe_of_one_variation_has_its_own_seed():
    alone = Recipe.from_wire(RECIPE).of_layer()
    assert (alone.request.seed, alone.request.variations) == (1, 1)
    assert alone.written == RECIPE | {"seed": 1, "variations": 1}


def test_more_like_a_result_names_its_seed_and_the_steps_that_led_to_it():
    (group,) = fields_from_schema(AROUND)
    first = Recipe.from_wire(REQUEST | {"seed": MAX_SEED, "variations": 4, "variation": 1, "job": "j"})
    edit = first.more_like(group, 0.25, variations=3)
    assert edit.parameters["around"] == [{"seed": 0, "distance": 0.25}]
    assert (edit.seed, edit.variations, edit.prompt) == (-1, 3, first.request.prompt)
    wire = REQUEST | {"seed": 90, "variation": 2, "parameters": dict(edit.parameters)}
    second = Recipe.from_wire(wire).more_like(group, 0.1, variations=2, seed=5)
    steps = [{"seed": 0, "distance": 0.25}, {"seed": 92, "distance": 0.1}]
    assert second.parameters["around"] == steps and second.seed == 5
    full = Recipe.from_wire(wire | {"parameters": {"around": steps * 2}})
    with pytest.raises(VelaturaError, match="too many steps"):
        full.more_like(group, 0.1, variations=2)


@pytest.mark.parametrize("value", [None, [], {}, {"method": "x"}, RECIPE | {"seed": "7"}])
def test_a_damaged_recipe_is_refused_in_one_sentence(value):
    with pytest.raises(VelaturaError) as caught:
        Recipe.from_wire(value)
    assert (caught.value.code, caught.value.message) == ("bad-request", DAMAGED) and caught.value.detail


def test_a_recipe_of_a_newer_version_says_so():
    with pytest.raises(VelaturaError) as caught:
        Recipe.from_wire(RECIPE | {"velatura": 2})
    assert caught.value.message == NEWER


@given(json_values)
def test_no_recipe_raises_anything_else(value):
    with pytest.raises(VelaturaError):
        Recipe.from_wire(value)


@pytest.mark.parametrize("kept", OLD, ids=lambda kept: json.loads(kept["gimp"])["method"])
def test_recipes_from_before_1_5_are_read(kept):
    """Before protocol 1.5 GIMP kept them in a parasite, Krita in an annotation. Each method has one."""
    parasite, annotation = json.loads(kept["gimp"]), json.loads(kept["krita"])
    assert parasite == annotation["recipe"] | {"gimp": {"source": 17}}
    recipe = Recipe.from_wire(parasite)
    assert recipe.written == parasite
    assert recipe.job == parasite["job"] and recipe.variation == parasite["variation"]
    wire = recipe.request.to_wire()
    assert wire == {key: parasite[key] for key in wire} and len(wire) == 10
    assert Recipe.from_wire(annotation["recipe"]).request == recipe.request
    again = recipe.of_layer().again(prompt="a cap")
    seed = (parasite["seed"] + parasite["variation"]) % 2**31
    assert (again.seed, again.variations, again.prompt) == (seed, 1, "a cap")
    assert again.parameters == parasite["parameters"] and again.model_digest == parasite["model"]["digest"]
