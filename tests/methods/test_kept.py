"""What is kept between edits changes no byte of a result, and the door to it serves any method."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import Field

from tests.methods.requests import Edit, Recorded, box, picture
from velatura.cache.cache import Cache
from velatura.cache.keys import key_of
from velatura.methods.base import Cancelled, Method, Parameters, Stage
from velatura.methods.execute import execute
from velatura_protocol.errors import VelaturaError

MASK = box(64, 64, (16, 48), (16, 48))
CAPTION = {"source_prompt": "a red hat", "steps": 4}
ASKED = {
    "sdedit": {"steps": 4},
    "blended-latent-diffusion": {"steps": 4},
    "lanpaint": {"steps": 4, "thinking": 1},
    "kv-edit": {"steps": 4, "reading": "inversion"},
    "imagic": {"steps": 4, "text_steps": 3, "layer_steps": 3},
    "flow-align": CAPTION,
    **{
        f"sega, {start}": CAPTION | {"concepts": [{"more": "snow"}], "only_changes": False} | more
        for start, more in (
            ("direct", {}),
            ("edit-friendly", {"inversion": "edit-friendly"}),
            ("new", {"start": "new"}),
            ("even", {"even": True}),
        )
    },
    "h-space": CAPTION | {"dials": [{"more": "snow"}], "only_changes": False, "tries": 2},
    "flow-slider": CAPTION | {"dials": [{"less": "red", "more": "blue"}]},
    **{
        f"prompt-to-prompt, {inversion}": CAPTION | {"inversion": inversion, "local_blend": False}
        for inversion in (
            "direct",
            "fireflow",
            "dna",
            "ddim",
            "negative-prompt",
            "null-text",
            "edit-friendly",
        )
    },
}


def asked(method, **parameters):
    prompt = "" if method in ("flow-slider", "h-space", "sega") else "a blue hat"
    return Edit(picture(64, 64), MASK, method=method, prompt=prompt, parameters=parameters)


def run(edit, models, cache, hooks=None):
    return execute(edit.request, edit.blobs.__getitem__, models, hooks or Recorded(), cache)[0].data


@pytest.mark.parametrize("name", ASKED)
def test_a_recipe_gives_the_same_bytes_whatever_is_kept(name, models, tmp_path):
    edit = asked(name.partition(",")[0], **ASKED[name])
    alone = run(edit, models, None)
    for _ in range(2):  # the second time in another process
        kept = Cache(tmp_path, memory=1 << 26, disk=1 << 24)
        assert [run(edit, models, kept) for _ in range(2)] == [alone, alone]


def test_a_new_picture_that_is_kept_is_the_same_to_a_level(models, tmp_path):
    """While its source is unknown the two share a pass, and a pass of more rows rounds otherwise."""
    edit = asked("prompt-to-prompt", **CAPTION, start="new", local_blend=False)
    alone = np.frombuffer(run(edit, models, None), np.uint8).astype(int)
    for _ in range(2):
        kept = Cache(tmp_path, memory=1 << 26, disk=1 << 24)
        for _ in range(2):
            again = np.frombuffer(run(edit, models, kept), np.uint8)
            assert np.abs(again - alone).max() <= 1


class FittedParameters(Parameters):
    steps: int = Field(6, ge=1, le=9, title="Steps", description="Of the fit.")
    avoided: str = Field("", title="Not", description="What not.", json_schema_extra={"x-prompt": True})


class Fitted(Method):
    """Fits a colour to the layer and lays it over: as Imagic fits an embedding, but quickly."""

    id, version, title, summary, source = "fitted", 1, "Fitted", "Its mean colour.", "tests"
    Parameters = FittedParameters

    def run(self, inputs, params, context):
        def make(begun):
            for i in range(len(begun), params.steps):
                before = begun[-1] if begun else torch.zeros(1, 3, 1, 1)
                begun.append(before + (inputs.image.mean((2, 3), keepdim=True) - before) / 2.0)
                context.step(i + 1, params.steps, stage=Stage("Getting to know the layer", 0.75))
            return {"colour": begun[-1], "steps": params.steps}

        key = key_of(context.model, fitted=inputs.image, steps=params.steps)
        colour = context.kept(key, make, on_disk=True)["colour"]
        context.step(1, 1)
        return colour.expand_as(inputs.image).repeat(len(inputs.seeds), 1, 1, 1)


@pytest.fixture
def fitted(monkeypatch):
    monkeypatch.setattr("velatura.methods.execute.registry", lambda: {"fitted": Fitted()})
    return Edit(picture(64, 64), MASK, method="fitted", parameters={"steps": 6})


def test_a_method_that_fits_something_to_a_layer_does_so_once_and_goes_on(fitted, models, tmp_path):
    alone = run(fitted, models, None)
    seen = []
    for stop in (2, 1, None, None):  # the step in which it is cancelled is finished, and not told any more
        hooks = Recorded(cancel_after=stop)
        kept = Cache(tmp_path, memory=1 << 20, disk=1 << 20)
        if stop is not None:
            with pytest.raises(Cancelled):
                run(fitted, models, kept, hooks)
        else:
            assert run(fitted, models, kept, hooks) == alone
        seen.append(hooks.during.count("Getting to know the layer"))
        assert hooks.fractions == sorted(hooks.fractions) and hooks.fractions[-1] <= 1.0
    assert seen == [2, 1, 1, 0]


def test_a_prompt_of_any_name_is_refused_where_the_model_would_not_read_it_whole(fitted, models):
    fitted.request["parameters"]["avoided"] = "hat " * 200
    with pytest.raises(VelaturaError) as refused:
        run(fitted, models, None)
    assert refused.value.code == "prompt-too-long"
    assert refused.value.message.startswith("“Not” is about") and "shorten it" in refused.value.message
