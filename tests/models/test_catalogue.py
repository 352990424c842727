"""The list of models when files come and go."""

from __future__ import annotations

import shutil

import pytest
import torch

from tests.tiny import tiny_model
from velatura.models import catalogue
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError


def test_a_model_whose_files_are_gone_is_refused_by_name_and_hides_no_other(tmp_path):
    gone, there = tiny_model(tmp_path / "gone"), tiny_model(tmp_path / "there")
    catalogue.add(tmp_path, "there", str(there))
    catalogue.add(tmp_path, "gone", str(gone))
    shutil.rmtree(gone)

    kinds = {entry.id: entry.kind for entry in catalogue.entries(tmp_path)}
    embedded = {
        "velatura-mini": "diffusers",
        "velatura-pixels": "pixels",
        "velatura-vq": "vq",
        "velatura-face": "style",
    }
    there_too = {id: kind for id, kind in embedded.items() if catalogue.EMBEDDED[id].is_dir()}
    assert embedded.keys() == catalogue.EMBEDDED.keys()
    assert kinds == {"gone": "missing", "there": "diffusers", **there_too}

    store = ModelStore(
        lambda: catalogue.entries(tmp_path), torch.device("cpu"), memory=tmp_path / "digests.json"
    )
    with pytest.raises(VelaturaError) as refusal:
        store.get("")  # the default, which is the one that is gone: no other is taken in its place
    assert refusal.value.code == "unknown-model"
    assert "gone" in refusal.value.message
    assert store.get("there").id == "there"
