"""A tiny model whose attention means something."""

import pytest


@pytest.fixture(scope="session")
def sharp(tmp_path_factory):
    """Random queries and keys are so small that every map is nearly flat, and an edit of maps would go
    unseen: these are larger."""
    from tests.tiny import tiny_model
    from velatura.models.catalogue import ModelEntry
    from velatura.models.store import ModelStore

    folder = tiny_model(tmp_path_factory.mktemp("sharp"), vae="tiny")
    model = ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)]).get()
    for name, module in model.unet.named_modules():
        if name.endswith(("attn1", "attn2")):
            module.to_q.weight.mul_(4.0)
            module.to_k.weight.mul_(4.0)
    return model
