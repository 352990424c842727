"""The identity encoder beside a model: Velatura's own, and a vision network of transformers."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from transformers import ViTConfig, ViTModel

from tests.tiny import tiny_clip
from velatura.companions.identity import IdentityEncoder, load_identity
from velatura.models.catalogue import EMBEDDED_COMPANIONS, EMBEDDED_VQ_ID, entries
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

CPU = torch.device("cpu")


@pytest.fixture
def pictures():
    return torch.rand(2, 3, 48, 40, generator=torch.Generator().manual_seed(0))


def test_the_embedded_models_have_velaturas_own(tmp_path):
    entry = {entry.id: entry for entry in entries(tmp_path)}[EMBEDDED_VQ_ID]
    assert entry.companions["identity"] == str(EMBEDDED_COMPANIONS["identity"])
    store = ModelStore([entry])
    assert store.identity() is None  # no model in memory
    store.get()
    assert isinstance(store.identity(), IdentityEncoder)
    assert store.identity() is store.identity()


def test_its_vectors_are_of_unit_length_and_have_a_gradient(pictures):
    encoder = load_identity(str(EMBEDDED_COMPANIONS["identity"]), CPU, torch.float32)
    pictures.requires_grad_()
    vectors = encoder.images(pictures)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2))
    (gradient,) = torch.autograd.grad(vectors[0] @ vectors[1], pictures)
    assert gradient.abs().amax((1, 2, 3)).min() > 0.0
    assert not any(weights.requires_grad for weights in encoder.parameters())


def test_a_vision_network_gives_its_pooled_vector(tmp_path, pictures):
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        patch_size=8,
    )
    torch.manual_seed(0)
    network = ViTModel(config).eval()
    network.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({"size": {"height": 32, "width": 32}, "image_mean": [0.4] * 3, "image_std": [0.2] * 3})
    )
    found = load_identity(str(tmp_path), CPU, torch.float32).images(pictures)
    x = F.interpolate(pictures, (32, 32), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = F.normalize(network(pixel_values=(x - 0.4) / 0.2).pooler_output, dim=-1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("fault", ["clip", "empty", "weights"])
def test_a_folder_with_something_else_is_refused(tmp_path, fault):
    if fault == "clip":
        tiny_clip(tmp_path)  # a text beside the pictures
    elif fault == "weights":
        for file in EMBEDDED_COMPANIONS["identity"].iterdir():
            (tmp_path / file.name).symlink_to(file)
        (tmp_path / "config.json").unlink()
        (tmp_path / "config.json").write_text('{"channels": [32, 64], "width": 64, "dimension": 64}')
    with pytest.raises(VelaturaError, match=r"^The identity encoder at") as caught:
        load_identity(str(tmp_path), CPU, torch.float32)
    assert caught.value.code == "unknown-model"
