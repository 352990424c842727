"""What every method has to keep, and what the registry refuses."""

import subprocess
import sys
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from pydantic import Field, ValidationError

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from tests.patience import patience
from tests.tiny import tiny_clip, tiny_pixel_model, tiny_vq
from velatura.generators.styles import STYLE
from velatura.methods import fields
from velatura.methods.base import Cancelled, Inputs, Method, Parameters, schema
from velatura.methods.checks import lacking
from velatura.methods.kinds import KINDS
from velatura.methods.registry import describe, offer, registry
from velatura.methods.sections import OF_KIND, SECTIONS, section_of
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.inputs import RasterInput
from velatura_protocol.schema import complete, fields_from_schema

METHODS = pytest.mark.parametrize("method", registry().values(), ids=registry().keys())
#: Those on faces follow from the layer, and have tests of their own.
EDITING = [m for m in registry().values() if m.result == "layer" and m.generator != STYLE]
EDITORS = pytest.mark.parametrize("method", EDITING, ids=[method.id for method in EDITING])
MASK = box(64, 64, (20, 40), (16, 44))
#: What a method cannot do without, and what makes its seeds matter.
ASKED = {
    "compose": {
        "source_prompt": "a cat",
        "concepts": [{"more": "snow", "strength": 100.0, "begin": 0.0, "reach": 1.0}],
        "inversion": "edit-friendly",
        "local_blend": False,
        "only_changes": False,
    },
    "imagic": {"text_steps": 6, "layer_steps": 6},
    "ledits": {"concepts": [{"text": "snow", "scale": 20.0, "threshold": 0.0}], "start": 1.0},
    "diffedit": {"source_prompt": "a cat", "looks": 6, "threshold": 0.8},
    "replace-named": {"name": "a cat", "threshold": 0.0},
    "vqgan-clip": {"rate": 0.5, "scatter": 0.5, "hold": 0.0, "views": 2},
    "paint-by-word": {"rate": 0.5, "scatter": 0.5, "views": 2},
    "text2live": {"views": 2, "rate": 0.02, "place": "a cat"},
    "prompt-to-prompt": {"source_prompt": "a cat", "inversion": "edit-friendly", "local_blend": False},
    "flow-align": {"source_prompt": "a cat", "only_changes": False, "strength": 20.0},
    "flow-slider": {
        "source_prompt": "a cat",
        "only_changes": False,
        "even": False,  # else it looks at pictures before the first step
        "dials": [{"less": "cat", "more": "dog"}],
    },
    "h-space": {
        "source_prompt": "a cat",
        "inversion": "edit-friendly",
        "only_changes": False,
        "begin": 0.0,
        "tries": 2,  # the prompt is its dial
    },
    "sega": {
        "source_prompt": "a cat",
        "inversion": "edit-friendly",
        "only_changes": False,
        "concepts": [{"more": "a hat", "strength": 60.0}],
    },
}


@pytest.fixture(scope="module")
def models(entries, tmp_path_factory):
    """A model of each kind, with a CLIP."""
    folder = tmp_path_factory.mktemp("vq")
    clip = {"clip": str(tiny_clip(folder / "clip"))}
    vq = ModelEntry("vq", "VQ", "vq", str(tiny_vq(folder / "vq", size=64)), 64, clip, generator="vq")
    pixel = ModelEntry(
        "px", "PX", "pixels", str(tiny_pixel_model(folder / "px", 64)), 64, clip, generator="pixel-diffusion"
    )
    return ModelStore([replace(entries[0], companions={**entries[0].companions, **clip}), pixel, vq])


def ask(method, source, parameters=None, **fields):
    """An edit with a selection. parameters: those of them that the method has; by default four steps."""
    known = method.Parameters.model_fields
    given = {key: value for key, value in (parameters or {"steps": 4}).items() if key in known}
    asked = ASKED.get(method.id, {}) | given
    return Edit(source, MASK, method=method.id, parameters=asked, **fields)


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


@EDITORS
def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(method, models):
    edit = ask(method, picture())
    first, again = edit.run(models)[0], edit.run(models)[0]
    assert first.data == again.data
    edit.request["seed"] = 8
    assert edit.run(models)[0].data != first.data


