"""What the broker makes of a request before it is a job."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from pydantic import Field, field_validator

from tests.daemon.samples import request
from tests.methods.requests import Recorded
from tests.more_methods.velatura_examples.shades import ShadesParameters
from tests.patience import patience
from velatura.daemon.broker.submission import complete_request
from velatura.daemon.outgoing import fits
from velatura.methods import fields
from velatura.methods.base import Inputs, Method, Parameters
from velatura.methods.execute import execute
from velatura.methods.registry import describe, offer, registry
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError
from velatura_protocol.results import MAX_LAYERS, MAX_NOTE, MAX_TITLE


class Words(Parameters):
    words: str = Field("none", max_length=100_000, title="Words", description="Some.")


class Captioned(Parameters):
    caption: str = fields.source_prompt()


class Guided(Parameters):
    guidance: float = fields.guidance(3.0)


def method(**changes):
    """A method of these class variables."""
    own = {
        "id": "m",
        "version": 3,
        "title": "Method",
        "summary": "Does.",
        "source": "tests",
        "inputs": Inputs(prompt="optional"),
        "Parameters": Words,
        "run": lambda *_: pytest.fail("it ran"),
    }
    return type("Made", (Method,), own | changes)()


METHOD = method()
MASKS = method(result="mask", max_variations=1, Parameters=ShadesParameters)
MODELS = [
    ModelEntry("first", "First", "diffusers", "/", 64),
    ModelEntry("other", "Other", "diffusers", "/", 64),
]


def complete(asked=METHOD, **changes):
    wanted = request(**{"method": asked.id, "parameters": {}, **changes})
    return complete_request(wanted, {asked.id: asked}, MODELS)


def refusal(asked=METHOD, **changes):
    with pytest.raises(VelaturaError) as raised:
        complete(asked, **changes)
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
    captioned = method(Parameters=Captioned)
    found = complete(captioned, prompt="a man, red hair, glasses", parameters={"caption": caption})[1]
    assert found == title


def test_an_edit_by_dials_is_told_by_them():
    slider = registry()["flow-slider"]
    dials = [{"less": "short", "more": "long", "strength": -1.5}, {"more": "hat", "strength": 0}]
    dials.append({"more": "beard", "strength": 1})
    values = {"source_prompt": "a man", "dials": dials}
    titled = lambda prompt: complete(slider, prompt=prompt, parameters=values)[1]  # noqa: E731
    assert titled("") == f"short → long −1.5, + beard 1 · {slider.title}"
    assert titled("a man with a hat") == f"+ with a hat, short → long −1.5, + beard 1 · {slider.title}"


def test_a_model_has_defaults_of_its_own():
    guided = method(Parameters=Guided)
    models = [replace(MODELS[0], guidance=7.5), MODELS[1]]

    def guidance(model, **given):
        wanted = request(method="m", model={"id": model, "digest": ""}, parameters=given)
        return complete_request(wanted, {"m": guided}, models)[0]["parameters"]["guidance"]

    assert (guidance("first"), guidance(""), guidance("other")) == (7.5, 7.5, 3.0)
    assert guidance("first", guidance=2.0) == 2.0
    offered = offer([describe(guided)], models)
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
    assert refusal(method(inputs=Inputs(**{"prompt": "optional", **needs})), prompt="") == code


def test_recipes_that_would_not_fit_a_message_are_refused():
    parameters = {"words": "€" * 20_000}
    assert complete(parameters=parameters, variations=1)
    assert refusal(parameters=parameters, variations=8) == "too-large"


def test_masks_have_a_recipe_for_each_word():
    assert complete(MASKS, prompt="word " * 75)
    assert refusal(MASKS, prompt="word " * (MAX_LAYERS + 1)) == "bad-request"
    listed = {"words": [{"text": "word"}, {"text": ""}]}
    assert complete(MASKS, prompt="word " * 300, parameters=listed)


@pytest.mark.parametrize("blank", ["", " ", " \t\u3000"])
def test_an_entry_without_a_word_does_not_count(blank):
    """A method ignores it and makes a mask of every word of the prompt."""
    listed = {"words": [{"text": blank}]}
    assert refusal(MASKS, prompt="word " * (MAX_LAYERS + 1), parameters=listed) == "bad-request"
    long = {"words": [{"text": blank}] * 64}
    assert complete(MASKS, prompt="word " * 20, parameters=long)
    crowded = {"words": [{"text": (blank * 200)[:200], "which": 1000} for _ in range(64)]}
    assert refusal(MASKS, prompt="word " * 75, parameters=crowded) == "too-large"


@pytest.mark.parametrize("result", ["mask", "layer"])
def test_the_largest_result_of_an_accepted_request_fits_a_message(result):
    many = MAX_LAYERS if result == "mask" else 8
    made = MASKS if result == "mask" else METHOD
    variations = 1 if result == "mask" else many
    length = 1
    while True:  # the longest that is accepted, to within a tenth
        prompt = " ".join("é" * length for _ in range(many))[:2000]
        parameters = {} if result == "mask" else {"words": "é" * length}
        try:
            whole, _ = complete(made, prompt=prompt, variations=variations, parameters=parameters)
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
    assert complete(method(drafts=True), draft=True)[0]["draft"]
    assert refusal(method(drafts=False), draft=True) == "bad-request"
    assert "draft" not in complete(method(drafts=False))[0]


CAPTION = {"source_prompt": "a man"}


@pytest.mark.parametrize(
    ("id", "changes", "code", "said"),
    [
        ("magic", {}, "unknown-method", "The daemon has no method 'magic'"),
        ("sdedit", {"method_version": 2}, "unknown-method", "version 2 of “Repaint from its colours”"),
        ("sdedit", {"variations": 9}, "bad-request", "at most 8 variations"),
        ("word-map", {"parameters": {"words": 1}}, "bad-request", "Words"),
        ("sdedit", {"parameters": {"no": 1}}, "bad-request", "no parameter 'no'"),
        (
            "sdedit",
            {"model": {"id": "third", "digest": ""}},
            "unknown-model",
            "The daemon has no model 'third'",
        ),
        ("sdedit", {"prompt": " \n"}, "empty-prompt", "“Repaint from its colours” needs a prompt"),
        ("describe", {"prompt": "a hat"}, "bad-request", "takes no prompt"),
        ("clipseg-mask", {}, "unknown-model", "has no segmenter"),
        ("flow-align", {}, "empty-prompt", "Describe what the layer shows now"),
        ("flow-slider", {"prompt": "", "parameters": CAPTION}, "bad-request", "Add a dial"),
        ("flow-mask", {"prompt": " a  man", "parameters": CAPTION}, "bad-request", "change a word"),
        ("diffedit-mask", {}, "empty-prompt", "Describe what the layer shows now"),
        ("prompt-to-prompt", {}, "empty-prompt", "Describe what the layer shows now"),
        ("prompt-to-prompt", {"variations": 2, "parameters": CAPTION}, "bad-request", "one variation"),
        (
            "prompt-to-prompt",
            {"parameters": CAPTION | {"words": [{"text": "cat"}]}},
            "bad-request",
            "The prompt has no 'cat'",
        ),
        ("word-map", {"prompt": "..."}, "empty-prompt", "no words"),
        ("word-map", {"parameters": {"words": [{"text": "cat"}]}}, "bad-request", "no 'cat'"),
    ],
)
def test_broker_and_worker_refuse_in_the_same_words_before_any_work(id, changes, code, said):
    """The worker has no pixels here and must not load a model."""
    wanted = request(**{"method": id, "parameters": {}, **changes})
    with pytest.raises(VelaturaError, match=said) as in_broker:
        complete_request(wanted, registry(), MODELS)
    with pytest.raises(VelaturaError) as late:
        execute(wanted, dict[str, bytes]().__getitem__, ModelStore(MODELS), Recorded())
    assert in_broker.value.code == code
    assert (late.value.code, late.value.message) == (code, in_broker.value.message)


CHECK_ALL = """
import sys
from velatura.methods.registry import registry

