"""A store with one tiny model."""

import pytest

from tests.tiny import tiny_model
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore


@pytest.fixture(scope="session")
def entries(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("tiny"), vae="tiny")
    return [ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)]


@pytest.fixture(scope="session")
def models(entries):
    return ModelStore(entries)
