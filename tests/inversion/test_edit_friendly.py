"""Edit-friendly DDPM inversion: exact, seeded, of any shape, and the authors' noise."""

import math
from itertools import pairwise

import pytest
import torch

from tests.inversion.conftest import STEPS
from tests.inversion.sampling import sampled, sigma_up
from velatura.diffusion import schedule
from velatura.diffusion.denoiser import guided_by
from velatura.inversion.edit_friendly import edit_friendly

MODELS = [("epsilon", False), ("v_prediction", True), ("sample", False)]


def inverted(given, seeds, **options):
    return edit_friendly(given.model, given.z0, given.c, given.uncond, given.sigmas, seeds, **options)


@pytest.mark.parametrize(("prediction", "zero_snr"), MODELS)
@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_stepping_with_the_residuals_gives_the_picture_back(source, prediction, zero_snr, strength):
    given = source(prediction, zero_snr, strength)
    trajectory = inverted(given, [1, 2])
    assert trajectory.eta == 1.0
    assert torch.equal(trajectory.x[-1], given.z0.repeat(2, 1, 1, 1))
    assert [len(trajectory.x), len(trajectory.residuals)] == [len(given.sigmas), len(given.sigmas) - 1]
    reached = sampled(given, trajectory, 3.5)
    torch.testing.assert_close(reached, trajectory.x[-1], rtol=0, atol=1e-5)


def test_every_level_has_noise_of_its_own(source):
    given = source()
    trajectory = inverted(given, [1])
    n = [(x - given.z0) / sigma for x, sigma in zip(trajectory.x[:-1], given.sigmas[:-1], strict=True)]
    n = torch.stack(n).flatten(1)  # [N, values]
    assert float(n.std()) == pytest.approx(1.0, abs=0.05)
    correlations = torch.corrcoef(n) - torch.eye(STEPS)
    assert float(correlations.abs().max()) < 5.0 / math.sqrt(n.shape[1])


def test_a_seed_has_its_rows_whatever_the_batch(source):
    given = source("v_prediction")
    both, one = inverted(given, [5, 6]), inverted(given, [6])
    assert torch.equal(both.x[0][1:], one.x[0])
    for ours, theirs in zip(both.residuals, one.residuals, strict=True):
        torch.testing.assert_close(ours[1:], theirs, rtol=1e-4, atol=1e-4)
    again = inverted(given, [5, 6])
    assert all(torch.equal(a, b) for a, b in zip(both.residuals, again.residuals, strict=True))
    assert not torch.equal(both.x[0][0], both.x[0][1])


def test_residuals_are_the_authors_noise(source):
    """z_t of algorithm 1, in the paper's form: x = sqrt(abar) z + sqrt(1 - abar) n, a network that predicts
    n."""
    given = source()
    trajectory = inverted(given, [3], guidance=2.0)
    levels = [1.0 / (sigma**2 + 1.0) for sigma in given.sigmas]
    for i, (a, a_next) in enumerate(pairwise(levels[:-1])):
        x, x_next = (math.sqrt(b) * trajectory.x[i + j] for j, b in enumerate((a, a_next)))
        t = schedule.time(given.model.training_sigmas, given.sigmas[i])
        noise_u, noise_c = (given.model.unet(x, t, c.states).sample for c in (given.uncond, given.c))
        noise = noise_u + 2.0 * (noise_c - noise_u)
        variance = (1.0 - a_next) / (1.0 - a) * (1.0 - a / a_next)
        z = (x - math.sqrt(1.0 - a) * noise) / math.sqrt(a)
        mean = math.sqrt(a_next) * z + math.sqrt(1.0 - a_next - variance) * noise
        expected = (x_next - mean) / math.sqrt(variance)
        ours = trajectory.residuals[i] / sigma_up(given.sigmas[i], given.sigmas[i + 1], 1.0)
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3)


def test_the_last_residual_is_what_the_network_lacks(source):
    given = source("v_prediction")
    trajectory = inverted(given, [4])
    D = guided_by(given.model, given.c, given.uncond, 3.5)
    lacks = given.z0 - D(trajectory.x[-2], given.sigmas[-2])
    torch.testing.assert_close(trajectory.residuals[-1], lacks, rtol=1e-5, atol=1e-6)
    assert float(lacks.abs().max()) > 1e-3


def test_every_step_is_reported(source):
    given = source()
    done = []
    inverted(given, [1, 2], after_step=lambda i, n: done.append((i, n)))
    assert done == [(i + 1, STEPS) for i in range(STEPS)]
