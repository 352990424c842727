"""`velatura dials` with sliders that are kept for a model."""

from __future__ import annotations

import json

import pytest
import torch

from velatura.cli.main import main
from velatura.shelf import Dial, Shelf


@pytest.fixture
def call(tmp_path, capsys):
    def run(*words, code=0):
        assert main(["dials", "--state-dir", str(tmp_path), *map(str, words)]) == code
        told = capsys.readouterr()
        return told.out if code == 0 else told.err

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
    assert "none are saved yet" in call("delete", "Beard", code=1)
    first = shelf.keep(dial("Hat"))
    assert "there are: Hat" in call("rename", "Beard", "Cap", code=1)
    assert "1 to 60 characters" in call("rename", "Hat", " ", code=1)
    second = shelf.keep(Dial("", "Hat", "blake2b:y", "vector", {"ws": torch.ones(2, 3)}, {}))
    told = call("delete", "Hat", code=1)
    assert first in told and second in told
    (tmp_path / "bad.safetensors").write_bytes(b"bad")
    assert "choose another file" in call("import", tmp_path / "bad.safetensors", code=1)
    path = tmp_path / "shelf" / f"{first}.dial.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    kept, left_out = call("list").splitlines()
    assert second in kept and left_out == f"{first}.dial.safetensors: left out, because it is cut off"
