"""Forms from schemas: every form of SPEC section 6, bounds, and whatever else comes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.errors import VelaturaError
from velatura_protocol.schema import MAX_CHOICE, Field, complete, fields_from_schema, with_defaults

from .test_messages import json_values

COMMON = {"title": "The title", "description": "What it does.", "x-order": 0, "x-advanced": False}
FORMS = {
    "string": {**COMMON, "type": "string", "default": "a", "maxLength": 5, "x-multiline": True},
    "integer": {**COMMON, "type": "integer", "default": 4, "minimum": 2, "maximum": 8, "multipleOf": 2},
    "number": {**COMMON, "type": "number", "default": 0.5, "minimum": 0, "maximum": 1.0, "multipleOf": 0.05},
    "boolean": {**COMMON, "type": "boolean", "default": False},
    "enum": {
        **COMMON,
        "type": "string",
        "default": "a",
        "enum": ["a", "b"],
        "x-enum-titles": ["An A", "A B"],
    },
}
FORMS["group"] = {
    **COMMON,
    "type": "array",
    "default": [],
    "minItems": 0,
    "maxItems": 3,
    "items": {"type": "object", "properties": {"word": FORMS["string"], "weight": FORMS["number"]}},
}
#: A form that only the items of a group may have.
RASTER = {**COMMON, "type": ["string", "null"], "default": None, "x-raster": "mask"}
SCHEMA = {"type": "object", "properties": FORMS}


def refusal(**values) -> str:
    """The sentence with which values are refused."""
    with pytest.raises(VelaturaError) as caught:
        complete(SCHEMA, values)
    assert caught.value.code == "bad-request"
    return caught.value.message


def field(form: dict) -> Field:
    (found,) = fields_from_schema({"properties": {"key": form}})
    return found


def test_the_fields():
    assert [found.kind for found in fields_from_schema(SCHEMA)] == list(FORMS)
    string, integer = field(FORMS["string"]), field(FORMS["integer"])
    assert (string.title, string.description, string.max_length, string.multiline) == (
        "The title", "What it does.", 5, True)  # fmt: skip
    assert (integer.minimum, integer.maximum, integer.step, integer.default) == (2, 8, 2, 4)
    assert field(FORMS["number"]).step == 0.05
    assert field(FORMS["enum"]).choices == (("a", "An A"), ("b", "A B"))
    group = field(FORMS["group"])
    assert ([inner.key for inner in group.fields], group.min_items, group.max_items) == (
        ["word", "weight"],
        0,
        3,
    )


def test_a_raster_is_the_name_of_an_input_or_none():
    items = {"type": "object", "properties": {"where": RASTER}}
    group = field({**FORMS["group"], "items": items})
    (where,) = group.fields
    assert (where.kind, where.raster, where.default, where.takes_selection) == ("raster", "mask", None, True)
    assert group.check([{}, {"where": "key.2.where"}]) == [{"where": None}, {"where": "key.2.where"}]
    for wrong in (3, "", "x" * (MAX_CHOICE + 1), ["a"]):
        with pytest.raises(VelaturaError, match="The title: choose a layer or the selection"):
            group.check([{"where": wrong}])
    assert fields_from_schema({"properties": {"key": RASTER}}) == []  # only in a group
    other = {**RASTER, "x-raster": "sound"}
    assert field({**group_of(other), "default": []}).fields == ()


def group_of(item: dict) -> dict:
    return {**FORMS["group"], "items": {"type": "object", "properties": {"x": item}}}


def test_what_is_about_words_is_known_by_its_mark_and_its_fields():
    text, which = {**FORMS["string"], "default": ""}, {**FORMS["integer"], "multipleOf": 1}
    items = {"type": "object", "properties": {"text": text, "which": which, "weight": FORMS["number"]}}
    group = {**FORMS["group"], "items": items}
    assert field({**group, "x-words": "prompt"}).words == "prompt"
    assert field(group).words == ""
    assert field({**group, "x-words": "elsewhere"}).words == ""
    assert field({**FORMS["group"], "x-words": "prompt"}).words == ""  # an ordinary group, then
    assert field({**FORMS["string"], "x-words": "prompt"}).words == ""


def test_the_caption_of_the_source_is_known_by_its_mark():
    assert field({**FORMS["string"], "x-source-prompt": True}).source_prompt
    assert not field(FORMS["string"]).source_prompt
    assert not field({**FORMS["string"], "x-source-prompt": "yes"}).source_prompt
    assert not field({**FORMS["boolean"], "x-source-prompt": True}).source_prompt


def test_the_order_of_the_form():
    properties = {key: {**form, "x-order": -i} for i, (key, form) in enumerate(FORMS.items())}
    assert [found.key for found in fields_from_schema({"properties": properties})] == list(FORMS)[::-1]


def test_advanced():
    assert field({**FORMS["boolean"], "x-advanced": True}).advanced


@pytest.mark.parametrize(
    "form",
    [
        {**FORMS["string"], "type": "null"},
        {**FORMS["string"], "type": ["string", "null"]},
        {**FORMS["string"], "$ref": "#/x"},
        {**FORMS["string"], "anyOf": []},
        {**FORMS["string"], "maxLength": True},
        {**FORMS["string"], "default": "too long"},
        {**COMMON, "type": "string"},
        {**FORMS["integer"], "minimum": None},
        {**FORMS["integer"], "minimum": 9},
        {**FORMS["integer"], "default": 3},
        {**FORMS["number"], "maximum": math.nan},
        {**FORMS["number"], "multipleOf": 0},
        {**FORMS["enum"], "x-enum-titles": ["one"]},
        {**FORMS["enum"], "enum": [1, 2]},
        {**FORMS["enum"], "default": "c"},
        {**FORMS["group"], "items": FORMS["string"]},
        {**FORMS["group"], "maxItems": 10**6},
        {**FORMS["group"], "minItems": 2},
        "no form",
        None,
    ],
    ids=str,
)
def test_forms_that_are_not_known_are_left_out(form):
    assert fields_from_schema({"properties": {"key": form}}) == []


def test_a_group_holds_no_group():
    group = {**FORMS["group"], "items": {"type": "object", "properties": {"group": FORMS["group"]}}}
    assert field(group).fields == ()


def test_what_is_left_out_has_its_default():
    defaults = {"string": "a", "integer": 4, "number": 0.5, "boolean": False, "enum": "a", "group": []}
    assert complete(SCHEMA, {}) == defaults
    assert complete(SCHEMA, {"group": [{"word": "b"}]})["group"] == [{"word": "b", "weight": 0.5}]


def test_a_default_is_complete_and_of_the_types_that_a_value_has():
    assert field({**FORMS["group"], "default": [{}]}).default == [{"word": "a", "weight": 0.5}]
    whole = field({**FORMS["integer"], "default": 4.0}).default
    assert (whole, type(whole)) == (4, int)


def test_a_model_has_other_defaults():
    schema = {"type": "object", "properties": {"a": FORMS["integer"], "b": FORMS["boolean"]}}
    changed = with_defaults(schema, {"a": 9, "unknown": 1})
    assert changed["properties"] == {"a": {**FORMS["integer"], "default": 9}, "b": FORMS["boolean"]}
    one = {"a": 9, "it.a": 3, "other.a": 4, "it.unknown": 5}
    assert with_defaults(schema, one, "it")["properties"]["a"]["default"] == 3
    assert with_defaults(schema, one)["properties"]["a"]["default"] == 9
    assert "unknown" not in schema["properties"] and schema["properties"]["a"] == FORMS["integer"]


def test_numbers_have_one_type():
    """So that a recipe has one digest, whichever host wrote it."""
    whole = complete(SCHEMA, {"integer": 6.0, "number": 1})
    assert (type(whole["integer"]), type(whole["number"])) == (int, float)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("string", "sixsix", "at most 5 characters"),
        ("string", 1, "at most 5 characters"),
        ("integer", 1, "a whole number from 2 to 8"),
        ("integer", 3, "a multiple of 2"),
        ("integer", True, "a whole number"),
        ("integer", 4.5, "a whole number"),
        ("integer", "4", "a whole number"),
        ("integer", 10**400, "a whole number"),
        ("integer", math.inf, "a whole number"),
        ("number", 1.01, "a number from 0 to 1"),
        ("number", math.nan, "a number"),
        ("number", -math.inf, "a number"),
        ("number", 10**400, "a number"),
        ("number", False, "a number"),
        ("number", None, "a number"),
        ("boolean", 1, "on or off"),
        ("enum", "c", "one of An A, A B"),
        ("enum", ["a"], "one of"),
        ("group", {}, "a list of 0 to 3"),
        ("group", [{}] * 4, "a list of 0 to 3"),
        ("group", [1], "a list"),
        ("group", [{"weight": 2}], "a number from 0 to 1"),
    ],
)
def test_values_out_of_bounds(key, value, words):
    sentence = refusal(**{key: value})
    assert sentence.startswith("The title: ") and words in sentence


def test_unknown_keys():
    assert "'strnegth'" in refusal(strnegth=1)
    assert "'x'" in refusal(group=[{"x": 1}])


@pytest.mark.parametrize("values", [None, [], "x", 1])
def test_values_that_are_no_object(values):
    with pytest.raises(VelaturaError):
        complete(SCHEMA, values)


@pytest.mark.parametrize("schema", [None, [], {"properties": []}, {"properties": None}, "x"])
def test_a_schema_that_is_none(schema):
    with pytest.raises(VelaturaError) as caught:
        fields_from_schema(schema)
    assert caught.value.code == "bad-message"


wild = json_values | st.floats() | st.integers() | st.just(10**400) | st.binary(max_size=3)


def within(found: Field, value: object) -> bool:
    if found.kind in ("integer", "number"):
        return not isinstance(value, bool) and found.minimum <= value <= found.maximum
    if found.kind == "group":
        return len(value) <= found.max_items
    return isinstance(value, bool) or len(value) <= 5


@given(st.dictionaries(st.sampled_from([*FORMS, "unknown"]), wild))
def test_any_values_are_refused_or_within_bounds(values):
    try:
        whole = complete(SCHEMA, values)
    except VelaturaError as error:
        assert error.code == "bad-request"
        return
    assert list(whole) == list(FORMS)
    assert all(within(found, whole[found.key]) for found in fields_from_schema(SCHEMA))


@given(
    st.sampled_from(list(FORMS)),
    st.sampled_from(sorted({key for form in FORMS.values() for key in form})),
    wild,
)
def test_any_schema_is_left_out_or_makes_a_field(kind, key, value):
    for found in fields_from_schema({"properties": {"key": {**FORMS[kind], key: value}}}):
        assert found.check(found.default) == found.default


@given(
    json_values.flatmap(
        lambda value: st.sampled_from([value, {"properties": value}, {"properties": {"k": value}}])
    )
)
def test_any_json_as_a_schema(schema):
    try:
        fields_from_schema(schema)
    except VelaturaError as error:
        assert error.code == "bad-message"
