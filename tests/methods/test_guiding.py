"""The strength of guidance reaches a model in the form that it has."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.methods.requests import Edit, Recorded, box, picture
from tests.models import flows
from tests.models.test_unets import with_unet
from tests.tiny import tiny_model
from tests.tiny_flux1 import tiny_flux1
from tests.tiny_sd3 import tiny_sd3
from velatura.methods import checks, guiding, registry
from velatura.methods.execute import execute
from velatura.models.catalogue import ModelEntry
from velatura.models.families import flux1, sd, sd3
from velatura.models.recognition import Found, recognise
from velatura.models.store import ModelStore
from velatura.models.traits import EMBEDDED_GUIDANCE, NO_GUIDANCE
from velatura_protocol.errors import VelaturaError
from velatura_protocol.requests import Request


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


def test_a_latent_consistency_model_takes_one_pass(tmp_path):
    folder = with_unet(tiny_model(tmp_path), time_cond_proj_dim=16)
    model = ModelStore([ModelEntry("lcm", "LCM", "diffusers", str(folder), 64)]).get("lcm")
    for method in ("sdedit", "imagic", "magicmix", "prompt-to-prompt", "diffedit", "lanpaint"):
        params = registry.registry()[method].Parameters(guidance=3.0)
        at, params = guiding.settled(model, params)
        assert params.guidance == 1.0 and at.digest == f"{model.digest} at guidance 3", method
    with pytest.raises(VelaturaError, match="empty “Avoid”"):
        guiding.settled(model, registry.registry()["sdedit"].Parameters(negative_prompt="a dog"))


@pytest.mark.parametrize("trait", [EMBEDDED_GUIDANCE, NO_GUIDANCE])
def test_it_is_refused_before_the_model_is_loaded(tmp_path, trait):
    """As the broker checks a request, in the words of the worker."""
    entry = ModelEntry("m", "M", "file", "m", 64, found=Found("flux1", "file", tmp_path, 64))
    asked = Edit(
        picture(64, 64),
        box(64, 64, (16, 48), (16, 48)),
        method="sdedit",
        parameters={"negative_prompt": "a dog"},
        prompt="a red hat",
    )
    request = Request.from_wire(asked.request)
    checks.check(request, registry.registry(), lambda *_: entry)
    entry = replace(entry, found=replace(entry.found, traits=frozenset({trait})))
    with pytest.raises(VelaturaError, match="“Avoid”") as refused:
        checks.check(request, registry.registry(), lambda *_: entry)
    assert refused.value.code == "bad-request"


def test_turbo_takes_no_guidance(tmp_path):
    found = recognise(tiny_model(tmp_path / "sd-turbo"))
    assert found and not found.takes_guidance
    assert not sd.load(found, "m", "d", torch.device("cpu"), torch.float32).takes_guidance


def test_other_models_are_as_they_were(tmp_path):
    model = ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(tiny_model(tmp_path)), 64)]).get("tiny")
    params = registry.registry()["sdedit"].Parameters(guidance=7.0, negative_prompt="a dog")
    assert guiding.settled(model, params) == (model, params)
    assert model.takes_guidance
