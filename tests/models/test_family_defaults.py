"""The defaults that a family gives to methods fit their forms, and a person's own scale comes first."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from velatura.methods.checks import suits
from velatura.methods.parameters import schema
from velatura.methods.registry import registry
from velatura.models.catalogue import ModelEntry
from velatura.models.recognition import FAMILIES, Found
from velatura.models.traits import EMBEDDED_GUIDANCE, FEW_STEPS, INPAINTING, INSTRUCTS, NO_GUIDANCE
from velatura_protocol.schema import complete, fields_from_schema, own_defaults, with_defaults

TRAITS = (EMBEDDED_GUIDANCE, FEW_STEPS, INPAINTING, INSTRUCTS, NO_GUIDANCE)
HELD = [frozenset(held) for n in range(3) for held in combinations(TRAITS, n)]


def entry(family, held=frozenset(), guidance=None):
    found = Found(family, "folder", Path("somewhere"), 1024, held)
    return ModelEntry("it", "It", "file", "somewhere", 1024, guidance=guidance, found=found)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_default_fits_the_form_of_every_method(family):
    known = registry()
    for held in HELD:
        defaults = FAMILIES[family].defaults(held)
        model = entry(family, held)
        for id, method in known.items():
            if not suits(method, model):
                continue
            form = with_defaults(schema(method.Parameters), defaults, id)
            own = own_defaults(defaults, id)
            values = complete(form, {})
            assert {name: values[name] for name in own if name in values} == pytest.approx(
                {name: value for name, value in own.items() if name in values}
            )
            for field in fields_from_schema(form):
                if field.key in own and getattr(field, "step", None):
                    steps = own[field.key] / field.step
                    assert steps == pytest.approx(round(steps)), (id, field.key)


@pytest.mark.parametrize("family", FAMILIES)
def test_defaults_for_one_method_name_it_and_one_of_its_parameters(family):
    known = registry()
    for _, some in FAMILIES[family].settings:
        for name in some:
            method, point, parameter = name.rpartition(".")
            assert not point or parameter in known[method].Parameters.model_fields, name
            assert point or any(name in one.Parameters.model_fields for one in known.values()), name


@pytest.mark.parametrize(
    "family", sorted(FAMILIES.keys() - {"kandinsky2"})
)  # nobody has distilled Kandinsky 2.2
def test_a_model_of_few_steps_runs_a_flow_in_no_fewer_than_eight(family):
    """FlowEdit's difference of velocities needs them (Kulikov et al. 2025)."""
    distilled = FAMILIES[family].defaults({FEW_STEPS, NO_GUIDANCE})
    assert distilled["steps"] < 10 and distilled["guidance"] == 1.0
    assert own_defaults(distilled, "flow-align")["steps"] >= 8


def test_a_persons_own_scale_holds_for_every_method():
    usual = entry("flux1", guidance=3.5)
    assert own_defaults(usual.defaults, "kv-edit")["guidance"] == 5.5
    assert own_defaults(usual.defaults, "sdedit")["guidance"] == 3.5
    own = entry("flux1", guidance=2.0)
    assert own_defaults(own.defaults, "kv-edit")["guidance"] == 2.0
    assert own_defaults(own.defaults, "kv-edit")["strength"] == 0.85


def test_published_settings():
    """From the models' cards and the methods' papers."""
    defaults = FAMILIES["flux1"].defaults
    assert defaults({INPAINTING, EMBEDDED_GUIDANCE})["guidance"] == 30.0
    assert defaults({NO_GUIDANCE, FEW_STEPS})["guidance"] == 1.0
    sd3 = own_defaults(FAMILIES["sd3"].defaults(()), "flow-align")
    assert (sd3["strength"], sd3["steps"], sd3["start"], sd3["self_until"]) == (13.5, 33, 0.65, 0.0)
    assert own_defaults(FAMILIES["z-image"].defaults(()), "lanpaint")["size"] == 0.1
