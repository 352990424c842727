"""The parts of the GIMP plug-in that need no GIMP."""

from __future__ import annotations

import json
import re
import sys
from xml.etree import ElementTree

import pytest

from tests.gimp.conftest import PLUGIN
from velatura_protocol import dials
from velatura_protocol.errors import VelaturaError
from velatura_protocol.requests import Recipe
from velatura_protocol.schema import Field

sys.path.insert(0, str(PLUGIN))

from velatura_plugin import catalogue, form, manual, recipe

SCHEMA = {
    "type": "object",
    "properties": {
        "guidance_scale": {
            "type": "number", "title": "Prompt strength", "description": "How strictly.", "default": 4.0,
            "minimum": 1.0, "maximum": 20.0, "multipleOf": 0.5, "x-order": 1, "x-advanced": False,
        },
        "steps": {
            "type": "integer", "title": "Steps", "description": "How finely.", "default": 25,
            "minimum": 4, "maximum": 150, "x-order": 2, "x-advanced": True,
        },
        "words": {
            "type": "array", "title": "Words", "description": "Words.", "default": [], "maxItems": 4,
            "items": {"type": "object", "properties": {
                "word": {"type": "string", "title": "W", "description": "One.", "default": "", "x-order": 0},
            }},
            "x-order": 3, "x-advanced": False,
        },
        "image": {
            "type": "boolean", "title": "Image", "description": "A name GIMP has.", "default": True,
            "x-order": 4, "x-advanced": False,
        },
    },
}  # fmt: skip

ANSWER = {
    "digest": "blake2b:" + 64 * "0",
    "methods": [
        {
            "id": "some-method", "version": 1, "title": "Some method", "summary": "Does something.",
            "source": "Somebody 2022", "max_variations": 4, "parameters": SCHEMA,
            "inputs": {"source": "required", "mask": "optional", "prompt": "required"},
        }
    ],
    "models": [{"id": "a", "title": "Model A"}, {"id": "b"}],
}  # fmt: skip


def offer(*methods, models=()):
    """An answer with these methods."""
    return {"methods": list(methods), "models": list(models)}


@pytest.fixture
def known():
    return catalogue.parse(ANSWER)


def test_arguments_are_named_like_the_parameters(known):
    arguments = form.arguments(known.methods[0], known)
    assert [argument.name for argument in arguments] == [
        "prompt", "guidance-scale", "steps", "words", "parameter-image", "variations", "seed", "model",
        "sees",
    ]  # fmt: skip


def test_arguments_have_the_bounds_of_the_schema(known):
    fields = {a.name: a.field for a in form.arguments(known.methods[0], known)}
    assert (fields["variations"].minimum, fields["variations"].maximum) == (1, 4)
    assert (fields["seed"].minimum, fields["seed"].maximum, fields["seed"].default) == (-1, 2**31 - 1, -1)
    assert fields["model"].choices == (("default", "Default"), ("a", "Model A"), ("b", "b"))
    assert form.bounds(fields["steps"]) == (4, 150)


def test_no_two_labels_have_the_same_mnemonic():
    labels = form.mnemonics(["Strength", "Steps", "Sampler", "Seed", "snake_case", "!?"])
    letters = [label[label.index("_") + 1].lower() for label in labels[:5]]
    assert len(set(letters)) == 5
    assert not set(letters) & set("hrcoulsvw")
    assert labels[5] == "!?"
    assert "__" in labels[4]


@pytest.mark.parametrize(
    ("section", "path"),
    [("", "<Menu>"), ("By words", "<Menu>/By words"), ("a_b/c", "<Menu>/a__b\N{DIVISION SLASH}c")],
)
def test_a_section_is_a_sub_menu(section, path):
    assert form.menu_path("<Menu>", section) == path


def test_parameters_come_from_the_procedures_values(known):
    method = known.methods[0]
    values = {"guidance-scale": 7.5, "steps": 9, "words": '[{"word": "hat"}]', "parameter-image": False}
    found = form.parameters(form.arguments(method, known), values.get, method)
    assert found == {"guidance_scale": 7.5, "steps": 9, "words": [{"word": "hat"}], "image": False}


@pytest.mark.parametrize("text", ["[", '{"word": "hat"}', "1"])
def test_a_group_that_is_no_json_list_is_refused_with_an_example(known, text):
    field = next(f for f in known.methods[0].fields if f.kind == "group")
    with pytest.raises(VelaturaError, match=r'Words: enter a JSON list such as \[\{"word"'):
        form.from_gimp(field, text)


