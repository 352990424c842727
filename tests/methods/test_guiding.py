"""The strength of guidance reaches a model in the form that it has."""

from __future__ import annotations

import pytest

from tests.methods.requests import Edit, Recorded, box, picture
from tests.models import flows
from tests.tiny import tiny_model
from tests.tiny_flux1 import tiny_flux1
from tests.tiny_sd3 import tiny_sd3
from velatura.methods import guiding, registry
from velatura.methods.execute import execute
from velatura.models.catalogue import ModelEntry
from velatura.models.families import flux1, sd3
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError


def edit(model, **parameters):
    """An edit with it, and the numbers of rows of its network's passes."""
    rows = []

    class Counted(type(model)):
        def velocity(self, x, *rest):
            rows.append(len(x))
            return super().velocity(x, *rest)

    counted = object.__new__(Counted)
    counted.__dict__.update(model.__dict__)
    asked = Edit(
        picture(64, 64),
        box(64, 64, (16, 48), (16, 48)),
        method="sdedit",
        parameters={"steps": 4} | parameters,
        prompt="a red hat",
    )
    (result,) = execute(asked.request, asked.blobs.__getitem__, flows.Holding(counted), Recorded())
    return bytes(result.data), rows


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    return flows.loaded(flux1.load, tiny_flux1(tmp_path_factory.mktemp("dev")))


@pytest.fixture(scope="module")
def schnell(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schnell")
    return flows.loaded(flux1.load, tiny_flux1(folder, schnell=True))


def test_an_embedded_scale_is_that_of_the_parameter(dev):
    low, rows = edit(dev, guidance=1.0)
    assert set(rows) == {1}  # one pass a step
    high, rows = edit(dev, guidance=9.0)
    assert set(rows) == {1} and high != low
    assert edit(dev.at_guidance(2.0), guidance=9.0)[0] == high


def test_a_model_without_guidance_runs_without_it(schnell):
    assert not schnell.takes_guidance
    plain, rows = edit(schnell, guidance=1.0)
    assert set(rows) == {1}
    assert edit(schnell, guidance=9.0) == (plain, rows)


def test_guidance_of_two_passes_stays_with_the_method(tmp_path):
    model = flows.loaded(sd3.load, tiny_sd3(tmp_path))
    plain, rows = edit(model, guidance=1.0)
    assert set(rows) == {1}
    guided, rows = edit(model, guidance=5.0, negative_prompt="a dog")
    assert set(rows) == {2} and guided != plain


def test_what_cannot_be_avoided_is_refused(dev, schnell):
    for model in (dev, schnell):
        with pytest.raises(VelaturaError, match="empty “Avoid”") as refused:
            edit(model, negative_prompt="a dog")
        assert refused.value.code == "bad-request"
        edit(model, negative_prompt="  ")


def test_methods_without_the_parameter_get_the_model_as_it_is(dev):
    (params,) = [m.Parameters() for m in registry.registry().values() if m.id == "flow-align"]
    assert guiding.settled(dev, params) == (dev, params)


def test_other_models_are_as_they_were(tmp_path):
    model = ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(tiny_model(tmp_path)), 64)]).get("tiny")
    params = registry.registry()["sdedit"].Parameters(guidance=7.0, negative_prompt="a dog")
    assert guiding.settled(model, params) == (model, params)
    assert model.takes_guidance
