"""Samplers and schedules against closed forms."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from velatura.diffusion import noise, samplers, schedule
from velatura.models.noise_levels import scheduled_betas, training_sigmas

MEAN, SPREAD = 0.7, 0.5


def D(x, sigma, at=None):
    """The best denoiser of z ~ N(MEAN, SPREAD^2): the posterior's mean."""
    return (SPREAD**2 * x + sigma**2 * MEAN) / (SPREAD**2 + sigma**2)


def solved(x, sigma, sigma_next):
    """The probability-flow ODE's exact solution for that denoiser."""
    ratio = (SPREAD**2 + sigma_next**2) / (SPREAD**2 + sigma**2)
    return MEAN + (x - MEAN) * ratio**0.5


def error(sampler, steps):
    sigmas = list(np.geomspace(20.0, 0.02, steps + 1))
    x = 20.0 * torch.linspace(-2, 2, 9, dtype=torch.float64)
    reached = sampler(D, x, sigmas, lambda x, step: x)
    return float((reached - solved(x, 20.0, 0.02)).abs().max())


def test_samplers_converge_to_the_closed_form_at_their_order():
    assert error(samplers.euler, 400) < 0.01
    assert error(samplers.dpmpp_2m, 400) < 0.001
    assert 1.7 < error(samplers.euler, 50) / error(samplers.euler, 100) < 2.4
    assert 2.9 < error(samplers.dpmpp_2m, 50) / error(samplers.dpmpp_2m, 100) < 5.0


@pytest.mark.parametrize("sampler", samplers.SAMPLERS.values())
def test_the_hook_sees_every_step_and_may_replace_x(sampler):
    steps = []

    def after_step(x, step):
        steps.append(step)
        return torch.full_like(x, 9.0)

    sigmas = [8.0, 3.0, 1.0, 0.0]
    assert (sampler(D, torch.zeros(3), sigmas, after_step) == 9.0).all()
    assert [(s.i, s.n, s.sigma, s.sigma_next) for s in steps] == [
        (0, 3, 8.0, 3.0),
        (1, 3, 3.0, 1.0),
        (2, 3, 1.0, 0.0),
    ]
    assert torch.equal(steps[1].denoised, D(torch.full((3,), 9.0), 3.0))


@pytest.mark.parametrize("sampler", samplers.SAMPLERS.values())
def test_large_levels_lose_nothing_in_float32(sampler):
    sigmas = [4096.0, 40.0, 4.0, 0.4, 0.0]
    x = 4096.0 * torch.linspace(-2, 2, 9)
    single = sampler(D, x, sigmas, lambda x, step: x)
    double = sampler(D, x.double(), sigmas, lambda x, step: x)
    torch.testing.assert_close(single, double.float(), rtol=1e-5, atol=1e-5)


LINEAR = scheduled_betas({"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012})


def test_a_whole_run_goes_from_the_highest_level_to_nothing():
    trained = training_sigmas(LINEAR)
    sigmas = schedule.sigmas(trained, 25)
    assert len(sigmas) == 26
    assert sigmas[0] == trained[-1] == pytest.approx(14.6146, abs=1e-3)
    assert sigmas[-1] == 0.0
    assert all(a > b for a, b in pairwise(sigmas))


@pytest.mark.parametrize("strength", [0.05, 0.3, 0.6, 0.999, 1.0])
@pytest.mark.parametrize("steps", [1, 4, 25, 150])
def test_a_partial_run_starts_at_its_fraction_of_the_times(strength, steps):
    trained = training_sigmas(LINEAR)
    sigmas = schedule.sigmas(trained, steps, strength)
    assert schedule.time(trained, sigmas[0]) == pytest.approx(max(round(strength * 1000) - 1, 0), abs=1e-6)
    assert len(sigmas) - 1 == max(1, int(np.ceil(round(steps * strength, 6))))


def test_zero_terminal_snr_ends_at_a_finite_level():
    trained = training_sigmas(LINEAR, zero_terminal_snr=True)
    assert trained[-1] == pytest.approx(4096, rel=1e-3)
    assert np.isfinite(trained).all() and (np.diff(trained) > 0).all()
    assert trained[0] == pytest.approx(training_sigmas(LINEAR)[0])


@pytest.mark.parametrize("kind", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_betas_are_those_of_diffusers(kind):
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler(beta_schedule=kind, beta_start=0.001, beta_end=0.01).betas
    ours = scheduled_betas({"beta_schedule": kind, "beta_start": 0.001, "beta_end": 0.01})
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5)


def test_noise_depends_on_the_seed_alone():
    batch = noise.standard_normal([5, 6, 7], (4, 8, 8))
    assert torch.equal(batch[1:2], noise.standard_normal([6], (4, 8, 8)))
    assert not torch.equal(batch[0], batch[1])
    assert float(noise.standard_normal([1], (4, 64, 64)).std()) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("sampler", samplers.SAMPLERS.values(), ids=samplers.SAMPLERS.keys())
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_the_denoiser_is_told_the_step_it_is_in(sampler, strength):
    """Guidance that warms up (SEGA), or stops after a part of the run, needs no counter."""
    told = []

    def noting(x, sigma, at):
        told.append((sigma, *at))
        return D(x, sigma)

    trained = np.geomspace(0.03, 15.0, 1000)
    levels = schedule.sigmas(trained, 8, strength)
    sampler(noting, torch.ones(1, 1, 1, 1), levels, lambda x, step: x)
    n = len(levels) - 1
    assert told == [(sigma, i, n) for i, sigma in enumerate(levels[:-1])]