def test_values_of_a_recipe_that_do_not_fit_become_defaults(known):
    steps = next(f for f in known.methods[0].fields if f.key == "steps")
    words = next(f for f in known.methods[0].fields if f.key == "words")
    assert form.to_gimp(steps, 9) == 9
    assert form.to_gimp(steps, 10_000) == 25
    assert json.loads(form.to_gimp(words, [{"word": "hat"}])) == [{"word": "hat"}]


RECIPE = {
    "velatura": 1, "method": "some-method", "method_version": 1, "model": {"id": "a", "digest": ""},
    "prompt": "a häßlicher Hut", "seed": 2**31 - 1, "variations": 3,
    "parameters": {"steps": 9, "strength": 0.5},
    "inputs": {
        "source": {"digest": "blake2b:" + 64 * "0", "width": 64, "height": 48, "channels": "RGBA",
                   "dtype": "u8", "profile": "sRGB", "rect": [0, 0, 64, 48]},
        "mask": None,
    },
    "canvas": [64, 48], "job": "x", "variation": 2, "lease": True,
}  # fmt: skip


def test_a_recipe_survives_its_parasite():
    data = recipe.to_parasite(RECIPE, {"source": 17, "mark": "m"})
    assert max(data) < 128
    kept = recipe.from_parasite(data)
    assert recipe.origin(kept) == {"source": 17, "mark": "m", "result": 0, "sees": ""}
    assert recipe.origin(Recipe.from_wire(RECIPE)) == {"source": 0, "mark": "", "result": 0, "sees": ""}
    assert {key: kept.written[key] for key in RECIPE} == RECIPE


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\xff", b"{", b'{"method": 1}', b'{"method": "x"}', b"[" * 9999]
)
def test_a_damaged_parasite_is_refused_with_a_sentence(data):
    with pytest.raises(VelaturaError, match="recipe cannot be read"):
        recipe.from_parasite(data)


def test_a_method_whose_name_gimp_refuses_is_left_out():
    named = {**ANSWER["methods"][0], "id": "Bad Name"}
    assert catalogue.parse(offer(named, *ANSWER["methods"])).methods == catalogue.parse(ANSWER).methods


def _dialled(most=4):
    """A method with dials."""
    text = {"type": "string", "title": "T", "description": "T", "default": ""}
    turn = {"type": "number", "title": "N", "description": "N", "default": 1.0, "minimum": -3, "maximum": 3}
    group = {
        "type": "array",
        "title": "Dials",
        "description": "D",
        "default": [],
        "maxItems": most,
        "x-dials": True,
        "items": {"type": "object", "properties": {"less": text, "more": text, "strength": turn}},
    }
    parameters = {"type": "object", "properties": {"dials": group}}
    return {**ANSWER["methods"][0], "id": "dialled", "parameters": parameters}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ('[{"more": "hat"}, {"less": " - "}]', [{"less": "", "more": "hat", "strength": 1.0}]),
        ('[{"more": "hat", "colour": 3}]', [{"more": "hat", "colour": 3}]),  # for the daemon to refuse
        ("[1]", [1]),
        ("", []),
    ],
)
def test_dials_that_say_nothing_yet_are_not_sent(given, sent):
    found = catalogue.parse(offer(_dialled()))
    method = found.methods[0]
    arguments = form.arguments(method, found)
    assert form.parameters(arguments, {"dials": given}.get, method) == {"dials": sent}


def test_dials_that_wait_come_into_the_form_once_and_those_without_room_are_told_apart():
    field = catalogue.parse(offer(_dialled(most=3))).methods[0].dials
    kept = json.dumps([{"more": "Hat", "strength": 2.0}, {"less": "young", "more": "old"}])
    words = [dials.new(field, more=word) for word in ("hat", "beard", "scarf", " BEARD ", "tie")]
    value, left = form.with_dials(field, kept, words)
    assert [dials.title(entry) for entry in json.loads(value)] == ["+ Hat", "young → old", "+ beard"]
    assert json.loads(value)[0]["strength"] == 2.0
    assert [dials.title(entry) for entry in left] == ["+ scarf", "+ tie"]
    assert form.with_dials(field, "half typed [", words[:1]) == (json.dumps(words[:1]), [])


def test_a_prompt_that_is_compared_says_what_should_be():
    texts = {"title": "Shown now", "description": "C", "default": ""}
    caption = {"type": "string", "x-source-prompt": True, **texts}
    parameters = {"type": "object", "properties": {"caption": caption}}
    found = catalogue.parse(offer({**ANSWER["methods"][0], "parameters": parameters}))
    labels = [argument.field.title for argument in form.arguments(found.methods[0], found)]
    assert labels[:2] == ["Should be", "Shown now"]


