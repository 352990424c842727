"""What the registry says of every method, and to clients."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from tests.patience import patience
from velatura.generators.styles import STYLE
from velatura.methods.checks import lacking
from velatura.methods.kinds import KINDS
from velatura.methods.registry import describe, offer, registry
from velatura.methods.sections import OF_KIND, SECTIONS, section_of
from velatura.models.catalogue import ModelEntry
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.schema import complete, fields_from_schema

METHODS = pytest.mark.parametrize("method", registry().values(), ids=registry().keys())


def test_the_order_of_the_methods():
    """A person begins with two captions. The list goes by section; in a section by place, then title."""
    assert next(iter(registry())) == "flow-align"
    listed = [(describe(method)["section"], method.place, method.title) for method in registry().values()]
    titles = list(SECTIONS.values())
    assert listed == sorted(listed, key=lambda entry: (titles.index(entry[0]), *entry[1:]))
    read = [MethodInfo.from_wire(describe(method)) for method in registry().values()]
    assert [info.section for info in read if info] == [section for section, _, _ in listed]


@METHODS
def test_a_method_of_ours_says_its_section(method):
    """The section for edits that say none is for other packages."""
    assert describe(method)["section"] in set(SECTIONS.values()) - {SECTIONS["other"]}


@pytest.mark.parametrize(
    ("result", "section"), [("layer", "other"), ("mask", "select"), ("text", "describe")]
)
def test_a_method_that_says_no_section_is_in_that_of_its_result(result, section):
    assert section_of("", result) == section
    assert set(OF_KIND) == set(KINDS)


def test_titles_of_sections_are_short_and_differ():
    """They stand in a menu, above the methods' own titles."""
    titles = [*SECTIONS.values(), *(method.title for method in registry().values())]
    assert len(set(titles)) == len(titles)
    assert all(len(title) <= 24 for title in SECTIONS.values())


def test_importing_the_registry_imports_no_torch():
    code = "import sys; from velatura.methods.registry import *; [describe(m) for m in registry().values()]"
    code += "; assert not {'torch', 'diffusers', 'transformers'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=patience(60))


@METHODS
def test_the_schema_is_of_the_protocols_subset(method):
    form = describe(method)["parameters"]
    fields = fields_from_schema(form)
    assert {field.key for field in fields} == set(method.Parameters.model_fields)
    assert all(field.title and field.description for field in fields)
    orders = [field.order for field in fields]  # those that methods share may come last
    assert orders == sorted(set(orders))


@METHODS
def test_a_form_begins_with_what_most_edits_need(method):
    """More than eight settings at once do not fit beside a picture."""
    settings = describe(method)["parameters"]["properties"].values()
    assert sum(not setting["x-advanced"] for setting in settings) <= 8


@METHODS
def test_the_defaults_are_valid_and_the_bounds_are_those_of_the_class(method):
    form = describe(method)["parameters"]
    assert method.Parameters(**complete(form, {})) == method.Parameters()
    for field in fields_from_schema(form):
        if field.kind not in ("integer", "number"):
            continue
        for value in (field.minimum, field.maximum):
            method.Parameters(**{field.key: value})
        for value in (field.minimum - 1, field.maximum + 1, float("nan")):
            with pytest.raises(ValidationError):
                method.Parameters(**{field.key: value})


@METHODS
def test_no_field_is_known_by_its_name_alone(method):
    """What is a prompt, a caption or the surroundings says so, so that nobody has to know its name."""
    marks = {"negative_prompt": "prompt", "held_to": "prompt"}
    marks |= {"source_prompt": "source_prompt", "context": "context"}
    for field in fields_from_schema(describe(method)["parameters"]):
        assert field.key not in marks or getattr(field, marks[field.key])


def test_a_model_says_which_methods_it_lacks_something_for():
    known = [describe(method) for method in registry().values()]
    plain = ModelEntry("plain", "Plain", "diffusers", "/", 64)
    whole = ModelEntry(
        "whole",
        "Whole",
        "diffusers",
        "/",
        64,
        {"captioner": "a/blip", "segmenter": "a/clipseg", "clip": "a/clip"},
    )
    lacks = {model["id"]: set(model["lacks"]) for model in offer(known, [plain, whole])["models"]}
    faces = {method.id for method in registry().values() if method.generator == STYLE}
    other_kinds = {"blended-diffusion", "vqgan-clip", "paint-by-word", "instruct", "fluxspace"} | faces
    guided = {"clip-guided-diffusion", "text2live"}
    assert lacks == {
        "plain": {"describe", "clipseg-mask", "replace-named"} | other_kinds | guided,
        "whole": other_kinds,
    }
    layers = [method for method in known if method["result"] == "layer" and method["id"] == "sdedit"]
    assert offer(layers, [plain])["models"][0]["lacks"] == []  # only what the client is told of
    said = lacking(registry()["clipseg-mask"], plain).message
    assert "'Plain' has no segmenter" in said and "--segmenter" in said
    assert lacking(registry()["clipseg-mask"], whole) is None and lacking(registry()["sdedit"], plain) is None


def test_a_method_on_faces_is_offered_without_variations():
    faces = [describe(method) for method in registry().values() if method.generator == STYLE]
    assert faces and {form["max_variations"] for form in faces} == {1}