@EDITORS
def test_a_variation_does_not_depend_on_its_batch(method, models):
    edit = ask(method, picture(dtype="f32"), variations=3)
    batch = edit.run(models)
    edit.request |= {"variations": 1, "seed": 9}
    alone = edit.run(models)[0]
    assert batch[2].seed == alone.seed == 9
    np.testing.assert_allclose(pixels(batch[2]), pixels(alone), atol=1e-4)
    assert np.abs(pixels(batch[1]) - pixels(alone)).max() > 1e-3


@EDITORS
def test_the_prompt_and_the_source_matter(method, models):
    edit = ask(method, picture(dtype="f32"))
    first = edit.run(models)[0].data
    edit.request["prompt"] = "a beard"
    assert edit.run(models)[0].data != first
    other = ask(method, picture(dtype="f32", seed=5)).run(models)[0].data
    assert (other == first) == method.from_nothing


@EDITORS
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_run_stops_within_a_step(method, models, after):
    hooks = Recorded(cancel_after=after)
    with pytest.raises(Cancelled):
        ask(method, picture(), {"steps": 20}).run(models, hooks)
    assert len(hooks.steps) == after


@EDITORS
def test_a_run_stops_before_it_decodes(method, models, monkeypatch):
    model = models.get(models.entry("", lambda entry: lacking(method, entry) is None).id)
    decode, decoded = type(model).decode, []
    monkeypatch.setattr(type(model), "decode", lambda self, z: decoded.append(z) or decode(self, z))
    hooks = Recorded(cancel_after=4)
    edit = ask(method, picture(), {"steps": 4, "strength": 1.0}, variations=2)
    with pytest.raises(Cancelled):
        edit.run(models, hooks)
    assert len(hooks.steps) == 4
    assert len(decoded) == (len(hooks.previews) if method.generator else 0)  # paint needs no decoder


@EDITORS
def test_progress_and_previews_are_told(method, models):
    hooks = Recorded()
    ask(method, picture(), {"steps": 6, "strength": 1.0}).run(models, hooks)
    stages = dict.fromkeys(hooks.during)  # an inversion has steps too
    assert list(stages)[-1] == "Editing" and len(hooks.steps) == 6 * len(stages)
    assert hooks.steps == [(i, 6) for _ in stages for i in range(1, 7)]
    assert hooks.fractions == sorted(hooks.fractions) and hooks.fractions[-1] == 1.0
    assert hooks.stages[0] == "Loading the model"
    step, rgb = hooks.previews[0]
    assert step == 1 and rgb.dtype == np.uint8 and rgb.shape == (64, 64, 3)
    assert np.abs(rgb[:16].astype(int) - picture()[:16, :, :3]).max() <= 1  # outside: the source


class _NoMethod(Parameters):
    steps: int = Field(4, ge=1, le=9, title="Steps", description="How many.")


@pytest.mark.parametrize("missing", ["id", "version", "title", "summary", "source", "Parameters", "run"])
def test_a_method_that_is_not_whole_fails_at_import(missing):
    whole = {"id": "x", "version": 1, "title": "X", "summary": "x", "source": "x", "Parameters": _NoMethod}
    whole |= {"run": lambda self, inputs, params, context: None}
    type("Whole", (Method,), dict(whole))
    del whole[missing]
    with pytest.raises(TypeError, match=missing):
        type("Broken", (Method,), whole)


def test_a_method_of_masks_says_so_and_has_one_variation():
    whole = {"id": "x", "version": 1, "title": "X", "summary": "x", "source": "x", "Parameters": _NoMethod}
    whole |= {"run": lambda self, inputs, params, context: None}
    one = type("One", (Method,), {**whole, "result": "mask", "max_variations": 1})
    assert describe(one())["result"] == "mask"
    assert describe(type("Plain", (Method,), dict(whole))())["result"] == "layer"
    with pytest.raises(TypeError, match="max_variations"):
        type("Many", (Method,), {**whole, "result": "mask"})
    with pytest.raises(TypeError, match="result"):
        type("Other", (Method,), {**whole, "result": "sound"})


