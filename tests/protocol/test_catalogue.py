"""What the daemon offers, as everybody reads it: typed, and refused whole where it makes no sense."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.errors import VelaturaError

from .test_messages import json_values
from .test_rasters import changed
from .test_spec import examples

TEXT = {"type": "string", "title": "T", "description": "T", "default": ""}
NUMBER = {"type": "number", "title": "N", "description": "N", "default": 1.0, "minimum": -3, "maximum": 3}
WHICH = {"type": "integer", "title": "W", "description": "W", "default": 1, "minimum": 1, "maximum": 9}
PLAIN = {
    "id": "plain",
    "version": 3,
    "title": "Plain",
    "summary": "Does something.",
    "source": "Somebody 2022",
    "inputs": {"source": "required", "mask": "optional", "prompt": "required"},
    "result": "layer",
    "max_variations": 4,
    "parameters": {"type": "object", "properties": {"strength": NUMBER, "caption": TEXT}},
}


def group(mark: dict, **fields: dict) -> dict:
    """Parameters with one group that bears a mark."""
    items = {"type": "object", "properties": fields}
    form = {"type": "array", "title": "G", "description": "G", "default": [], "maxItems": 4, "items": items}
    return {"type": "object", "properties": {"entries": form | mark}}


WORDS = group({"x-words": "prompt"}, text=TEXT, which=WHICH)
DIALS = group({"x-dials": True}, less=TEXT, more=TEXT, strength=NUMBER)
FINDS = PLAIN | {"id": "finds", "result": "mask", "parameters": WORDS}
SAYS = PLAIN | {"id": "says", "result": "text", "inputs": {"source": "required"}}
LEADS = PLAIN | {"id": "leads", "parameters": DIALS, "inputs": {"source": "required", "prompt": "optional"}}
MODEL = {"id": "a", "title": "Model A", "kind": "file", "size": 64, "defaults": {}, "lacks": ["says"]}


def answer(*methods: dict, models: tuple = ()) -> dict:
    return {"type": "methods", "methods": list(methods), "models": list(models)}


def read(*methods: dict, models: tuple = ()) -> Catalogue:
    return Catalogue.from_wire(answer(*methods, models=models))


def read_or_code(wire: object) -> str | None:
    """The code of the error; None where it is read."""
    try:
        Catalogue.from_wire(wire)
    except VelaturaError as error:
        return error.code
    return None


def method(**changes: object) -> MethodInfo:
    (found,) = read(PLAIN | changes).methods
    return found


def test_a_method_gives_drafts_unless_it_says_otherwise():
    assert method().drafts
    assert not method(drafts=False).drafts
    assert read_or_code(answer(PLAIN | {"drafts": "no"})) == "bad-message"


def test_a_method_reads_the_layer_unless_it_says_otherwise():
    assert not method().from_nothing and method(from_nothing=True).from_nothing
    assert read_or_code(answer(PLAIN | {"from_nothing": "yes"})) == "bad-message"


def test_methods_come_in_their_sections():
    """Both are in the order in which they first come, also where a daemon mixes them."""
    told = [("a", "Second"), ("b", "First"), ("c", "Second")]
    known = read(*(PLAIN | {"id": id, "section": section} for id, section in told), SAYS | {"section": "Say"})
    assert [(section.title, [m.id for m in section.methods]) for section in known.sections] == [
        ("Second", ["a", "c"]),
        ("First", ["b"]),
    ]


@pytest.mark.parametrize("told", [{}, {"section": 3}, {"section": None}])
def test_a_daemon_before_1_6_knows_no_sections(told):
    (section,) = read(PLAIN | told, FINDS | told).sections
    assert section.title == "" and [method.id for method in section.methods] == ["plain", "finds"]


def test_the_specifications_examples_are_read():
    answers = [m for m in examples("message") if m["type"] == "methods" and "methods" in m]
    for message in answers:
        known = Catalogue.from_wire(message)
        assert [m.id for m in known.methods] == [m["id"] for m in message["methods"]]
        assert [m.id for m in known.models] == [m["id"] for m in message["models"]]
    assert len(answers) >= 4


def test_a_method_is_what_the_daemon_says():
    found = method(inputs={"source": "required", "scribble": "optional", "mask": "none", "prompt": "none"})
    assert (found.id, found.version, found.title, found.max_variations) == ("plain", 3, "Plain", 4)
    assert (found.summary, found.source, found.result) == ("Does something.", "Somebody 2022", "layer")
    assert found.rasters == {"source": "required", "scribble": "optional"}
    assert [found.need(name) for name in ("scribble", "prompt", "reference")] == ["optional", "none", "none"]
    assert [field.key for field in found.fields] == ["strength", "caption"]
    with pytest.raises(AttributeError):
        found.title = "another"


def test_a_daemon_before_1_2_says_no_result_and_one_before_1_3_no_lacks():
    old = {key: value for key, value in PLAIN.items() if key not in ("result", "summary", "source")}
    known = read(old, models=({"id": "b"},))
    assert known.methods[0].result == "layer" and known.methods[0].summary == ""
    model = known.models[0]
    assert (model.title, model.kind, model.size, model.defaults, model.lacks) == ("b", "", 0, {}, frozenset())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("methods", None), ("methods", {}), ("methods", [3]), ("methods", [{}]), ("models", 3),
        ("models", [None]), ("models", [{"title": "no id"}]), ("models", [{"id": 3}]),
        ("models", [MODEL | {"lacks": "says"}]), ("models", [MODEL | {"defaults": []}]),
        *(("methods", [PLAIN | {key: value}]) for key in PLAIN for value in (None, 3.5, [])
          if key not in ("summary", "source")),
        ("methods", [PLAIN | {"id": ""}]), ("methods", [PLAIN | {"version": 0}]),
        ("methods", [PLAIN | {"version": True}]), ("methods", [PLAIN | {"max_variations": 0}]),
        ("methods", [PLAIN | {"max_variations": 65}]), ("methods", [PLAIN | {"inputs": {"mask": 3}}]),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_whole(path, value):
    Catalogue.from_wire(answer(PLAIN, models=(MODEL,)))
    with pytest.raises(VelaturaError) as caught:
        Catalogue.from_wire(changed(answer(PLAIN, models=(MODEL,)), path, value))
    assert caught.value.code == "bad-message" and "update Velatura" in caught.value.message
    assert caught.value.detail


@given(json_values)
def test_nothing_but_an_error_of_ours_is_raised(value):
    for wire in (value, answer(value), {"methods": [], "models": [value]}):
        assert read_or_code(wire) in (None, "bad-message")


@given(st.sampled_from(sorted(PLAIN)), json_values)
def test_nor_for_a_field_of_a_method(key, value):
    assert read_or_code(answer(PLAIN | {key: value})) in (None, "bad-message")


def test_what_a_newer_daemon_adds_is_passed_over():
    newer = copy.deepcopy(PLAIN)
    newer["parameters"]["properties"]["curve"] = {"type": "curve", "title": "Curve"}
    known = read(newer | {"x": 1}, PLAIN | {"result": "picture"}, PLAIN | {"inputs": {"source": "several"}})
    assert known.methods == read(PLAIN).methods


def test_who_does_what():
    known = read(SAYS, FINDS, PLAIN, LEADS, models=(MODEL, MODEL | {"id": "b", "lacks": []}))
    assert [m.id for m in known.offered] == ["finds", "plain", "leads"]
    assert known.method("plain").id == "plain" and known.method("says") is None and known.method(None) is None
    assert (known.first_edit.id, known.word_finder.id, known.proposer.id, known.dialler.id) == (
        "plain", "finds", "says", "leads")  # fmt: skip
    assert (known.word_finder.words.key, known.dialler.dials.key) == ("entries", "entries")
    assert [known.lacks(model, known.proposer) for model in ("", "a", "b", "c")] == [True, True, False, False]
    assert (known.model("").id, known.model("b").id, known.model("c")) == ("a", "b", None)
    empty = Catalogue()
    assert not (empty.first_edit or empty.word_finder or empty.proposer or empty.dialler or empty.model(""))


def test_masks_with_dials_lead_nowhere_and_masks_without_words_find_none():
    known = read(LEADS | {"result": "mask"}, PLAIN | {"result": "mask"})
    assert known.dialler is None and known.word_finder is None and known.first_edit is None


def test_the_field_that_says_what_the_source_shows_is_known():
    caption = TEXT | {"x-source-prompt": True}
    assert method().caption is None
    parameters = {"type": "object", "properties": {"shown": caption}}
    assert method(parameters=parameters).caption.key == "shown"


@pytest.mark.parametrize(
    ("need", "prompt", "lacks"),
    [("required", " ", True), ("required", "a", False), ("optional", "", False), ("none", "", False)],
)
def test_a_prompt_may_be_missing(need, prompt, lacks):
    assert method(inputs={"source": "required", "prompt": need}).lacks_prompt(prompt) is lacks


def test_a_models_defaults_take_the_place_of_the_methods_where_they_fit():
    known = read(PLAIN, models=(MODEL | {"defaults": {"strength": 2.5, "caption": 3, "other": 1}},))
    (found,) = known.methods
    assert known.for_model(found, "").complete({}) == {"strength": 2.5, "caption": ""}
    assert known.for_model(found, "gone").complete({}) == {"strength": 1.0, "caption": ""}
    assert found.complete({"caption": "a"}) == {"strength": 1.0, "caption": "a"}
    with pytest.raises(VelaturaError, match="no parameter 'other'"):
        found.complete({"other": 1})
    known = read(PLAIN, models=(MODEL | {"defaults": {f"{found.id}.strength": 2.0, "strength": 2.5}},))
    assert known.for_model(found, "").complete({})["strength"] == 2.0


def test_an_edit_is_by_this_version_of_the_method():
    edit = method().edit("a hat", {"strength": 2.0}, model="a", seed=7, variations=2)
    assert (edit.method, edit.method_version, edit.model, edit.model_digest) == ("plain", 3, "a", "")
    assert (edit.prompt, edit.seed, edit.variations) == ("a hat", 7, 2)
    assert edit.parameters == {"strength": 2.0}
    bare = method().edit()
    assert (bare.prompt, bare.seed, bare.variations, bare.parameters) == ("", -1, 1, {})
