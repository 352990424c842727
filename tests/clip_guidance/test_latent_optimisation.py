"""Latents led to a loss: where they may go, where they stay, and that a stopped run goes on as it was."""

from __future__ import annotations

import pytest
import torch

from tests.tiny import tiny_vq
from velatura.clip_guidance import latent_optimisation as lo
from velatura.models import vq


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny_vq(tmp_path_factory.mktemp("vq"))
    return vq.load(folder, "tiny", "digest", torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def z0(model):
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(3)) * 2.0 - 1.0
    with torch.no_grad():
        return model.encode(x)


def darker(pictures, random):
    """A loss with the random weights of its step."""
    weights = torch.rand(pictures.shape[1:], generator=random[0])
    return (pictures * weights).flatten(1).mean(1)


def run(model, z0, seed=1, begun=None, after_step=lambda step: None, **more):
    settings = {"steps": 6, "rate": 0.1, **more}
    begun = [] if begun is None else begun
    return lo.optimise(model, z0, darker, seed, **settings, after_step=after_step, begun=begun)


def test_it_is_adam_on_the_straight_through_gradient(model, z0):
    w = z0.clone().requires_grad_()
    m = v = torch.zeros_like(z0)
    low, high = model.codes.amin(0)[None, :, None, None], model.codes.amax(0)[None, :, None, None]
    for i in range(4):
        random = [torch.Generator().manual_seed(lo._mixed(1, i))]
        z = w + (model.quantise(w.detach()) - w).detach()
        picture = model._network.decode(z, force_not_quantize=True).sample.clamp(-1.0, 1.0)
        (g,) = torch.autograd.grad(darker(picture, random).sum(), w)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        step = 0.1 * (m / (1 - 0.9 ** (i + 1))) / ((v / (1 - 0.999 ** (i + 1))).sqrt() + 1e-8)
        w = (w.detach() - step).clamp(low, high).requires_grad_()
    torch.testing.assert_close(run(model, z0, steps=4), w.detach(), rtol=1e-4, atol=1e-5)


def test_only_free_places_change_and_no_latent_leaves_the_codes_range(model, z0):
    free = torch.zeros(1, 1, 8, 8)
    free[..., 2:5, 3:6] = 1.0
    z = run(model, z0, free=free, scatter=0.5, steps=3)
    outside = (free == 0.0).expand_as(z)
    assert torch.equal(z[outside], z0[outside])
    assert not torch.equal(z[~outside], z0[~outside])
    inside = z[:, :, 2:5, 3:6]
    assert (inside <= model.codes.amax(0)[None, :, None, None] + 1e-6).all()
    assert (inside >= model.codes.amin(0)[None, :, None, None] - 1e-6).all()


def test_a_seed_gives_one_result_and_another_seed_another(model, z0):
    assert torch.equal(run(model, z0, seed=5), run(model, z0, seed=5))
    assert not torch.equal(run(model, z0, seed=5), run(model, z0, seed=6))


def test_a_stopped_run_goes_on_to_the_same_latents(model, z0):
    def stop(step):
        if step.i == 2:
            raise Stop

    begun, seen = [], []
    with pytest.raises(Stop):
        run(model, z0, begun=begun, after_step=stop)
    z = run(model, z0, begun=begun, after_step=lambda step: seen.append(step.i))
    assert seen == [3, 4, 5]
    assert torch.equal(z, run(model, z0))


def test_half_of_the_views_are_warped(model):
    x = torch.rand(2, 3, 32, 32)
    random = [torch.Generator().manual_seed(i) for i in range(2)]
    assert lo.views(5, 16)(x, random).shape == (2, 5, 3, 16, 16)
    assert lo.views(1, 16)(x, random).shape == (2, 1, 3, 16, 16)
