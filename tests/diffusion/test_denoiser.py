"""The denoiser and samplers against diffusers' own schedulers, run on the same network."""

from dataclasses import replace

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, EulerDiscreteScheduler
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from tests.tiny import SCHEDULER
from velatura.diffusion import denoiser, noise, samplers, schedule

STEPS = 8  # divides the 1000 training times, without which DDIMScheduler and its own spacing disagree
GUIDANCE = 3.0
PREDICTIONS = ["epsilon", "v_prediction", "sample"]
# diffusers' schedulers hand tensors to numpy as it no longer likes it
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def ours(model, sampler, n):
    D = denoiser.guided(model, "a hat", "a beard", GUIDANCE)
    sigmas = schedule.sigmas(model.training_sigmas, STEPS)
    with torch.inference_mode():
        return sampler(D, sigmas[0] * n, sigmas, lambda x, step: x)


def theirs(model, scheduler, n):
    """The loop of diffusers' Stable Diffusion pipeline, from noise that is not scaled."""
    scheduler.set_timesteps(STEPS)
    x = n * scheduler.init_noise_sigma
    c = torch.cat([model.encode_prompt(text).states for text in ("a beard", "a hat")])
    c = c.repeat_interleave(len(n), 0)
    with torch.inference_mode():
        for t in scheduler.timesteps:
            both = scheduler.scale_model_input(torch.cat([x, x]), t)
            uncond, cond = model.unet(both, t, c).sample.chunk(2)
            guided = uncond + GUIDANCE * (cond - uncond)
            guided = rescale_noise_cfg(guided, cond, model.guidance_rescale)
            x = scheduler.step(guided, t, x).prev_sample
    return x


def reference(cls, prediction, zero_snr, **kwargs):
    config = SCHEDULER | {"prediction_type": prediction, "rescale_betas_zero_snr": zero_snr} | kwargs
    return cls.from_config({key: value for key, value in config.items() if key != "_class_name"})


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_euler_is_ddim(tiny, prediction):
    model = tiny(prediction)
    n = noise.standard_normal([1, 2], (4, 8, 8))
    scheduler = reference(DDIMScheduler, prediction, False, clip_sample=False, set_alpha_to_one=True)
    sigma = model.training_sigmas[-1]
    start = n * sigma / (sigma**2 + 1) ** 0.5  # DDIM's x at the highest level is sqrt(1 - abar) n
    torch.testing.assert_close(
        ours(model, samplers.euler, n), theirs(model, scheduler, start), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("zero_snr", [False, True])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_euler_is_diffusers_euler(tiny, prediction, zero_snr):
    model = tiny(prediction, zero_snr)
    n = noise.standard_normal([3], (4, 8, 8))
    scheduler = reference(EulerDiscreteScheduler, prediction, zero_snr)
    scheduler.set_timesteps(STEPS)
    sigmas = schedule.sigmas(model.training_sigmas, STEPS)
    torch.testing.assert_close(torch.tensor(sigmas), scheduler.sigmas, rtol=2e-4, atol=0)
    start = n * sigmas[0] / scheduler.init_noise_sigma
    expected = theirs(model, scheduler, start)
    scale = float(expected.abs().max())
    torch.testing.assert_close(ours(model, samplers.euler, n) / scale, expected / scale, rtol=0, atol=1e-3)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_dpmpp_2m_is_diffusers_multistep(tiny, prediction):
    model = tiny(prediction)
    n = noise.standard_normal([4, 5], (4, 8, 8))
    scheduler = reference(
        DPMSolverMultistepScheduler, prediction, False, final_sigmas_type="zero", lower_order_final=True
    )
    sigma = model.training_sigmas[-1]
    start = n * sigma / (sigma**2 + 1) ** 0.5
    torch.testing.assert_close(
        ours(model, samplers.dpmpp_2m, n), theirs(model, scheduler, start), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_network_is_told_the_time_it_was_trained_at(tiny, prediction, monkeypatch):
    model = tiny(prediction)
    times = []
    monkeypatch.setattr(model.unet, "forward", lambda x, t, **_: times.append(t) or (x,))
    c = model.encode_prompt("a hat")
    for t in (0, 1, 500, 999):
        denoiser.denoise(model, torch.zeros(1, 4, 8, 8), float(model.training_sigmas[t]), c)
    torch.testing.assert_close(torch.cat(times), torch.tensor([0.0, 1.0, 500.0, 999.0]), rtol=1e-6, atol=1e-4)


def test_guidance_of_one_is_the_prompt_alone(tiny):
    model = tiny()
    x = noise.standard_normal([1], (4, 8, 8))
    plain = denoiser.guided(model, "a hat", "a beard", 1.0)(x, 2.0)
    almost = denoiser.guided(model, "a hat", "a beard", 1.0 + 1e-9)(x, 2.0)
    torch.testing.assert_close(plain, almost, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_guidance_keeps_the_spread_of_what_a_model_predicts_that_knows_pure_noise(tiny, prediction):
    model = tiny(prediction, zero_snr=True)
    x, sigma = noise.standard_normal([1, 2], (4, 8, 8)) * 2.0, 2.0
    D_c, D_u = (
        denoiser.denoise(model, x, sigma, model.encode_prompt(text).expand(2))
        for text in ("a hat", "a beard")
    )
    scales = torch.tensor([3.0, 9.0]).view(-1, 1, 1, 1)
    c_skip = denoiser._PREDICTIONS[prediction](sigma)[0]

    def spread(D):
        return (D - c_skip * x).std((1, 2, 3))

    own, burnt = spread(D_c), spread(D_u + scales * (D_c - D_u))
    for phi, wanted in ((1.0, own), (0.7, 0.7 * own + 0.3 * burnt), (0.0, burnt)):
        guided = denoiser.guide(replace(model, guidance_rescale=phi), x, sigma, D_c, D_u, scales)
        torch.testing.assert_close(spread(guided), wanted, rtol=1e-4, atol=0)


def test_guidance_is_one_pass_a_step(tiny, monkeypatch):
    model = tiny()
    calls = []
    forward = model.unet.forward
    monkeypatch.setattr(
        model.unet, "forward", lambda x, *args, **kw: calls.append(len(x)) or forward(x, *args, **kw)
    )
    ours(model, samplers.euler, noise.standard_normal([1, 2, 3], (4, 8, 8)))
    assert calls == [6] * STEPS
