"""The term of losses of pictures, where its answer is known in closed form, and ancestral sampling."""

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from velatura.clip_guidance.ancestral import ancestral
from velatura.clip_guidance.term import PictureGuidance
from velatura.diffusion.condition import Condition
from velatura.guidance.term import guided

NONE = Condition(torch.zeros(1, 0, 1))


class Gaussian:
    """The exact denoiser of z ~ N(0, I): v = 0 everywhere, and D = x / (sigma^2 + 1)."""

    training_sigmas = np.geomspace(0.01, 100.0, 1000)
    prediction = "v_prediction"
    guidance_rescale = 0.0

    def network(self, x, t, condition, attend=None):
        return 0.0 * x


@pytest.mark.parametrize("through", [False, True])
def test_a_quadratic_loss_moves_the_prediction_as_tweedies_formula_says(through):
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    a, c, sigma = 0.1, 0.7, 2.0
    term = PictureGuidance(
        [lambda D: 0.5 * a * (D - c).square().flatten(1).sum(1)], through_network=through, limit=10.0
    )
    with torch.inference_mode():
        got = guided(Gaussian(), NONE, NONE, 1.0, [term])(x, sigma)
    D = x / (sigma**2 + 1.0)
    # the Jacobian of this denoiser is 1 / (sigma^2 + 1), so both ways give the same
    torch.testing.assert_close(got, D - sigma**2 / (sigma**2 + 1.0) * a * (D - c))


def test_losses_add_up_and_see_decoded_pictures():
    x = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    term = PictureGuidance(
        [lambda y: y.flatten(1).sum(1), lambda y: 2.0 * y.flatten(1).sum(1)], lambda z: 0.01 * z, limit=10.0
    )
    got = guided(Gaussian(), NONE, NONE, 1.0, [term])(x, 1.0)
    torch.testing.assert_close(got, x / 2.0 - 0.5 * 0.03 * torch.ones_like(x))


def test_a_change_is_shortened_picture_by_picture():
    x = torch.zeros(2, 3, 4, 4)
    weights = torch.tensor([1000.0, 0.001]).view(2, 1, 1, 1)
    term = PictureGuidance([lambda y: (weights * y).flatten(1).sum(1)], limit=0.3)
    got = guided(Gaussian(), NONE, NONE, 1.0, [term])(x, 1.0)
    torch.testing.assert_close(got[0], torch.full((3, 4, 4), -0.3))
    torch.testing.assert_close(got[1], torch.full((3, 4, 4), -0.0005))


def test_a_step_is_that_of_diffusers_ddpm():
    scheduler = DDPMScheduler(num_train_timesteps=1000, clip_sample=False, variance_type="fixed_small")
    scheduler.set_timesteps(timesteps=[700, 500])
    abar = scheduler.alphas_cumprod.double()
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    eps = torch.randn(1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    wanted = scheduler.step(eps, 700, x, generator=torch.Generator().manual_seed(2)).prev_sample
    noise = torch.randn(1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    sigmas = [float(((1.0 - abar[t]) / abar[t]).sqrt()) for t in (700, 500)]
    D = (x - (1.0 - abar[700]).sqrt() * eps) / abar[700].sqrt()
    levels: list[torch.Tensor] = []

    def hook(x, step):
        levels.append(x)
        return x

    ancestral(lambda x, sigma, at=None: D, x / abar[700].sqrt(), [*sigmas, 0.0], hook, lambda: noise)
    torch.testing.assert_close(levels[0] * abar[500].sqrt(), wanted, rtol=1e-5, atol=1e-6)
    assert levels[1].equal(D)