def test_a_form_of_a_newer_version_is_left_out():
    newer = json.loads(json.dumps(ANSWER))
    newer["methods"][0]["parameters"]["properties"]["curve"] = {"type": "curve", "title": "Curve"}
    assert catalogue.parse(newer) == catalogue.parse(ANSWER)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "velatura_gimp.py").write_text("")
    return tmp_path


def test_new_methods_are_remembered_and_the_plug_in_touched(folder):
    entry = folder / "velatura_gimp.py"
    before = int(entry.stat().st_mtime)
    assert catalogue.remember(folder, {"type": "methods", "re": 3, **ANSWER}, entry)
    assert int(entry.stat().st_mtime) > before
    assert catalogue.register(folder) == catalogue.parse(ANSWER)


def test_methods_that_are_known_touch_nothing(folder):
    entry = folder / "velatura_gimp.py"
    catalogue.remember(folder, ANSWER, entry)
    before = entry.stat().st_mtime_ns
    assert not catalogue.remember(folder, {"re": 9, **ANSWER}, entry)
    assert entry.stat().st_mtime_ns == before


def test_until_the_next_start_the_registered_methods_count(folder):
    catalogue.remember(folder, ANSWER, folder / "velatura_gimp.py")
    catalogue.register(folder)
    newer = json.loads(json.dumps(ANSWER))
    newer["methods"][0]["max_variations"] = 2
    assert catalogue.remember(folder, newer, folder / "velatura_gimp.py")
    assert catalogue.registered(folder).methods[0].max_variations == 4
    assert catalogue.register(folder).methods[0].max_variations == 2
    assert catalogue.registered(folder).methods[0].max_variations == 2


def test_an_answer_without_methods_does_not_empty_the_menu(folder):
    catalogue.remember(folder, ANSWER, folder / "velatura_gimp.py")
    assert not catalogue.remember(folder, {**ANSWER, "methods": []}, folder / "velatura_gimp.py")
    assert catalogue.register(folder).methods


@pytest.mark.parametrize("answer", [{}, {"methods": 3, "models": []}, offer({"id": "x"})])
def test_an_answer_that_cannot_be_read_is_refused_and_changes_nothing(folder, answer):
    entry = folder / "velatura_gimp.py"
    catalogue.remember(folder, ANSWER, entry)
    before = entry.stat().st_mtime_ns
    with pytest.raises(VelaturaError, match="could not be read; update Velatura"):
        catalogue.remember(folder, answer, entry)
    assert entry.stat().st_mtime_ns == before
    assert catalogue.newest(folder) == catalogue.parse(ANSWER)


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b"[]", b"[" * 99999])
def test_a_damaged_file_is_an_empty_catalogue(folder, text):
    (folder / "methods.json").write_bytes(text)
    assert catalogue.register(folder).methods == ()


def test_the_plug_in_imports_the_standard_library_the_host_and_the_protocol_only():
    import ast

    allowed = {*sys.stdlib_module_names, "gi", "velatura_protocol", "velatura_plugin"}
    for path in PLUGIN.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert {name.split(".")[0] for name in names} <= allowed, path


def test_every_help_id_has_its_place_on_a_page(folder):
    some = ANSWER["methods"][0]
    known = catalogue.parse(offer({**some, "id": "b", "section": "Faces <&>"}, {**some, "id": "a"}))
    manual.write(folder, known, [("velatura-rerun", "Run Again", "Runs it & again.")])
    items = ElementTree.parse(folder / "en/gimp-help.xml").getroot().findall("help-item")
    ids = {item.get("id"): item.get("ref") for item in items}
    assert ids.pop("gimp-help-main") == "velatura.html"
    assert set(ids) == {"velatura-a", "velatura-b", "velatura-rerun"}
    page = (folder / "en/velatura.html").read_text()
    for name, ref in ids.items():
        assert ref == f"velatura.html#{name}"
        assert f'<h3 id="{name}">' in page
    assert "Faces &lt;&amp;&gt;" in page


def test_a_help_page_that_cannot_be_written_is_no_fault(tmp_path):
    (tmp_path / "en").write_text("a file")
    manual.write(tmp_path, catalogue.Catalogue(), [])


