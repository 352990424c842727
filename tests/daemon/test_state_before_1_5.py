"""A state directory before protocol 1.5: inversions are made anew, nothing of the person's is touched."""

from __future__ import annotations

import torch
from safetensors.torch import save

from velatura.daemon.worker.runner import Runner
from velatura_protocol.messages import canonical, digest


def trajectory():
    """A file as it was written then."""
    text = canonical({"format": 1, "key": "k", "sigmas": [1.0, 0.0], "eta": 0.0, "x": ["x", None]})
    return save({"x": torch.zeros(1, 4, 8, 8)}, {"trajectory": text.decode(), "digest": digest(text)})


def test_its_trajectories_go_and_what_else_lies_there_stays(tmp_path):
    old = tmp_path / "trajectories"
    old.mkdir()
    (old / "0f3a.trajectory").write_bytes(trajectory())
    (old / "0f3b.part").write_bytes(b"half")
    (old / "notes.txt").write_text("mine")
    Runner(tmp_path, "cpu")
    assert [path.name for path in old.iterdir()] == ["notes.txt"]
    (old / "notes.txt").unlink()
    Runner(tmp_path, "cpu")
    assert not old.exists()


def test_a_folder_that_is_none_breaks_nothing(tmp_path):
    (tmp_path / "trajectories").write_text("a file")
    (tmp_path / "kept").write_text("a file too")
    assert Runner(tmp_path, "cpu").device == "cpu"
    assert (tmp_path / "trajectories").read_text() == "a file"
