"""`velatura dials` with sliders that are kept for a model."""

from __future__ import annotations

import json

import pytest
import torch

from tests.tiny_styles import tiny_parts
from velatura.cli.main import main
from velatura.cli.values import parse_values
from velatura.methods.registry import describe, registry
from velatura.methods.shelving import Choice, filled
from velatura.models.catalogue import add
from velatura.models.families.style_files import write
from velatura.shelf import Dial, Shelf
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError


@pytest.fixture
def call(tmp_path, capsys):
    def run(*words, code=0):
        assert main(["dials", "--state-dir", str(tmp_path), *map(str, words)]) == code
        told = capsys.readouterr()
        own = [line for line in told.out.splitlines(keepends=True) if "comes with a model" not in line]
        return "".join(own) if code == 0 else told.err

    return run


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf")


def dial(title="Full beard", value=1.0):
    return Dial("", title, "blake2b:x", "vector", {"ws": torch.full((2, 3), value)}, {})


def test_kept_sliders_are_listed_renamed_shown_shared_and_deleted(call, shelf, tmp_path):
    assert call() == call("list") == ""
    id = shelf.keep(dial())
    (line,) = call("list").splitlines()
    assert line.startswith("Full beard ") and line.endswith(id)
    call("rename", "full BEARD", "Moustache")
    assert call("list").startswith("Moustache ")
    assert json.loads(call("show", "Moustache")) == [{"dial": id, "amount": 100.0}]
    file = tmp_path / "moustache.safetensors"
    call("export", id, file)
    call("delete", "Moustache")
    assert call("list") == ""
    assert "Moustache" in call("import", file)
    assert [entry.id for entry in shelf.entries()] == [id]
    call("remove", id)
    assert shelf.entries() == []


def test_what_is_wrong_is_said_with_a_way_out(call, shelf, tmp_path):
    assert "No dials are saved as 'Cape'" in call("delete", "Cape", code=1)
    first = shelf.keep(dial("Cowl"))
    assert "there are: " in (told := call("rename", "Cape", "Cap", code=1)) and "Cowl" in told
    assert "1 to 60 characters" in call("rename", "Cowl", " ", code=1)
    second = shelf.keep(Dial("", "Cowl", "blake2b:y", "vector", {"ws": torch.ones(2, 3)}, {}))
    told = call("delete", "Cowl", code=1)
    assert first in told and second in told
    (tmp_path / "bad.safetensors").write_bytes(b"bad")
    assert "choose another file" in call("import", tmp_path / "bad.safetensors", code=1)
    path = tmp_path / "shelf" / f"{first}.dial.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    kept, left_out = call("list").splitlines()
    assert second in kept and left_out == f"{first}.dial.safetensors: left out, because it is cut off"


@pytest.mark.parametrize("name", ["moustache.dial", "moustache", "moustache.json"])
def test_a_shared_slider_may_have_any_name(call, shelf, tmp_path, name):
    id = shelf.keep(dial("Moustache"))
    call("export", id, tmp_path / name)
    call("delete", id)
    assert "Moustache" in call("import", tmp_path / name)
    assert [entry.id for entry in shelf.entries()] == [id]


def test_an_id_means_its_own_slider_though_another_one_is_called_so(call, shelf):
    id = shelf.keep(dial("Hat"))
    other = shelf.keep(dial(id, 2.0))
    call("delete", id)
    assert [entry.id for entry in shelf.entries()] == [other]


def test_sliders_that_come_with_a_model_are_listed_and_stay(capsys, tmp_path):
    model = tmp_path / "portraits"
    shipped = Shelf(model / "dials")
    id = shipped.keep(Dial("", "Cape", "", "vector", {"ws": torch.ones(2, 3)}, {}))
    write(model, tiny_parts())
    add(tmp_path, "portraits", model)
    words = ["dials", "--state-dir", str(tmp_path)]
    assert main([*words, "list"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("Cape ")] == [
        f"{'Cape':28} comes with a model, {id}"
    ]
    assert main([*words, "show", "cape"]) == 0 and id in capsys.readouterr().out
    assert main([*words, "delete", "Cape"]) == 1
    assert "belongs to a model" in capsys.readouterr().err


def test_a_slider_is_chosen_by_its_title():
    kept = [Choice("0" * 16, "Full beard"), Choice("1" * 16, "Hat")]
    (form,) = filled([describe(registry()["face-dials"])], kept)
    method = MethodInfo.from_wire(form)
    (group,) = [field for field in method.fields if field.key == "dials"]

    def chosen(name):
        (entry,) = parse_values(method, [], items=[(group, {"dial": name, "amount": "80"})])["dials"]
        return entry["dial"]

    assert chosen("full BEARD") == chosen("0" * 16) == "0" * 16
    with pytest.raises(VelaturaError, match="choose one of"):
        chosen("Cape")
