"""LEDITS++'s inversion: the solver's published form, noise of its own at every level, resuming."""

import math

import pytest
import torch

from velatura.diffusion.denoiser import guided_by
from velatura.inversion.ledits import invert, mean
from velatura.inversion.trajectory import step

SIGMAS = [6.0, 2.5, 1.0, 0.3, 0.0]


def test_the_mean_is_the_published_step(source):
    """sde-dpmsolver++ of order 2 in the form of its paper: x = alpha z + s n, lambda = log(alpha / s)."""
    x, D, D_last = (source().z0 * factor for factor in (1.0, 0.5, 0.2))
    for i in (1, 2):
        alpha = [1.0 / math.sqrt(sigma**2 + 1.0) for sigma in SIGMAS]
        s = [a * sigma for a, sigma in zip(alpha, SIGMAS, strict=True)]
        lambdas = [math.log(a / b) for a, b in zip(alpha[:-1], s[:-1], strict=True)]
        h, h_0 = lambdas[i + 1] - lambdas[i], lambdas[i] - lambdas[i - 1]
        D1 = (h / h_0) * (D - D_last)
        drift = alpha[i + 1] * (1.0 - math.exp(-2.0 * h)) * (D + 0.5 * D1)
        expected = s[i + 1] / s[i] * math.exp(-h) * (alpha[i] * x) + drift
        torch.testing.assert_close(mean(x, D, D_last, SIGMAS, i) * alpha[i + 1], expected)


@pytest.mark.parametrize("i", [0, 3])
def test_the_first_and_the_last_step_are_the_ancestral_samplers(source, i):
    x, D = source().z0, source().z0 * 0.5
    ours = mean(x, D, None if i == 0 else D * 2.0, SIGMAS, i)
    torch.testing.assert_close(ours, step(x, D, SIGMAS[i], SIGMAS[i + 1], eta=1.0))


@pytest.mark.parametrize(("prediction", "zero_snr"), [("epsilon", False), ("v_prediction", True)])
def test_a_layer_is_inverted_at_any_level(source, prediction, zero_snr):
    given = source(prediction, zero_snr)
    D = guided_by(given.model, given.c, given.uncond, 2.0)
    inverted = invert(D, given.z0, given.sigmas, [4, 5])
    assert inverted.steps == len(given.sigmas) - 1
    n = torch.stack([(x - given.z0) / s for x, s in zip(inverted.x[:-1], given.sigmas[:-1], strict=True)])
    correlations = torch.corrcoef(n.transpose(0, 1).flatten(2).flatten(0, 1)) - torch.eye(2 * inverted.steps)
    assert float(correlations.abs().max()) < 5.0 / math.sqrt(given.z0.numel())
    for i in range(inverted.steps):
        again = inverted.next(i, inverted.x[i], inverted.D[i], inverted.before(i))
        assert torch.equal(again, inverted.x[i + 1])


def test_it_resumes_where_it_was_stopped(source):
    given = source()
    D = guided_by(given.model, given.c, given.uncond, 2.0)
    begun, done = [], []

    def stop(i, n):
        done.append((i, n))
        if i == 3:
            raise KeyboardInterrupt

    def kept(seed, make):
        return make(begun)

    with pytest.raises(KeyboardInterrupt):
        invert(D, given.z0, given.sigmas, [4], kept, stop)
    assert len(begun) == 3
    n = len(given.sigmas) - 1
    resumed = invert(D, given.z0, given.sigmas, [4], kept, lambda i, n: done.append((i, n)))
    assert done == [(i, n) for i in range(1, n + 1)]
    whole = invert(D, given.z0, given.sigmas, [4])
    assert all(torch.equal(a, b) for a, b in zip(resumed.D, whole.D, strict=True))