def test_entries_of_a_menu_have_letters_of_their_own():
    some = {**ANSWER["methods"][0], "title": "Add"}
    known = catalogue.parse(offer({**some, "id": "a"}, {**some, "id": "b"}))
    assert [form.menu_label(method, known) for method in known.offered] == ["A_dd…", "Add…"]
    sectioned = catalogue.parse(offer({**some, "section": "Faces"}))
    assert form.menu_label(sectioned.offered[0], sectioned) == "_Add…"


def test_only_the_dialog_brings_gimps_widgets():
    """Without a window GTK cannot be imported without a warning."""
    widgets = ("beside", "caption", "choice_form", "choosing", "dial_form", "dialog", "flow", "folding",
               "history_view", "list_form", "method_form", "offering", "preset_menu", "queue_view",
               "raster_form", "running", "seed_form", "side", "strip_view", "style",
               "telling", "text_undo", "window", "word_editor", "word_form", "word_strip")  # fmt: skip
    for path in PLUGIN.rglob("*.py"):
        text = path.read_text()
        assert path.stem in widgets or not re.search(r"import .*\b(Gtk|GimpUi|Gdk)\b", text), path
        brought = re.findall(r"^from \.(?:(\w+) import|) ?(.*)", text, re.MULTILINE)
        names = {name for module, rest in brought for name in (module, *rest.split(", "))}
        assert path.stem in widgets or not names & set(widgets), path


def test_the_plug_in_knows_no_method_by_name():
    from velatura.methods.registry import registry

    text = "\n".join(path.read_text() for path in PLUGIN.rglob("*.py")).lower()
    for method in registry().values():
        assert not re.search(rf"[\"']{re.escape(method.id)}[\"']", text)  # "paint" is an English word too
        assert "-" not in method.id or method.id not in text
        assert method.title.lower() not in text


def test_gimp_can_start_the_plug_in():
    entry = PLUGIN / "velatura_gimp.py"
    assert entry.stat().st_mode & 0o111
    assert entry.read_text().startswith("#!/usr/bin/env python3\n")


def test_no_raster_of_another_picture_stays_chosen():
    text = Field("text", "string", "What", "What it is.", "", max_length=20)
    where = Field("where", "raster", "Where", "Where it is.", None, raster="mask")
    things = Field("things", "group", "Things", "What.", [], fields=(text, where), max_items=3)
    plain = Field("plain", "group", "Plain", "What.", [], fields=(text,), max_items=3)
    assert form.without_rasters(where, "layer.Background") == ""
    entries = [{"text": "a", "where": "layer.Background"}, {"text": "b", "where": None}, 3]
    cleared = json.loads(form.without_rasters(things, json.dumps(entries)))
    assert cleared == [{"text": "a", "where": None}, {"text": "b", "where": None}, 3]
    for field, value in ((things, '[{"wh'), (things, ""), (plain, '[{"text": "where"}]')):
        assert form.without_rasters(field, value) == value


def _sliding(*choices):
    """A method with a list whose entries choose one of these."""
    one = {
        "type": "string",
        "title": "Slider",
        "description": "Which.",
        "default": "",
        "enum": ["", *choices],
        "x-enum-titles": ["none", *(choice.title() for choice in choices)],
    }
    group = {
        "type": "array",
        "title": "Sliders",
        "description": f"{len(choices)} are there.",
        "default": [],
        "maxItems": 4,
        "items": {"type": "object", "properties": {"dial": one}},
    }
    plain = SCHEMA["properties"]["steps"]
    parameters = {"type": "object", "properties": {"dials": group, "steps": plain}}
    return {**ANSWER["methods"][0], "id": "sliding", "parameters": parameters}


def test_a_list_offers_the_newest_choices_and_all_else_is_as_gimp_knows_it():
    """A slider that was kept while GIMP runs: GIMP has registered the procedure without it."""
    registered = catalogue.parse(offer(_sliding())).methods[0]
    newer = _sliding("beard", "hat")
    newer["parameters"]["properties"]["steps"] = {**SCHEMA["properties"]["steps"], "default": 9}
    newest = catalogue.parse(offer(newer))
    shown = catalogue.with_newest_choices(registered, newest)
    group, steps = shown.fields
    assert [value for value, _ in group.fields[0].choices] == ["", "beard", "hat"]
    assert group.description == "2 are there." and steps == registered.fields[1]
    arguments = form.arguments(shown, newest)
    assert [argument.name for argument in arguments] == [
        argument.name for argument in form.arguments(registered, newest)
    ]
    assert catalogue.with_newest_choices(registered, catalogue.parse(offer())) == registered
