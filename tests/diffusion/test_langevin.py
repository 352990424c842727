"""LanPaint's Langevin steps: the paper's own form, and a distribution whose conditional is known."""

import math

import pytest
import torch

from velatura.diffusion import langevin, noise, samplers
from velatura.diffusion.denoiser import StepIndex

SIGMAS = [*(20.0 * 0.75**i for i in range(24)), 0.0]
MEAN, VARIANCE, CORRELATION = 0.5, 1.0, 0.9


def gaussian(x, sigma, at=None):
    """D of two cells [N, 1, 1, 2] that are normal with these moments: a network without an error."""
    S = VARIANCE * torch.tensor([[1.0, CORRELATION], [CORRELATION, 1.0]])
    gain = S @ torch.linalg.inv(S + sigma**2 * torch.eye(2))
    return MEAN + (x - MEAN) @ gain.T


def made(settings, count=2000, y=2.0, D=gaussian):
    known = torch.full((1, 1, 1, 2), y)
    free = torch.tensor([False, True])[None, None, None]
    conditional = langevin.Conditional(D, known, free, settings)
    seeds = list(range(count))
    n = noise.standard_normal(seeds, (1, 1, 2))
    z = langevin.sample(conditional, n, SIGMAS, samplers.euler, seeds, lambda step: None)
    assert torch.equal(z[..., 0], known[..., 0].expand_as(z[..., 0]))
    return z[..., 1].flatten()


def test_the_unknown_part_is_drawn_given_the_known_one():
    """Its mean moves by the correlation, and what is left of its variance is 1 - correlation^2. Blending
    alone, without a Langevin step, misses the mean."""
    expected = MEAN + CORRELATION * (2.0 - MEAN)
    thought = made(langevin.Thinking(steps=8, size=0.3, pull=4.0, early=0))
    blended = made(langevin.Thinking(steps=0))
    assert float(thought.mean()) == pytest.approx(expected, abs=0.05)
    assert float(thought.std()) == pytest.approx(math.sqrt(1.0 - CORRELATION**2), abs=0.06)
    assert abs(float(blended.mean()) - expected) > 0.15


def test_a_step_is_the_papers_in_its_own_variables():
    """x_vp = sqrt(abar) x; the first step, the second by two halves around the change of C."""
    settings, sigma = langevin.Thinking(steps=2, size=0.3, pull=6.0, known=0.7), 1.7
    x, y = noise.standard_normal([1], (2, 3, 4)), noise.standard_normal([2], (2, 3, 4))
    free = (torch.arange(12).reshape(1, 1, 3, 4) % 3) > 0
    noises = list(noise.standard_normal([3, 4, 5], (2, 3, 4)).split(1))

    def D(x, sigma, at=None):
        return torch.tanh(1.3 * x)

    ours = langevin.Conditional(D, y, free, settings).thought(x, sigma, StepIndex(0, 4), iter(noises))

    abar = 1.0 / (1.0 + sigma**2)
    dt_x = settings.size * (1.0 - abar)
    dt = torch.where(free, dt_x, settings.known * dt_x)
    A = torch.where(free, 1.0, 1.0 + settings.pull) / (1.0 - abar)

    def C(v):
        x0 = math.sqrt(abar) * D(v / math.sqrt(abar), sigma)
        on_unknown = -(v - x0)
        on_known = -(1.0 + settings.pull) * (v - math.sqrt(abar) * y) + settings.pull * (v - x0)
        return torch.where(free, on_unknown, on_known) / (1.0 - abar) + A * v

    def advance(v, c, dt, xi):
        decay = torch.exp(-A * dt)
        return decay * v + (1.0 - decay) / A * c + torch.sqrt((1.0 - decay**2) / A) * xi

    v = math.sqrt(abar) * x
    c = C(v)
    v = advance(v, c, dt, noises[0])
    v = advance(v, c, dt / 2, noises[1])
    v = advance(v + (C(v) - c) * dt, c, dt / 2, noises[2])
    torch.testing.assert_close(math.sqrt(abar) * ours, v, rtol=1e-5, atol=1e-6)


def test_a_seed_has_its_result_in_any_batch():
    settings = langevin.Thinking(steps=2)
    assert torch.equal(made(settings, 3)[:2], made(settings, 2))


def test_the_last_levels_are_left_alone():
    """Each level costs one call of the network, and each Langevin step one more."""
    calls = []

    def D(x, sigma, at=None):
        calls.append(at.i)
        return gaussian(x, sigma)

    made(langevin.Thinking(steps=3, early=4), 1, D=D)
    n = len(SIGMAS) - 1
    assert [calls.count(i) for i in range(n)] == [4] * (n - 4) + [1] * 4


def test_the_noise_of_the_steps_is_not_that_of_the_start():
    first = next(noise.stream([3, 4], (2, 5)))
    assert not torch.equal(first, noise.standard_normal([3, 4], (2, 5)))
    assert torch.equal(first[1:], next(noise.stream([4], (2, 5))))
