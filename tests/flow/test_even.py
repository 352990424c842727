"""Where a dial ends, and that equal moves give equal change."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from velatura.cache.values import pack, unpack
from velatura.flow import even
from velatura.flow.even import Curve, distance, fit

STRENGTHS = (0.0, 1.0, 2.0, 3.0, 4.0)


def test_equal_shares_are_equal_changes():
    curve = Curve((0.0, 1.0, 2.0, 4.0), (0.0, 6.0, 9.0, 12.0))
    assert [curve.strength(share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)] == [0.0, 0.5, 1.0, 2.0, 4.0]


def test_a_dial_ends_where_it_gains_no_more_and_may_begin_slowly():
    gains = [0.0, 0.2, 0.4, 0.41, 0.42]
    curve = fit(STRENGTHS, [0.0, 1.0, 1.0, 1.0, 1.0], gains, [1.0] * 5)
    assert curve.strengths == (0.0, 1.0, 2.0)
    slow = fit(STRENGTHS, [0.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.01, 0.3, 0.6], [1.0] * 5)
    assert slow.strengths == STRENGTHS


def test_a_dial_ends_where_the_picture_breaks():
    gains = [0.0, 0.2, 0.4, 0.6, 0.8]
    curve = fit(STRENGTHS, [0.0, 1.0, 1.0, 1.0, 1.0], gains, [1.0, 1.1, 1.2, 1.25, 1.4])
    assert curve.strengths == (0.0, 1.0, 2.0, 3.0)


def test_a_dial_that_never_ends_goes_to_the_last_probe_and_a_bad_one_keeps_its_first():
    assert (
        fit(STRENGTHS, [0.0, 1.0, 1.0, 1.0, 1.0], [0.0, 0.1, 0.2, 0.3, 0.4], [1.0] * 5).strengths == STRENGTHS
    )
    worse = fit(
        STRENGTHS, [0.0, 1.0, 1.0, 1.0, 1.0], [0.0, -0.1, -0.2, -0.3, -0.4], [1.0, 9.0, 9.0, 9.0, 9.0]
    )
    assert worse.strengths == (0.0, 1.0)


FINITE = st.floats(0.0, 10.0, allow_nan=False, width=32)


@given(
    st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=4, max_size=4),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0),
)
def test_whatever_the_probes_say_a_dial_is_monotone_and_within_its_end(probes, one, other):
    changes, gains, errors = ([0.0, *column] for column in zip(*probes, strict=True))
    curve = fit(STRENGTHS, changes, gains, errors)
    low, high = sorted((one, other))
    assert 0.0 <= curve.strength(low) <= curve.strength(high) + 1e-9 <= curve.strengths[-1] + 1e-6
    assert unpack("k", pack("k", curve)) == curve


def test_a_distance_is_0_of_the_same_and_larger_of_more():
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0
    assert distance(picture, picture) == 0.0
    assert 0.0 < distance(picture, picture * 0.9) < distance(picture, picture * 0.5)


@pytest.mark.parametrize("seed", [0, 5])
def test_the_model_reads_what_its_own_formula_says(any_model, seed):
    """Li et al. 2023, eq. 6: the text whose denoising misses less; written out for one picture at a time."""
    from velatura.diffusion import noise
    from velatura.diffusion.denoiser import denoise

    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
    gain = error = 0.0
    with torch.inference_mode():
        read = even.readings(any_model, z, "a cat", "a dog", seed)
        for level, t in enumerate(even._LEVELS):
            sigma = t / (1.0 - t)
            for n in noise.looks(seed + level * even._LOOKS, even._LOOKS, z):
                both = [any_model.encode_prompt(text) for text in ("a cat", "a dog")]
                D = [denoise(any_model, z + sigma * n, sigma, c) for c in both]
                cat, dog = (float((one - z).square().mean()) for one in D)
                gain += (cat - dog) / (cat + dog)
                error += min(cat, dog)
    assert read == pytest.approx((gain, error), rel=1e-4, abs=1e-5)
