"""The step against DDIM's equation 12 and diffusers' scheduler."""

import math

import pytest
import torch
from diffusers import DDIMScheduler
from hypothesis import given
from hypothesis import strategies as st

from tests.inversion.sampling import sigma_up
from tests.tiny import SCHEDULER
from velatura.diffusion import noise
from velatura.diffusion.condition import Condition
from velatura.inversion.trajectory import Trajectory, step
from velatura.models.noise_levels import scheduled_betas, training_sigmas

levels = st.floats(1e-3, 4096.0)


@given(levels, levels, st.floats(0.0, 1.0))
def test_a_step_is_equation_12_of_ddim(one, other, eta):
    """In the paper's own form, in which x = sqrt(abar) z + sqrt(1 - abar) n."""
    sigma_next, sigma = sorted((one, other))
    a, a_next = 1.0 / (sigma**2 + 1.0), 1.0 / (sigma_next**2 + 1.0)
    x, z = torch.tensor([-1.3, 0.2, 2.0], dtype=torch.float64), torch.tensor([0.4, 0.4, -0.9]).double()
    n = (x - math.sqrt(a) * z) / math.sqrt(1.0 - a)
    s = eta * math.sqrt((1.0 - a_next) / (1.0 - a)) * math.sqrt(max(0.0, 1.0 - a / a_next))
    expected = math.sqrt(a_next) * z + math.sqrt(max(0.0, 1.0 - a_next - s**2)) * n
    reached = math.sqrt(a_next) * step(x / math.sqrt(a), z, sigma, sigma_next, eta)
    torch.testing.assert_close(reached, expected, rtol=1e-6, atol=1e-6)
    assert math.sqrt(a_next) * sigma_up(sigma, sigma_next, eta) == pytest.approx(s, rel=1e-6, abs=1e-6)


@given(levels, levels, st.floats(0.0, 1.0))
def test_a_step_and_its_noise_have_the_next_level(one, other, eta):
    sigma_next, sigma = sorted((one, other))
    sigma_down = float(step(torch.tensor(sigma).double(), torch.tensor(0.0).double(), sigma, sigma_next, eta))
    assert math.hypot(sigma_down, sigma_up(sigma, sigma_next, eta)) == pytest.approx(sigma_next, rel=1e-6)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_the_last_step_ends_on_the_denoised(eta):
    x, D = torch.full((3,), 9.0), torch.tensor([0.1, 0.2, 0.3])
    assert torch.equal(step(x, D, 0.2, 0.0, eta), D)
    assert sigma_up(0.2, 0.0, eta) == 0.0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("t", "t_next"), [(999, 899), (499, 399), (99, -1)])
def test_a_step_is_diffusers_ddim(eta, t, t_next):
    config = {key: value for key, value in SCHEDULER.items() if key != "_class_name"}
    scheduler = DDIMScheduler.from_config(config | {"clip_sample": False, "set_alpha_to_one": True})
    scheduler.set_timesteps(10)
    trained = training_sigmas(scheduled_betas(config))
    x, F = noise.standard_normal([1, 2], (4, 8, 8))
    theirs = scheduler.step(F, t, x, eta=eta, variance_noise=torch.zeros_like(x)).prev_sample

    sigma, sigma_next = float(trained[t]), float(trained[t_next]) if t_next >= 0 else 0.0
    x = x * math.sqrt(sigma**2 + 1.0)
    ours = step(x, x - sigma * F, sigma, sigma_next, eta) / math.sqrt(sigma_next**2 + 1.0)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_step_from_the_highest_level_loses_nothing_in_float32(eta):
    x, D = 4096.0 * torch.linspace(-2, 2, 9), torch.linspace(-1, 1, 9)
    single = step(x, D, 4096.0, 14.0, eta)
    torch.testing.assert_close(single.double(), step(x.double(), D.double(), 4096.0, 14.0, eta))


def test_a_trajectory_moves_whole_and_keeps_what_is_unknown_unknown():
    x = torch.zeros(1, 4, 8, 8)
    trajectory = Trajectory([1.0, 0.5, 0.0], [x, None, x], [x, x], 1.0, [Condition(x)] * 2)
    moved = trajectory.to("meta")
    assert [None if x is None else x.device.type for x in moved.x] == ["meta", None, "meta"]
    assert {x.device.type for x in moved.residuals + [c.states for c in moved.uncond]} == {"meta"}
    assert (moved.sigmas, moved.eta) == ([1.0, 0.5, 0.0], 1.0)
    assert Trajectory([1.0, 0.0], [x, None]).to("meta").residuals is None
