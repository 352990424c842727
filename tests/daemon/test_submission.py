"""What the broker makes of a request before it is a job."""

from __future__ import annotations

import pytest

from tests.daemon.samples import request
from velatura.daemon.submission import complete_request
from velatura.models.catalogue import ModelEntry
from velatura_protocol.errors import VelaturaError

METHOD = {
    "id": "m",
    "version": 3,
    "title": "Method",
    "inputs": {"source": "required", "mask": "optional", "prompt": "optional"},
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
    assert "lease" not in whole
    assert "later" not in whole
    assert title == "Method: a hat"


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
