"""Presets of whole settings: kept, shared, read by other versions, and what a stranger's file can hold."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura_protocol.catalogue import Catalogue, MethodInfo, ModelInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.schema import Field
from velatura_protocol.settings_presets import KIND, Settings, SettingsPresets, export_to

from .test_choices import GROUP, RASTERS, STEPS
from .test_presets import JSON, refused

CAPTION = Field("caption", "string", "Shown now", "", "", max_length=20, source_prompt=True)
METHOD = MethodInfo(
    id="compose",
    version=1,
    title="Compose",
    summary="",
    source="",
    inputs={"prompt": "required"},
    result="layer",
    max_variations=4,
    fields=(CAPTION, GROUP, STEPS),
    further=tuple(RASTERS),
)
KNOWN = Catalogue((METHOD,), (ModelInfo("mini", "Mini"), ModelInfo("large", "Large")))
FORM = {
    "input.segments": "layer.a",
    "caption": "a man",
    "things": [{"text": "hat", "where": "selection"}],
    "steps": 7,
}
MINE = Settings("compose", "a hat", 5, 3, "large", "visible", FORM)
BARE = {"things": [{"text": "hat", "where": None}], "steps": 7}


def written(**changes):
    contents = {"method": "compose", "title": "Compose", "prompt": "", "parameters": {}, "variations": 1}
    return json.dumps({"velatura-settings": 1, "name": "Mine", "settings": {**contents, **changes}})


def test_settings_come_back_without_what_belongs_to_a_picture(tmp_path):
    kept = SettingsPresets(tmp_path)
    assert kept.save(" My  hats ", MINE, METHOD) == "My hats" and kept.names() == ["My hats"]
    loaded = kept.load("my HATS", KNOWN)
    assert loaded.settings == Settings("compose", "a hat", 5, 3, "large", "visible", BARE)
    assert (loaded.name, loaded.note) == ("My hats", "")
    assert "selection" not in next(kept.files.folder.iterdir()).read_text()
    kept.delete("My hats")
    assert "could not be read" in refused(lambda: kept.load("My hats", KNOWN))


def test_a_file_for_others_takes_nobody_s_name_and_holds_no_dials(tmp_path):
    export_to(tmp_path / "file.json", "Hats", MINE, METHOD)
    kept = SettingsPresets(tmp_path)
    kept.save("Hats", Settings("compose"), METHOD)
    assert [kept.add_from(tmp_path / "file.json", KNOWN).name for _ in range(2)] == ["Hats 2", "Hats 2"]
    assert kept.load("Hats 2", KNOWN).settings.parameters == BARE
    (tmp_path / "dials.json").write_text(json.dumps({"velatura-dials": 1, "name": "Mine", "dials": []}))
    assert "holds no settings" in refused(lambda: kept.add_from(tmp_path / "dials.json", KNOWN))


@pytest.mark.parametrize(
    ("changes", "words", "expected"),
    [
        ({"parameters": {"steps": 12}}, ["“Steps” does not fit"], {"steps": 4}),
        ({"parameters": {"things": [{}] * 9}}, ["“Things” does not fit"], {"things": []}),
        ({"parameters": {"later": 1, "steps": 5}}, ["not known here; update"], {"steps": 5}),
        ({"model": "gone"}, ["model is not here; choose one"], {}),
        ({"variations": 9}, ["can be 4 variations"], {}),
    ],
)
def test_what_does_not_fit_here_is_said_and_the_rest_is_loaded(tmp_path, changes, words, expected):
    path = tmp_path / "file.json"
    path.write_text(written(prompt="a hat", **changes))
    loaded = SettingsPresets(tmp_path).add_from(path, KNOWN)
    assert all(word in loaded.note for word in words) and loaded.settings.prompt == "a hat"
    assert expected.items() <= loaded.settings.parameters.items()
    assert loaded.settings.model == "" and 1 <= loaded.settings.variations <= 4


def test_a_method_that_is_not_here_is_named(tmp_path):
    path = tmp_path / "file.json"
    path.write_text(written(method="other", title="Paint all"))
    assert "for “Paint all”, which is not here" in refused(
        lambda: SettingsPresets(tmp_path).add_from(path, KNOWN)
    )
    assert SettingsPresets(tmp_path).names() == []


@settings(max_examples=40)
@given(
    st.fixed_dictionaries(
        {"method": st.just("compose") | JSON},
        optional=dict.fromkeys(
            ("title", "prompt", "seed", "variations", "model", "sees", "parameters"), JSON
        ),
    ),
    st.dictionaries(st.sampled_from(["things", "steps", "caption", "input.area"]), JSON),
)
def test_a_stranger_s_file_gives_settings_that_fit_or_a_sentence(tmp_path_factory, contents, parameters):
    path = tmp_path_factory.mktemp("shared") / "file"
    contents.setdefault("parameters", parameters)
    path.write_bytes(json.dumps({"velatura-settings": 1, "name": "Mine", KIND.noun: contents}).encode())
    try:
        found = SettingsPresets(path.parent).add_from(path, KNOWN).settings
    except VelaturaError as error:
        assert error.message.endswith(".") and "\n" not in error.message
    else:
        method = KNOWN.method(found.method)
        assert method.complete(found.parameters).items() >= found.parameters.items()
        assert 1 <= found.variations <= 4 and -1 <= found.seed < 2**31


def test_a_deep_file_is_refused_or_read(tmp_path):
    path = tmp_path / "file.json"
    for depth in (500, 900, 5000, 100_000):
        path.write_text(
            written().replace('"parameters": {}', f'"parameters": {{"steps": {"[" * depth}{"]" * depth}}}')
        )
        try:
            assert SettingsPresets(tmp_path).add_from(path, KNOWN).settings.parameters["steps"] == 4
        except VelaturaError as error:
            assert "holds no settings" in error.message
