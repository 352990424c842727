"""Inversions of rectified flows: their steps written out plainly, their order, and what they win."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from velatura.diffusion import noise
from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import FLOW, denoise, predict_noise
from velatura.diffusion.samplers import euler
from velatura.inversion import rectified
from velatura.inversion.ddim import ddim_inversion

SPREAD = 0.6


class Normal:
    """A flow network without an error, of pictures that are normal with mean 0: its paths are known."""

    prediction = FLOW
    guidance_rescale = 0.0
    training_sigmas = np.linspace(0.001, 30.0, 500)

    def network(self, x, t, condition, attend=None):
        if t == 0.0:
            return -x
        z, sigma = x, t / (1.0 - t)
        D = SPREAD**2 / (SPREAD**2 + sigma**2) * (1.0 + sigma) * z
        return (z - D) / t


MODEL, C, Z0 = Normal(), Condition(torch.zeros(1, 1, 1)), noise.standard_normal([1], (2, 3, 4))


def levels(n, top=4.0):
    """Even in t."""
    times = np.linspace(top / (1.0 + top), 0.0, n + 1)
    return [float(t / (1.0 - t)) for t in times]


def error(function, n):
    """Of the last x to the exact path x = z0 sqrt(1 + sigma^2 / SPREAD^2)."""
    sigmas = levels(n)
    exact = Z0 * math.sqrt(1.0 + sigmas[0] ** 2 / SPREAD**2)
    return float((function(MODEL, Z0, C, sigmas)[-1] - exact).square().mean().sqrt())


def test_fireflow_is_of_second_order_and_the_others_of_first():
    for function, order in ((ddim_inversion, 1), (rectified.uni_inv, 1), (rectified.fireflow, 2)):
        assert error(function, 20) / error(function, 40) == pytest.approx(2**order, rel=0.35)
    assert error(rectified.fireflow, 20) < 0.5 * error(rectified.uni_inv, 20)


def test_the_sampler_comes_nearer_to_the_picture_from_uni_inv():
    """Its steps are those that Euler's sampler undoes."""

    def back(function, n=12):
        sigmas = levels(n)
        x = function(MODEL, Z0, C, sigmas)[-1]
        z = euler(lambda x, sigma, at=None: denoise(MODEL, x, sigma, C), x, sigmas, lambda x, step: x)
        return float((z - Z0).square().mean().sqrt())

    assert back(rectified.uni_inv) < 0.5 * back(ddim_inversion)


def test_fireflow_comes_back_by_its_own_steps():
    sigmas = levels(12)
    x = rectified.fireflow(MODEL, Z0, C, sigmas)[-1]

    def D(x, sigma, at=None):
        return denoise(MODEL, x, sigma, C)

    own, plain = rectified.fireflow_sampled(D, x, sigmas), euler(D, x, sigmas, lambda x, step: x)
    assert float((own - Z0).abs().max()) < 0.2 * float((plain - Z0).abs().max())


def velocity(given, z, t):
    if t == 0.0:
        return predict_noise(given.model, z, 0.0, given.c) - z
    D = denoise(given.model, z / (1.0 - t), t / (1.0 - t), given.c)
    return (z - D) / t


def plain(kind, given, seed=3):
    """The methods as published, in z and t."""
    times = [sigma / (1.0 + sigma) for sigma in given.sigmas[::-1]]
    eps = noise.standard_normal([seed], given.z0.shape[1:])
    z, guess, v = given.z0, given.z0, None
    found = [z]
    for i, (t, t_next) in enumerate(pairwise(times)):
        h = t_next - t
        if kind == "uni_inv":
            v = velocity(given, guess, t_next)
            z = z + h * v
            if i + 2 < len(times):
                guess = z + (times[i + 2] - t_next) * v
        elif kind == "fireflow":
            v = velocity(given, z, t) if v is None else v
            v = velocity(given, z + h / 2 * v, t + h / 2)
            z = z + h * v
        else:
            inside = z + (t_next - t) / (1.0 - t) * (eps - z)
            difference = (inside - z) / h - velocity(given, inside, t_next)
            z = inside - difference * h
        found.append(z)
    return found, times


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("kind", ["uni_inv", "fireflow", "dna"])
def test_the_steps_are_the_published_ones(source, kind, prediction):
    given = source(prediction)
    more = {"seeds": [3]} if kind == "dna" else {}
    ours = getattr(rectified, kind)(given.model, given.z0, given.c, given.sigmas, **more)
    expected, times = plain(kind, given)
    assert torch.equal(ours[0], given.z0) and len(ours) == len(given.sigmas)
    for x, z, t in zip(ours, expected, times, strict=True):
        torch.testing.assert_close(x * (1.0 - t), z, rtol=1e-3, atol=1e-3)


def test_a_seed_has_its_path_in_any_batch(source):
    given = source()
    both = rectified.dna(given.model, given.z0, given.c, given.sigmas, [5, 6])
    one = rectified.dna(given.model, given.z0, given.c, given.sigmas, [6])
    for ours, theirs in zip(both, one, strict=True):
        torch.testing.assert_close(ours[1:], theirs, rtol=1e-4, atol=1e-4)
    assert not torch.equal(both[-1][0], both[-1][1])


@pytest.mark.parametrize("kind", ["uni_inv", "fireflow", "dna"])
def test_a_stopped_inversion_goes_on_to_the_same_bytes(source, kind):
    given = source("v_prediction", True)
    more = {"seeds": [3]} if kind == "dna" else {}
    run = getattr(rectified, kind)

    class Stopped(Exception):
        pass

    def stop(i, n):
        if i == 4:
            raise Stopped

    known, done = [], []
    with pytest.raises(Stopped):
        run(given.model, given.z0, given.c, given.sigmas, after_step=stop, known=known, **more)
    rest = run(
        given.model,
        given.z0,
        given.c,
        given.sigmas,
        after_step=lambda i, n: done.append(i),
        known=known,
        **more,
    )
    whole = run(given.model, given.z0, given.c, given.sigmas, **more)
    assert all(torch.equal(a, b) for a, b in zip(rest, whole, strict=True)) and done == list(range(5, 11))
    assert all(x.isfinite().all() for x in whole)
