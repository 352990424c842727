"""The kinds of result are one table, and a further one is one class."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import Field

from tests.methods.requests import Edit, Recorded, picture, pixels
from velatura.methods.base import Inputs, Method, Parameters
from velatura.methods.kinds import KINDS, ResultKind
from velatura.methods.registry import describe, registry, since
from velatura.methods.results import ResultLayer
from velatura_protocol.kinds import RESULTS
from velatura_protocol.messages import digest
from velatura_protocol.rasters import Raster


def test_hosts_know_what_to_do_with_every_kind():
    assert {id: kind.since for id, kind in KINDS.items()} == {"layer": 0, "mask": 2, "text": 3}
    assert RESULTS.keys() == KINDS.keys()
    assert [id for id, kind in KINDS.items() if kind.variations] == ["layer"]


@pytest.fixture
def panel_method():
    """A fourth kind, a picture for the panel, and a method of it; the kind is gone afterwards."""

    class PanelPicture(ResultKind):
        id = "panel"
        since = 9
        stage = "Drawing"

        def make(self, work):
            grey = (work.output().float().cpu().numpy() * 255.0).round().astype(np.uint8)
            if work.is_draft:
                work.show_mask(grey / 255.0)
                return []
            data, (height, width) = grey.tobytes(), grey.shape
            raster = Raster(digest(data), width, height, "G", "u8", "sRGB", (0, 0, width, height))
            return [ResultLayer(0, "Seen", work.seeds[0], raster.to_wire(), data, work.recipe, kind="panel")]

    class SeenParameters(Parameters):
        context: float = Field(0.0, ge=0.0, le=1.0, title="Surroundings", description="Seen around it.")

    class Seen(Method):
        id = "seen"
        version = 1
        title = "Seen"
        summary = "Draws what it looks at."
        source = "tests"
        inputs = Inputs(source="required", mask="none", prompt="none")
        result = "panel"
        max_variations = 1
        Parameters = SeenParameters

        def run(self, inputs, params, context):
            context.step(1, 1)
            return (inputs.image[0].mean(0) + 1.0) / 2.0

    yield Seen()
    del KINDS["panel"]


def test_a_fourth_kind_is_one_more_class(models, panel_method, monkeypatch):
    monkeypatch.setattr("velatura.methods.execute.registry", lambda: {**registry(), "seen": panel_method})
    described = describe(panel_method)
    assert described["result"] == "panel" and since(described) == 9
    edit = Edit(picture(), method="seen", parameters={}, prompt="")
    hooks = Recorded()
    (made,) = edit.run(models, hooks)
    assert (made.kind, made.title, made.seed) == ("panel", "Seen", 7)
    assert pixels(made).shape == (64, 64, 1) and pixels(made).std() > 10
    assert "Drawing" in hooks.stages
    edit.request["draft"] = True
    hooks = Recorded()
    assert edit.run(models, hooks) == [] and len(hooks.previews) == 1


def test_a_fourth_kind_says_what_it_allows(panel_method):
    whole = dict(vars(type(panel_method)))
    with pytest.raises(TypeError, match=r"Several\.max_variations has to be 1 where the result is 'panel'"):
        type("Several", (Method,), whole | {"max_variations": 2})
