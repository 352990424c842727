"""Presets of dials: kept, shared, and what a stranger's file can hold."""

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol import named_files, presets
from velatura_protocol.errors import VelaturaError
from velatura_protocol.presets import Presets, export_to, import_from

from .test_dials import FIELD, LISTS, entry

BEARD = [entry("short beard", "long beard", "Beard"), entry(more="hat", strength=-2.0)]
NAMES = st.text(min_size=1, max_size=60).filter(
    lambda name: name.strip() and name.isprintable()
) | st.sampled_from(["..", "a/b", "CON", "nul.json", "é", "e\u0301", "A", "a", "😀", "x" * 60])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def text_of(dials, name="Beard", version=1):
    return json.dumps({"velatura-dials": version, "name": name, "dials": dials})


def test_saved_listed_loaded_deleted(tmp_path):
    kept = Presets(tmp_path / "not" / "there")
    assert kept.names() == []
    assert kept.save(" My\n beard ", [*BEARD, entry()]) == "My beard"
    kept.save("ähnlich", [])
    assert kept.same("ÄHNLICH ", "a\u0308hnlich") and not kept.same("ähnlich", "ahnlich")
    assert kept.names() == ["My beard", "ähnlich"]
    assert kept.load("my BEARD", FIELD) == BEARD
    kept.save("MY beard", BEARD[:1])
    assert kept.names() == ["MY beard", "ähnlich"] and kept.load("My beard", FIELD) == BEARD[:1]
    kept.delete("My beard")
    kept.delete("My beard")
    assert kept.names() == ["ähnlich"] and len(list(kept.files.folder.iterdir())) == 1
    with pytest.raises(VelaturaError, match="could not be read"):
        kept.load("My beard", FIELD)


@given(st.dictionaries(NAMES, LISTS, max_size=4))
def test_what_is_saved_comes_back_whatever_its_name(tmp_path_factory, given_dials):
    kept = Presets(tmp_path_factory.mktemp("state"))
    expected = {}
    for name, entries in given_dials.items():
        saved = kept.save(name, entries)
        expected = {other: dials for other, dials in expected.items() if not kept.same(other, saved)}
        expected[saved] = FIELD.check([e for e in entries if any(c.isalnum() for c in e["less"] + e["more"])])
    assert sorted(kept.names()) == sorted(expected)
    for name, dials in expected.items():
        assert kept.load(name, FIELD) == dials
    assert {path.parent for path in kept.files.folder.rglob("*")} <= {kept.files.folder}
    assert all(path.name.isascii() and len(path.name) < 64 for path in kept.files.folder.rglob("*"))


@given(LISTS)
def test_a_file_for_others_and_back(tmp_path_factory, entries):
    folder = tmp_path_factory.mktemp("shared")
    export_to(folder / "file.json", "Beard", entries)
    found = import_from(folder / "file.json", FIELD)
    assert found.name == "Beard"
    assert found.dials == [e for e in entries if any(c.isalnum() for c in e["less"] + e["more"])]
    assert list(folder.iterdir()) == [folder / "file.json"]


def test_an_import_takes_nobody_s_name(tmp_path):
    kept = Presets(tmp_path)
    kept.save("Beard", BEARD[:1])
    export_to(tmp_path / "file", "Beard", BEARD)
    assert kept.add_from(tmp_path / "file", FIELD).name == "Beard 2"
    assert kept.add_from(tmp_path / "file", FIELD).name == "Beard 2"  # it is there
    assert kept.load("Beard", FIELD) == BEARD[:1] and kept.load("Beard 2", FIELD) == BEARD
    export_to(tmp_path / "long", "x" * 60, BEARD)
    kept.save("x" * 60, [])
    assert kept.add_from(tmp_path / "long", FIELD).name == "x" * 58 + " 2"
    kept.files.path("Beard").write_text("damaged")
    assert kept.add_from(tmp_path / "file", FIELD).name == "Beard 2" and kept.names()[0] == "Beard 2"