def parameters(annotation, field, **more):
    """A class of parameters with the field `x`; more: further ones, each (annotation, field)."""
    known = {"x": (annotation, field), **more}
    notes = {"__annotations__": {key: kind for key, (kind, _) in known.items()}}
    return type("P", (Parameters,), notes | {key: default for key, (_, default) in known.items()})


def test_forms_outside_the_subset_are_refused():
    named = {"title": "X", "description": "X."}
    bad = [
        (int, Field(1, ge=0, le=2)),  # no title
        (int, Field(1, ge=0, **named)),  # no upper bound
        (dict, Field({}, **named)),
        (int | None, Field(None, **named)),
        (Literal["a", "b"], Field("a", **named)),  # no titles
        (list[_NoMethod], Field([], **named)),  # no upper bound
        (int, Field(1, ge=2, le=3, validate_default=True, **named)),
        (str | None, fields.raster("mask", "X", "X.")),  # outside a group
        (str, Field("", json_schema_extra={"x-raster": "mask"}, **named)),
    ]
    for annotation, field in bad:
        with pytest.raises((TypeError, ValidationError)):
            schema(parameters(annotation, field))


def test_a_group_is_a_list_of_forms():
    class Words(Parameters):
        words: list[_NoMethod] = Field([], max_length=5, title="Words", description="Words.")

    form = schema(Words)
    (field,) = fields_from_schema(form)
    assert (field.kind, field.max_items, field.fields[0].key) == ("group", 5, "steps")
    assert complete(form, {"words": [{}]}) == {"words": [{"steps": 4}]}
    assert Words(words=[{"steps": 3}]).words[0].steps == 3


def test_an_entry_may_have_a_raster_of_a_known_kind():
    def entries(annotation, kind):
        item = parameters(annotation, fields.raster(kind, "Where", "Where it is."))
        return schema(parameters(list[item], fields.group("Things", "Things.", 3)))

    (group,) = fields_from_schema(entries(str | None, "labels"))
    assert [(field.kind, field.raster) for field in group.fields] == [("raster", "labels")]
    for annotation, kind in ((str | None, "sound"), (str, "mask"), (int | None, "mask")):
        with pytest.raises((TypeError, ValidationError)):
            entries(annotation, kind)


@pytest.mark.parametrize(
    "rasters",
    [
        [RasterInput("mask", "M", "M.")],
        [RasterInput("a", "A", "A."), RasterInput("a", "B", "B.")],
        [RasterInput("a", "A", "A.", "sound")],
        [RasterInput("A b", "A", "A.")],
        [RasterInput("a", "A", "")],
    ],
)
def test_rasters_that_no_client_knows_are_refused(rasters):
    whole = {"id": "x", "version": 1, "title": "X", "summary": "", "source": "", "Parameters": _NoMethod}
    with pytest.raises(TypeError, match=r"Wrong\.inputs"):
        type("Wrong", (Method,), {**whole, "run": lambda *_: None, "inputs": Inputs(rasters=tuple(rasters))})


class Weighed(fields.WordSettings):
    weight: float = fields.slider(1.0, -2.0, 4.0, 0.1, "Weight", "How much of it.")


def test_settings_of_words_and_the_caption_are_marked():
    form = schema(
        parameters(
            list[Weighed], fields.word_settings("Words", "What is set."), source=(str, fields.source_prompt())
        )
    )
    words, source = fields_from_schema(form)
    assert (words.kind, words.words, words.source_prompt) == ("group", "prompt", False)
    assert [field.key for field in words.fields] == ["text", "which", "weight"]
    assert (source.kind, source.words, source.source_prompt) == ("string", "", True)
    assert complete(form, {"x": [{"text": "cat"}]})["x"] == [{"text": "cat", "which": 1, "weight": 1.0}]


class _Surrounded(Parameters):
    context: float = fields.context(1.0)


class _Unnamed(Parameters):
    text: int = Field(1, ge=1, le=2, title="Text", description="No text.")
    which: int = Field(1, ge=1, le=2, title="Which", description="Which.")


