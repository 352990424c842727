"""Classes of methods and forms that are refused at import, and the marks of their fields."""

from typing import Literal

import pytest
from pydantic import Field, ValidationError

from velatura.methods import fields
from velatura.methods.base import Inputs, Method, Parameters, schema
from velatura.methods.registry import describe
from velatura_protocol.inputs import RasterInput
from velatura_protocol.schema import complete, fields_from_schema


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
