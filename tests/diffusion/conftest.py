"""Tiny models, loaded by the real loader, one of each prediction and schedule."""

import pytest

from tests.tiny import tiny_model
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """tiny(prediction, zero_snr) -> Model."""
    made = {}

    def load(prediction="epsilon", zero_snr=False):
        key = prediction, zero_snr
        if key not in made:
            folder = tiny_model(
                tmp_path_factory.mktemp("tiny"), prediction=prediction, zero_snr=zero_snr, vae="tiny"
            )
            made[key] = ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)]).get()
        return made[key]

    return load
