"""MagicMix against its published procedure, with diffusers' scheduler on the same network."""

import math

import pytest
import torch
from diffusers import DDIMScheduler

from tests.tiny import SCHEDULER
from velatura.diffusion import noise, schedule
from velatura.diffusion.denoiser import guided_by
from velatura.diffusion.mixing import mixing
from velatura.diffusion.samplers import euler

STEPS, K_MAX, K_MIN, NU, GUIDANCE = 10, 0.6, 0.3, 0.4, 3.0


def keep(x, step):
    return x


@pytest.fixture(autouse=True)
def as_in_the_worker():
    with torch.inference_mode():
        yield


def published(model, z0, n, c, uncond):
    """The authors' procedure in the network's own scale: it sees the mixture, and the scheduler steps
    from the unmixed latents."""
    config = {key: value for key, value in SCHEDULER.items() if key != "_class_name"}
    scheduler = DDIMScheduler.from_config(config | {"clip_sample": False})
    scheduler.set_timesteps(STEPS)
    first, last = round(STEPS * (1 - K_MAX)), round(STEPS * (1 - K_MIN))
    x = scheduler.add_noise(z0, n, scheduler.timesteps[first])
    for i, t in enumerate(scheduler.timesteps):
        if i < first:
            continue
        seen = x
        if first < i < last:
            seen = NU * x + (1 - NU) * scheduler.add_noise(z0, n, t)
        e_u, e_c = (model.unet(seen, t, states, return_dict=False)[0] for states in (uncond.states, c.states))
        x = scheduler.step(e_u + GUIDANCE * (e_c - e_u), t, x).prev_sample
    return x


def test_it_is_the_published_procedure(tiny):
    model = tiny()
    z0, n = noise.standard_normal([3, 4], (4, 8, 12)).split(1)
    c, uncond = model.encode_prompt("a hat"), model.encode_prompt("")
    sigmas = schedule.sigmas(model.training_sigmas, STEPS, K_MAX)
    D = guided_by(model, c, uncond, GUIDANCE)
    settled = schedule.level(model.training_sigmas, K_MIN)
    ours = euler(mixing(D, z0, n, NU, settled), z0 + sigmas[0] * n, sigmas, keep)
    torch.testing.assert_close(ours, published(model, z0, n, c, uncond), rtol=1e-4, atol=2e-4)
    plain = euler(D, z0 + sigmas[0] * n, sigmas, keep)
    assert (ours - plain).abs().max() > 0.01


def test_the_extremes_of_the_mix_factor(tiny):
    """At 1 it is the prompt's own denoiser; at 0 the network sees the layout alone, whatever the run does."""
    model = tiny("v_prediction", True)
    z0, n, x = noise.standard_normal([3, 4, 5], (4, 8, 12)).split(1)
    D, sigma = guided_by(model, model.encode_prompt("a hat"), model.encode_prompt(""), 1.0), 2.0
    assert torch.equal(mixing(D, z0, n, 1.0, 0.0)(x, sigma), D(x, sigma))
    assert torch.equal(mixing(D, z0, n, 0.0, sigma)(x, sigma), D(x, sigma))  # the layout is settled here
    layout = z0 + sigma * n
    predicted = (layout - D(layout, sigma)) / sigma
    D_mix = mixing(D, z0, n, 0.0, 0.0)
    torch.testing.assert_close((x - D_mix(x, sigma)) / sigma, predicted, rtol=1e-4, atol=1e-4)


def test_levels_are_shares_of_the_training_times(tiny):
    trained = tiny().training_sigmas
    assert schedule.level(trained, 0.0) == 0.0
    assert schedule.level(trained, 0.3) == trained[299] and schedule.level(trained, 1.0) == trained[-1]
    assert math.isclose(schedule.sigmas(trained, 10, 0.6)[3], schedule.level(trained, 0.3))
