"""The source of inversion's tests: a layer on a tiny model whose text matters."""

import pytest
import torch

from tests.inversion.conftest import source, tiny

__all__ = ["source", "tiny"]


@pytest.fixture(autouse=True)
def as_in_the_worker():
    with torch.inference_mode():
        yield
