"""DDIM inversion against diffusers' DDIMInverseScheduler on the same network, and what is built on it."""

import math

import pytest
import torch
from diffusers import DDIMInverseScheduler

from tests.inversion.conftest import STEPS
from tests.inversion.sampling import error, sampled
from tests.tiny import SCHEDULER
from velatura.diffusion import schedule
from velatura.diffusion.denoiser import denoise, predict_noise
from velatura.inversion.ddim import ddim, ddim_inversion, direct, negative_prompt

MODELS = [("epsilon", False), ("v_prediction", False), ("v_prediction", True), ("sample", False)]


def theirs(source, zero_snr):
    """The loop of the authors' code (null-text, direct inversion) with diffusers' scheduler; in the form
    x = z + sigma n, of which there is none at a level without signal."""
    prediction = source.model.prediction
    config = {key: value for key, value in SCHEDULER.items() if key != "_class_name"}
    scheduler = DDIMInverseScheduler.from_config(
        config
        | {"prediction_type": prediction, "rescale_betas_zero_snr": zero_snr, "clip_sample": False}
        | {"set_alpha_to_one": prediction != "sample"}
    )
    scheduler.set_timesteps(STEPS)
    x = source.z0 * math.sqrt(float(scheduler.initial_alpha_cumprod))
    latents = [x]
    for t in scheduler.timesteps:
        F = source.model.unet(x, t, source.c.states, return_dict=False)[0]
        x = scheduler.step(F, t, x).prev_sample
        latents.append(x)
    return latents


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("prediction", "zero_snr"), MODELS)
def test_inversion_is_diffusers(source, prediction, zero_snr):
    given = source(prediction, zero_snr)
    steps = []
    ours = ddim_inversion(given.model, given.z0, given.c, given.sigmas, lambda i, n: steps.append((i, n)))
    assert steps == [(i + 1, STEPS) for i in range(STEPS)]
    assert torch.equal(ours[0], given.z0)
    assert len(ours) == STEPS + 1
    for x, sigma, expected in zip(ours[1:], given.sigmas[-2::-1], theirs(given, zero_snr)[1:], strict=True):
        # In the network's scale. Where theirs has no signal at all, ours has 1/4096 of it; and a prediction
        # of z is divided by the lowest level, which magnifies rounding 34 times.
        rtol = 1e-4 if prediction == "sample" else 1e-5
        atol = 1e-3 if sigma > 4000 else 2e-5
        torch.testing.assert_close(x / math.sqrt(sigma**2 + 1.0), expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize(("prediction", "zero_snr"), MODELS)
@pytest.mark.parametrize("at", [0, 300, 900])
def test_the_noise_is_what_the_denoised_lacks(source, prediction, zero_snr, at):
    given = source(prediction, zero_snr)
    sigma = float(given.model.training_sigmas[at])
    x = (1.0 + sigma) * given.z0
    expected = (x - denoise(given.model, x, sigma, given.c)) / sigma
    ours = predict_noise(given.model, x, sigma, given.c)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4 if at else 1e-3)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_noise_has_a_limit_where_there_is_none(source, prediction):
    given = source(prediction)
    told = float(given.model.training_sigmas[20])
    at_0 = predict_noise(given.model, given.z0, 0.0, given.c, told)
    assert torch.equal(at_0, given.model.network(given.z0, 20.0, given.c))
    near = predict_noise(given.model, given.z0, 1e-4, given.c, told)
    torch.testing.assert_close(near, at_0, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("prediction", "zero_snr"), MODELS)
def test_direct_inversion_ends_on_the_picture_itself(source, prediction, zero_snr):
    given = source(prediction, zero_snr)
    trajectory = direct(given.model, given.z0, given.c, given.sigmas)
    assert trajectory.is_known and torch.equal(trajectory.z0, given.z0)
    assert [x.shape for x in trajectory.x] == [given.z0.shape] * (STEPS + 1)
    assert all(x.isfinite().all() for x in trajectory.x)
    assert trajectory.sigmas == given.sigmas
    assert (trajectory.residuals, trajectory.uncond, trajectory.eta) == (None, None, 0.0)
    if prediction != "sample":  # a random network's z, far from z0, is taken for noise of the lowest level
        assert 0.1 < float((trajectory.x[0] / given.sigmas[0]).std()) < 3.0


def test_inverting_part_of_the_way_begins_where_the_levels_do(source):
    given, part = source(), source(strength=0.5)
    assert len(part.sigmas) == STEPS // 2 + 1
    whole = ddim_inversion(given.model, given.z0, given.c, given.sigmas)
    half = ddim_inversion(part.model, part.z0, part.c, part.sigmas)
    torch.testing.assert_close(half[-1], whole[STEPS // 2])


def test_inversion_comes_nearer_the_finer_the_steps(source):
    """Its error is that of Euler's method."""
    given = source("v_prediction")
    errors = []
    for n in (5, 25):
        given.sigmas = schedule.sigmas(given.model.training_sigmas, n)
        errors.append(error(given, sampled(given, ddim(given.model, given.z0, given.c, given.sigmas), 1.0)))
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize(("prediction", "zero_snr"), [("epsilon", False), ("v_prediction", True)])
def test_guidance_leads_ddim_away_and_the_negative_prompt_does_not(source, prediction, zero_snr):
    given = source(prediction, zero_snr)
    plain = ddim(given.model, given.z0, given.c, given.sigmas)
    negative = negative_prompt(given.model, given.z0, given.c, given.sigmas)
    assert torch.equal(plain.x[0], negative.x[0])
    for trajectory in (plain, negative):
        assert (len(trajectory.x), trajectory.is_known, trajectory.z0) == (1, False, None)
    assert plain.uncond is None
    assert len(negative.uncond) == STEPS
    unguided, guided = (sampled(given, plain, scale) for scale in (1.0, 7.5))
    torch.testing.assert_close(sampled(given, negative, 7.5), unguided, rtol=1e-4, atol=1e-4)
    assert error(given, guided) > 1.02 * error(given, unguided) > 0.0