WRONG = [
    *[b"", b"\xff\xfe", b"[]", b"{}", b"null", b"[" * 100_000, b'{"velatura-dials": ' + b"9" * 5000 + b"}"],
    text_of([]).encode() + b" " * named_files.MAX_FILE,
    *[text_of([], name=name).encode() for name in ("", "x" * 61, "a\x07", 7)],
    *[text_of([], version=version).encode() for version in (2, True, "1", None)],
    *[text_of(dials).encode() for dials in ({}, [1], [{"strength": 1}] * 17, [{"other": 1}])],
    *[text_of([entry("a", strength=strength)]).encode() for strength in (4.0, float("nan"), "1")],
    *[text_of([entry(less)]).encode() for less in ("a\ud800", "a\0b", "x" * 501)],
]


@pytest.mark.parametrize("data", WRONG)
def test_a_stranger_s_file_is_refused_in_one_sentence(tmp_path, data):
    path = tmp_path / "file.json"
    path.write_bytes(data)
    refused(lambda: import_from(path, FIELD))
    refused(lambda: Presets(tmp_path).add_from(path, FIELD))
    assert not (tmp_path / presets.KIND.folder).exists()


ANYTHING = (
    JSON
    | JSON.map(text_of)
    | JSON.map(lambda value: text_of([{"less": value, "strength": value}]))
    | JSON.map(lambda value: text_of([], name=value, version=value))
).map(lambda value: (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=40) | ANYTHING)
def test_whatever_a_file_holds_it_is_dials_or_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("shared") / "file"
    path.write_bytes(data)
    try:
        found = import_from(path, FIELD)
    except VelaturaError as error:
        assert error.code == "bad-request" and error.message
    else:
        assert FIELD.check(found.dials) == found.dials and 0 < len(found.name) <= named_files.MAX_NAME


def refused(call):
    with pytest.raises(VelaturaError) as caught:
        call()
    message = caught.value.message
    assert caught.value.code == "bad-request" and message.endswith(".") and "\n" not in message
    return message


def test_no_file_a_folder_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe"):
        assert "choose another file" in refused(lambda path=path: import_from(path, FIELD))
    assert "another folder" in refused(lambda: export_to(tmp_path / "none" / "file", "Beard", BEARD))
    (tmp_path / presets.KIND.folder).write_text("in the way")
    kept = Presets(tmp_path)
    assert kept.names() == []
    refused(lambda: kept.save("Beard", BEARD))
    refused(lambda: kept.delete("Beard"))


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    kept = Presets(tmp_path)
    kept.save("Beard", BEARD)
    refused(lambda: kept.save("Beard", [entry("x" * named_files.MAX_FILE)]))
    refused(lambda: kept.save("Beard", [entry("a\ud800")]))
    assert kept.load("Beard", FIELD) == BEARD and len(list(kept.files.folder.iterdir())) == 1


def test_a_preset_is_checked_against_the_field_that_reads_it(tmp_path):
    kept = Presets(tmp_path)
    kept.save("Beard", BEARD)
    assert "do not fit" in refused(lambda: kept.load("Beard", replace(FIELD, max_items=1)))
    with pytest.raises(VelaturaError) as strong:
        kept.save("Strong", [entry("short", "long", strength=600.0)])
        kept.load("Strong", FIELD)
    assert strong.value.hint.startswith("short → long: ")
    nameless = replace(FIELD, fields=tuple(f for f in FIELD.fields if f.key != "name"))
    refused(lambda: kept.load("Beard", nameless))
    kept.files.path("Beard").write_text(text_of([{"more": "hat"}]))
    assert kept.load("Beard", FIELD) == [entry(more="hat")]


def test_there_is_a_most(tmp_path, monkeypatch):
    monkeypatch.setattr(named_files, "MAX_FILES", 2)
    kept = Presets(tmp_path)
    for name in ("a", "b"):
        kept.save(name, BEARD)
    assert "delete some" in refused(lambda: kept.save("c", BEARD))
    kept.save("b", [])
    assert kept.names() == ["a", "b"]


@given(NAMES)
def test_a_name_for_the_exported_file(name):
    proposed = presets.file_name(name)
    assert proposed.endswith(".json") and not set(proposed) & set('/\\:*?"<>|\n') and proposed[0] != "."
