"""A VQ model is a kind of model: it is recognised, loaded, and computes what diffusers computes."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import VQModel

from tests.tiny import tiny_vq
from velatura.models import catalogue
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def folder(tmp_path):
    return tiny_vq(tmp_path / "vq", size=64)


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


def loaded(state):
    return ModelStore(lambda: catalogue.entries(state)).get("mine")


def test_a_folder_of_diffusers_is_recognised_and_loaded(folder, state):
    entry = catalogue.add(state, "mine", str(folder))
    assert (entry.kind, entry.generator, entry.size, entry.fault) == ("vq", "vq", 64, "")
    model = loaded(state)
    assert (model.kind, model.size, model.factor, model.multiple) == ("vq", 64, 4, 4)
    assert model.codes.shape == (8, 4) and model.codes.dtype == torch.float32


def test_it_encodes_and_decodes_as_diffusers_does(folder, state):
    catalogue.add(state, "mine", str(folder))
    model, network = loaded(state), VQModel.from_pretrained(folder).eval()
    x = torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(1)) * 2.0 - 1.0
    with torch.no_grad():
        z = network.encode(x).latents
        torch.testing.assert_close(model.encode(x), z)
        torch.testing.assert_close(model.decode(z), network.decode(z).sample.clamp(-1.0, 1.0))


def test_the_gradient_passes_the_quantisation_as_if_it_were_not_there(folder, state):
    catalogue.add(state, "mine", str(folder))
    model = loaded(state)
    z = torch.randn(1, 4, 3, 5, generator=torch.Generator().manual_seed(2), requires_grad=True)
    q = model.quantise(z)
    nearest = (z.detach().movedim(1, -1)[..., None, :] - model.codes).square().sum(-1).argmin(-1)
    torch.testing.assert_close(q.detach(), model.codes[nearest].movedim(-1, 1))
    weights = torch.randn_like(q)
    (gradient,) = torch.autograd.grad((q * weights).sum(), z)
    assert torch.equal(gradient, weights)


def test_a_card_beside_it_does_not_change_its_digest(folder, state):
    catalogue.add(state, "mine", str(folder))
    before = loaded(state).digest
    (folder / "README.md").write_text("words")
    (folder / "figures.json").write_text("{}")
    assert loaded(state).digest == before
    tiny_vq(folder, size=64, seed=1)
    assert loaded(state).digest != before


@pytest.mark.parametrize("side", [0, -8, 1.5, "64", 10**9, True, 32, None])
def test_a_side_that_no_picture_has_stands_for_the_published_one(folder, state, side):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"sample_size": side}))
    assert catalogue.add(state, "mine", str(folder)).size == 256


def test_the_embedded_one_has_the_embedded_companions(state):
    entry = next(entry for entry in catalogue.entries(state) if entry.id == catalogue.EMBEDDED_VQ_ID)
    assert (entry.generator, entry.size, entry.fault) == ("vq", 128, "")
    assert set(entry.companions) == {"clip", "captioner", "identity", "segmenter", "enlarger"}
    with pytest.raises(VelaturaError):
        catalogue.add(state, entry.id, entry.path)
