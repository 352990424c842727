"""The start level of edit-friendly inversion, in each method that has it."""

from __future__ import annotations

import pytest

from tests.methods.requests import Edit, Recorded, box, picture
from velatura.methods.execute import execute
from velatura.methods.registry import registry

CAPTION = {"source_prompt": "a red hat", "steps": 10}
ASKED = {
    "prompt-to-prompt": CAPTION | {"local_blend": False},
    "sega": CAPTION
    | {"concepts": [{"more": "snow", "strength": 100.0, "reach": 1.0}], "only_changes": False},
    "h-space": CAPTION | {"dials": [{"more": "snow"}], "only_changes": False, "tries": 1},
    "compose": CAPTION | {"local_blend": False, "only_changes": False},
}


def run(method, models, **parameters):
    hooks = Recorded()
    asked = Edit(
        picture(64, 64, dtype="u16"),
        box(64, 64, (16, 48), (16, 48)),
        method=method,
        prompt="" if method in ("sega", "h-space") else "a blue hat",
        parameters=ASKED[method] | parameters,
    )
    (layer,) = execute(asked.request, asked.blobs.__getitem__, models, hooks)
    editing = [step for stage, step in zip(hooks.during, hooks.steps, strict=True) if stage == "Editing"]
    return layer.data, editing


def test_every_method_with_edit_friendly_noise_has_it():
    offered = {
        id
        for id, method in registry().items()
        if "edit-friendly" in str(method.Parameters.model_fields.get("inversion"))
    }
    assert offered == {
        id for id, method in registry().items() if "noise_start" in method.Parameters.model_fields
    }
    assert {id for id in offered if not registry()[id].trait} == set(ASKED)


@pytest.mark.parametrize("method", ASKED)
def test_a_lower_start_skips_the_highest_levels(method, models):
    whole, steps = run(method, models, inversion="edit-friendly")
    part, fewer = run(method, models, inversion="edit-friendly", noise_start=0.6)
    assert steps[-1] == (10, 10) and fewer[-1] == (6, 6)
    assert whole != part


def test_it_is_for_edit_friendly_noise_alone(models):
    assert run("prompt-to-prompt", models, noise_start=0.6) == run("prompt-to-prompt", models)
    new = {"start": "new", "inversion": "edit-friendly"}
    assert run("prompt-to-prompt", models, noise_start=0.6, **new) == run("prompt-to-prompt", models, **new)
