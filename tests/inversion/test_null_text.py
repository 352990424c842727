"""Null-text inversion against the authors' loop, written plainly in their form."""

import math
from itertools import pairwise

import pytest
import torch

from tests.inversion.sampling import error, sampled
from velatura.diffusion import schedule
from velatura.inversion.ddim import ddim, ddim_inversion
from velatura.inversion.null_text import INNER, null_text

GUIDANCE = 7.5
N = 5


@pytest.fixture
def short(source):
    def load(prediction="epsilon", zero_snr=False):
        given = source(prediction, zero_snr)
        given.sigmas = schedule.sigmas(given.model.training_sigmas, N)
        return given

    return load


def theirs(source):
    """Mokady et al.'s null_optimization with a network that predicts noise; latents are of unit variance."""
    unet, levels = source.model.unet, source.sigmas
    abar = [1.0 / (sigma**2 + 1.0) for sigma in levels]
    times = [schedule.time(source.model.training_sigmas, sigma) for sigma in levels]
    inverted = ddim_inversion(source.model, source.z0, source.c, levels)[::-1]
    with torch.inference_mode(False), torch.enable_grad():
        pivots = [(x * math.sqrt(a)).clone() for x, a in zip(inverted, abar, strict=True)]
        cond, uncond = source.c.states.clone(), source.uncond.states.clone()
        x, xs, unconds = pivots[0], [inverted[0]], []

        def previous(noise, a, a_next):
            z = (x - math.sqrt(1.0 - a) * noise) / math.sqrt(a)
            return math.sqrt(a_next) * z + math.sqrt(1.0 - a_next) * noise

        for i, (a, a_next) in enumerate(pairwise(abar)):
            uncond = uncond.clone().detach().requires_grad_(True)
            optimizer = torch.optim.Adam([uncond], lr=1e-2 * (1.0 - (i * 50 / N) / 100.0))
            with torch.no_grad():
                noise_c = unet(x, times[i], cond).sample
            for _ in range(10):
                noise_u = unet(x, times[i], uncond).sample
                reached = previous(noise_u + GUIDANCE * (noise_c - noise_u), a, a_next)
                loss = torch.nn.functional.mse_loss(reached, pivots[i + 1])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if loss.item() < 1e-5 + (i * 50 / N) * 2e-5:
                    break
            unconds.append(uncond.detach())
            with torch.no_grad():
                noise_u = unet(x, times[i], uncond).sample
                x = previous(noise_u + GUIDANCE * (noise_c - noise_u), a, a_next)
            xs.append(x / math.sqrt(a_next))
    return xs, unconds


def test_it_is_the_authors_loop(short):
    given = short()
    trajectory = null_text(given.model, given.z0, given.c, given.uncond, given.sigmas, GUIDANCE)
    xs, unconds = theirs(given)
    for ours, expected in zip(trajectory.x, xs, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-3)
    # On the whole: where a gradient is about 0, rounding decides which way Adam goes.
    for ours, expected in zip(trajectory.uncond, unconds, strict=True):
        moved = float((expected - given.uncond.states).abs().mean())
        assert float((ours.states - expected).abs().mean()) < 1e-3 * moved


@pytest.mark.parametrize(("prediction", "zero_snr"), [("epsilon", False), ("v_prediction", True)])
def test_it_comes_nearer_to_the_picture_than_ddim_with_guidance(short, prediction, zero_snr):
    given = short(prediction, zero_snr)
    trajectory = null_text(given.model, given.z0, given.c, given.uncond, given.sigmas, GUIDANCE)
    plain = ddim(given.model, given.z0, given.c, given.sigmas)
    fitted = sampled(given, trajectory, GUIDANCE)
    torch.testing.assert_close(trajectory.x[-1], fitted, rtol=1e-4, atol=1e-3)
    assert error(given, fitted) < 0.95 * error(given, sampled(given, plain, GUIDANCE))


def test_only_the_embedding_has_gradients_and_nothing_of_them_stays(short):
    given = short()
    trajectory = null_text(given.model, given.z0, given.c, given.uncond, given.sigmas[-2:], GUIDANCE)
    assert torch.is_inference_mode_enabled()
    assert not any(p.requires_grad or p.grad is not None for p in given.model.unet.parameters())
    for x in trajectory.x + [uncond.states for uncond in trajectory.uncond]:
        assert not x.requires_grad
        assert x.grad_fn is None


def test_it_stops_early_where_the_error_is_small_enough(short):
    """From the lowest level there is little to be wrong in."""
    given = short()
    sigmas = [float(given.model.training_sigmas[0]), 0.0]
    done = []
    null_text(
        given.model, given.z0, given.c, given.uncond, sigmas, GUIDANCE, lambda i, n: done.append((i, n))
    )
    assert done == [(1, 1 + INNER), (1 + INNER, 1 + INNER)]


@pytest.mark.parametrize("steps", [1, 3])
def test_progress_goes_up_to_its_end(short, steps):
    given = short()
    done = []
    null_text(
        given.model,
        given.z0,
        given.c,
        given.uncond,
        given.sigmas[-1 - steps :],
        GUIDANCE,
        lambda i, n: done.append((i, n)),
    )
    n = steps * (1 + INNER)
    assert done == [(i + 1, n) for i in range(n)]


class Stop(Exception):
    pass


@pytest.mark.parametrize("at", [1, 4, N + 3, N + INNER])
def test_it_can_be_stopped_anywhere(short, at):
    given = short()

    def after_step(i, n):
        if i == at:
            raise Stop

    with pytest.raises(Stop):
        null_text(given.model, given.z0, given.c, given.uncond, given.sigmas, GUIDANCE, after_step)
    assert torch.is_inference_mode_enabled()
    assert not torch.is_grad_enabled()


def test_without_guidance_there_is_nothing_to_fit(short):
    given = short()
    trajectory = null_text(given.model, given.z0, given.c, given.uncond, given.sigmas, 1.0)
    assert all(uncond.equal(given.uncond) for uncond in trajectory.uncond)
    torch.testing.assert_close(
        trajectory.x[-1], sampled(given, ddim(given.model, given.z0, given.c, given.sigmas), 1.0)
    )


def test_a_long_run_fits_to_its_end(short):
    """Published for 50 steps, the optimiser's rate would be negative after 100, which torch refuses."""
    given = short()
    lowest = float(given.model.training_sigmas[0])
    sigmas = [lowest * (1.0 - i / 103) for i in range(103)] + [0.0]
    trajectory = null_text(given.model, given.z0[..., :4, :4], given.c, given.uncond, sigmas, GUIDANCE)
    assert not trajectory.uncond[-1].equal(trajectory.uncond[-2])