def test_marks_that_a_client_would_overlook_are_refused():
    named = {"title": "X", "description": "X."}
    words, shown = {"json_schema_extra": {"x-words": "prompt"}}, fields.source_prompt
    group = {"max_length": 3, **named}
    bad = [
        parameters(list[_NoMethod], Field([], **group, **words)),
        parameters(list[_Unnamed], Field([], **group, **words)),
        parameters(list[Weighed], Field([], **group, json_schema_extra={"x-words": "source"})),
        parameters(str, Field("", **named, **words)),
        parameters(str, Field("", **named, json_schema_extra={"x-source-prompt": 1})),
        parameters(int, Field(1, ge=0, le=2, **named, json_schema_extra={"x-source-prompt": True})),
        parameters(str, shown(), y=(str, shown())),
        parameters(str, Field("", **named, json_schema_extra={"x-prompt": "yes"})),
        parameters(bool, Field(True, **named, json_schema_extra={"x-prompt": True})),
        parameters(int, Field(1, ge=0, le=2, **named, json_schema_extra={"x-context": True})),
        parameters(float, fields.context(1.0), y=(float, fields.context(1.0))),
        parameters(list[_Surrounded], Field([], **group)),
        parameters(
            list[Weighed], Field([], **group, **words), y=(list[Weighed], Field([], **group, **words))
        ),
    ]
    for wrong in bad:
        with pytest.raises(TypeError, match=r"x-(words|source-prompt|prompt|context) |may have x-"):
            schema(wrong)


class _Concept(Parameters):
    more: str = Field("", title="More", description="More.", json_schema_extra={"x-prompt": True})
    share: float = fields.slider(0.5, 0.0, 1.0, 0.1, "Share", "How much.")


def test_marked_fields_are_found_whatever_their_names_and_in_groups_too():
    made = parameters(
        str,
        fields.source_prompt(),
        avoid=(str, fields.negative_prompt()),
        seen=(float, fields.context(2.0)),
        concepts=(list[_Concept], Field([], max_length=3, title="Concepts", description="What to add.")),
    )
    assert [(f.key, f.prompt, f.context) for f in fields_from_schema(schema(made))] == [
        ("x", False, False),
        ("avoid", True, False),
        ("seen", False, True),
        ("concepts", False, False),
    ]
    given = made(x="a cat", avoid="fog", concepts=[{"more": "snow"}, {}])
    assert given.marked("x-prompt") == ["fog", "snow", ""]
    assert (given.marked("x-source-prompt"), given.marked("x-context")) == (["a cat"], [2.0])
    assert _NoMethod().marked("x-prompt") == []


@METHODS
def test_no_field_is_known_by_its_name_alone(method):
    """What is a prompt, a caption or the surroundings says so, so that nobody has to know its name."""
    marks = {"negative_prompt": "prompt", "held_to": "prompt"}
    marks |= {"source_prompt": "source_prompt", "context": "context"}
    for field in fields_from_schema(describe(method)["parameters"]):
        assert field.key not in marks or getattr(field, marks[field.key])


SOURCE_ALONE = Inputs("required", "none", "none")


@pytest.mark.parametrize(
    "wrong",
    [
        {"result": "sound"},
        {"result": "mask"},  # of several variations
        {"result": "text", "inputs": SOURCE_ALONE},
        {"result": "text", "inputs": Inputs(), "max_variations": 1},
        {"needs": "luck"},
        {"result": "text", "inputs": SOURCE_ALONE, "max_variations": 1, "drafts": False},
        {"generator": None},
    ],
)
def test_results_and_needs_that_nobody_knows_are_refused(wrong):
    whole = {"id": "x", "version": 1, "title": "X", "summary": "", "source": "", "Parameters": _NoMethod}
    with pytest.raises(TypeError, match=r"^Wrong"):
        type("Wrong", (Method,), {**whole, "run": lambda *_: None, **wrong})


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
    other_kinds = {"blended-diffusion", "vqgan-clip", "paint-by-word"} | faces
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
