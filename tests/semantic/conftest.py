"""A tiny random model whose prompts matter as much as those of a trained one."""

from __future__ import annotations

import pytest

from tests.tiny import tiny_model
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """With larger attention, so that the difference of two prompts' predictions is no rounding error."""
    folder = tiny_model(tmp_path_factory.mktemp("semantic"), vae="tiny")
    made = ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)], "cpu").get()
    for name, module in made.unet.named_modules():
        if name.endswith("attn2"):
            for layer in (module.to_q, module.to_k, module.to_v):
                layer.weight.mul_(4.0)
    return made
