"""What the broker makes of a request before it is a job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.daemon.samples import request
from tests.more_methods.velatura_examples.shades import ShadesParameters
from velatura.daemon.broker.submission import complete_request
from velatura.daemon.outgoing import fits
from velatura.methods.base import schema
from velatura.methods.registry import describe, offer, registry
from velatura.models.catalogue import ModelEntry
from velatura_protocol.errors import VelaturaError
from velatura_protocol.results import MAX_LAYERS, MAX_NOTE, MAX_TITLE

METHOD = {
    "id": "m",
    "version": 3,
    "title": "Method",
    "inputs": {"source": "required", "mask": "optional", "prompt": "optional"},
    "result": "layer",
    "max_variations": 8,
    "parameters": {
        "type": "object",
        "properties": {
            "words": {
                "type": "string",
                "title": "Words",
                "description": "Some.",
                "default": "none",
                "maxLength": 100_000,
                "x-order": 0,
                "x-advanced": False,
            }
        },
    },
}
MODELS = [
    ModelEntry("first", "First", "diffusers", "/", 64),
    ModelEntry("other", "Other", "diffusers", "/", 64),
]


def complete(method=METHOD, **changes):
    wanted = request(**{"method": "m", "parameters": {}, **changes})
    return complete_request(wanted, {"m": method}, MODELS)


def refusal(method=METHOD, **changes):
    with pytest.raises(VelaturaError) as raised:
        complete(method, **changes)
    return raised.value.code


def test_everything_is_filled_in():
    whole, title = complete(seed=-1, prompt=" a\nhat ", lease=True, later=1)
    assert whole["method_version"] == 3
    assert whole["model"] == {"id": "first", "digest": ""}
    assert whole["parameters"] == {"words": "none"}
    assert 0 <= whole["seed"] < 2**31
    assert "lease" not in whole and "draft" not in whole
    assert "later" not in whole
    assert title == "a hat · Method"


@pytest.mark.parametrize(
    ("prompt", "title"),
    [("", "Method"), ("x" * 91, "x" * 91 + " · Method"), ("x" * 92, "x" * 90 + "… · Method")],
)
def test_a_title_has_the_prompt_first_and_the_method_whole(prompt, title):
    found = complete(prompt=prompt)[1]
    assert found == title and len(found) <= 100


@pytest.mark.parametrize(
    ("caption", "title"),
    [
        ("a man, brown hair", "brown → red, + glasses · Method"),
        ("two boats at sea", "a man, red hair, glasses · Method"),
        ("", "a man, red hair, glasses · Method"),
    ],
)
def test_an_edit_of_a_caption_is_told_by_what_it_changes(caption, title):
    form = {**METHOD["parameters"]["properties"]["words"], "x-source-prompt": True, "default": ""}
    method = {**METHOD, "parameters": {"type": "object", "properties": {"caption": form}}}
    found = complete(method, prompt="a man, red hair, glasses", parameters={"caption": caption})[1]
    assert found == title


def test_an_edit_by_dials_is_told_by_them():
    offered = describe(registry()["flow-slider"])
    dials = [{"less": "short", "more": "long", "strength": -1.5}, {"more": "hat", "strength": 0}]
    dials.append({"more": "beard", "strength": 1})
    values = {"source_prompt": "a man", "dials": dials}
    titled = lambda prompt: complete(offered, prompt=prompt, parameters=values)[1]  # noqa: E731
    assert titled("") == f"short → long −1.5, + beard 1 · {offered['title']}"
    assert titled("a man with a hat") == f"+ with a hat, short → long −1.5, + beard 1 · {offered['title']}"


def test_a_model_has_defaults_of_its_own():
    number = {"type": "number", "title": "G", "description": "G.", "minimum": 1.0, "maximum": 20.0}
    form = {"guidance": {**number, "default": 3.0, "x-order": 0, "x-advanced": False}}
    method = {**METHOD, "parameters": {"type": "object", "properties": form}}
    models = [replace(MODELS[0], guidance=7.5), MODELS[1]]

    def guidance(model, **given):
        wanted = request(method="m", model={"id": model, "digest": ""}, parameters=given)
        return complete_request(wanted, {"m": method}, models)[0]["parameters"]["guidance"]

    assert (guidance("first"), guidance(""), guidance("other")) == (7.5, 7.5, 3.0)
    assert guidance("first", guidance=2.0) == 2.0
    offered = offer([method], models)
    assert offered["methods"][0]["parameters"]["properties"]["guidance"]["default"] == 7.5
    assert [model["defaults"] for model in offered["models"]] == [{"guidance": 7.5}, {}]


def test_what_is_given_is_kept():
    whole, _ = complete(seed=7, model={"id": "other", "digest": ""}, parameters={"words": "two words"})
    assert (whole["seed"], whole["model"]["id"]) == (7, "other")
    assert whole["parameters"] == {"words": "two words"}


@pytest.mark.parametrize(
    ("needs", "code"),
    [({"mask": "required"}, "empty-mask"), ({"prompt": "required"}, "empty-prompt")],
)
def test_needs_of_the_method_are_checked(needs, code):
    method = {**METHOD, "inputs": {**METHOD["inputs"], **needs}}
    assert refusal(method, prompt="") == code


def test_recipes_that_would_not_fit_a_message_are_refused():
    parameters = {"words": "€" * 20_000}
    assert complete(parameters=parameters, variations=1)
    assert refusal(parameters=parameters, variations=8) == "too-large"


def test_masks_have_a_recipe_for_each_word():
    method = {**METHOD, "result": "mask", "max_variations": 1, "parameters": schema(ShadesParameters)}
    assert complete(method, prompt="word " * 75)
    assert refusal(method, prompt="word " * (MAX_LAYERS + 1)) == "bad-request"
    listed = {"words": [{"text": "word"}, {"text": ""}]}
    assert complete(method, prompt="word " * 300, parameters=listed)


@pytest.mark.parametrize("blank", ["", " ", " \t\u3000"])
def test_an_entry_without_a_word_does_not_count(blank):
    """A method ignores it and makes a mask of every word of the prompt."""
    method = {**METHOD, "result": "mask", "max_variations": 1, "parameters": schema(ShadesParameters)}
    listed = {"words": [{"text": blank}]}
    assert refusal(method, prompt="word " * (MAX_LAYERS + 1), parameters=listed) == "bad-request"
    long = {"words": [{"text": blank}] * 64}
    assert complete(method, prompt="word " * 20, parameters=long)
    crowded = {"words": [{"text": (blank * 200)[:200], "which": 1000} for _ in range(64)]}
    assert refusal(method, prompt="word " * 75, parameters=crowded) == "too-large"


@pytest.mark.parametrize("result", ["mask", "layer"])
def test_the_largest_result_of_an_accepted_request_fits_a_message(result):
    many = MAX_LAYERS if result == "mask" else 8
    method = {**METHOD, "result": result, "max_variations": 1 if result == "mask" else 8}
    if result == "mask":
        method["parameters"] = schema(ShadesParameters)
    variations = 1 if result == "mask" else many
    length = 1
    while True:  # the longest that is accepted, to within a tenth
        prompt = " ".join("é" * length for _ in range(many))[:2000]
        parameters = {} if result == "mask" else {"words": "é" * length}
        try:
            whole, _ = complete(method, prompt=prompt, variations=variations, parameters=parameters)
        except VelaturaError as error:
            assert error.code == "too-large"
            break
        if result == "mask" and len(prompt) == 2000:
            break
        length = length * 11 // 10 + 1
    source = whole["inputs"]["source"]
    recipe = whole | {"model": {"id": "first", "digest": source["digest"]}, "job": "x" * 36, "variation": 79}
    place = {
        "rank": 7,
        "score": 0.1234,
        "scores": dict.fromkeys(("prompt", "whole", "likeness", "seam"), 0.1234),
    }
    place = {} if result == "mask" else place
    layer = {"index": 79, "title": "\U0001f3a8" * MAX_TITLE, "seed": 2**31 - 1, "kind": "mask", **place}
    layer |= {"raster": source | {"profile": "\U0001f3a8" * 200}, "recipe": recipe | place}
    assert fits({"type": "job", "result": {"layers": [layer] * many, "note": "é" * MAX_NOTE}})


def test_a_draft_stays_one():
    assert complete(draft=True)[0]["draft"] is True
    assert "draft" not in complete(draft=False)[0]
    with pytest.raises(VelaturaError, match="draft"):
        complete(draft="yes")


def test_a_draft_of_a_method_that_gives_none_is_refused():
    assert complete(draft=True)[0]["draft"]
    assert complete(METHOD | {"drafts": True}, draft=True)[0]["draft"]
    assert refusal(METHOD | {"drafts": False}, draft=True) == "bad-request"
    assert "draft" not in complete(METHOD | {"drafts": False})[0]
