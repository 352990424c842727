"""A decoder that can be tuned for one picture gives the model's own pictures, and leaves the model alone."""

import pytest
import torch

from tests.tiny import tiny_model
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura.reconstruction.fitting import Target, tuned_decoder


@pytest.fixture(params=["kl", "tiny"], scope="module")
def model(request, tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp(request.param), vae=request.param)
    return ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)]).diffusion()


def test_with_the_models_own_weights_it_decodes_as_the_model(model):
    decoder = model.tunable_decoder()
    torch.manual_seed(0)
    z = torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        picture = decoder.picture(z, decoder.weights).clamp(-1, 1)
    assert torch.allclose(picture, model.decode(z), atol=1e-5)
    own = sum(p.numel() for p in model.networks["vae"].decoder.parameters())
    assert sum(w.numel() for w in decoder.weights.values()) >= own


def test_the_loss_falls_and_the_model_stays_as_it_was(model):
    torch.manual_seed(1)
    z, x = torch.randn(1, 4, 8, 8), torch.rand(1, 3, 64, 64) * 2 - 1
    before = model.decode(z)
    m = torch.zeros(1, 1, 64, 64)
    m[..., 10:30, 10:40] = 1.0
    target, decoder = Target(before, x, m, 100.0), model.tunable_decoder()
    theta = tuned_decoder(decoder, z, target, 10, 1e-4, lambda i: None, [])
    with torch.no_grad():
        losses = [target.loss(decoder.picture(z, weights)) for weights in (theta, decoder.weights)]
    assert losses[0] < losses[1]
    assert torch.equal(model.decode(z), before)
