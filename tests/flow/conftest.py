"""A tiny real model for each thing that a network can predict, and a tiny network that is a flow."""

from __future__ import annotations

import pytest
import torch

from tests.tiny import tiny_model
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore


@pytest.fixture(scope="session", params=["epsilon", "v_prediction", "sample"])
def model(request, tmp_path_factory):
    """A random model of this prediction."""
    return _loaded(tmp_path_factory.mktemp("models") / request.param, prediction=request.param)


@pytest.fixture(scope="session")
def any_model(tmp_path_factory):
    return _loaded(tmp_path_factory.mktemp("models") / "any")


def _loaded(folder, **more):
    entry = ModelEntry("tiny", "Tiny", "diffusers", str(tiny_model(folder, **more)), 64)
    return ModelStore([entry], "cpu", torch.float32).get()