marked = {"x-source-prompt": "a cat", "x-thing": "cat"}
marked |= {"x-words": [{"text": "hat"}], "x-dials": [{"more": "hat"}]}
sliders = {"face-dials": {"dials": [{"dial": "0123456789abcdef"}]}}
for method in registry().values():
    values = {}
    for key, field in method.Parameters.model_fields.items():
        values |= {key: value for mark, value in marked.items() if mark in (field.json_schema_extra or {})}
    params = method.Parameters(**values, **sliders.get(method.id, {}))
    method.varies(params)
    method.check("a hat", params)
print("torch" in sys.modules)
"""


def test_what_the_broker_asks_of_a_method_imports_no_torch():
    run = [sys.executable, "-c", CHECK_ALL]
    done = subprocess.run(run, capture_output=True, text=True, timeout=patience(60), check=True)
    assert done.stdout == "False\n"


def test_a_line_break_in_the_prompt_reaches_the_method():
    """Some methods take it for a comma, so only the space around a prompt is taken away."""
    read = []
    reading = method(check=lambda self, prompt, params: read.append(prompt))
    complete(reading, prompt="  a hat\na  cat ")
    assert read == ["a hat\na  cat"]


def test_settings_that_the_class_itself_refuses_are_a_bad_request():
    class Paired(Words):
        @field_validator("words")
        @classmethod
        def odd(cls, value):
            if value == "even":
                raise ValueError("not odd")
            return value

    assert refusal(method(Parameters=Paired), parameters={"words": "even"}) == "bad-request"
