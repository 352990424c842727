"""A store with one tiny model and its companions."""

import pytest

from tests.tiny import tiny_blip, tiny_clipseg, tiny_model
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore


@pytest.fixture(scope="session")
def entries(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny"), vae="tiny")
    companions = {
        "captioner": str(tiny_blip(folder / "captioner")),
        "segmenter": str(tiny_clipseg(folder / "segmenter")),
    }
    return [ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64, companions)]


@pytest.fixture(scope="session")
def models(entries):
    return ModelStore(entries)
