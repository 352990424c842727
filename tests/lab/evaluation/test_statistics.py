"""Intervals, ranks and significance, against worked values and their properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_lab.evaluation import statistics

NUMBERS = st.lists(st.integers(-99, 99), min_size=5, max_size=20).filter(lambda found: len({*found}) > 1)


def test_wilson_of_known_rates():
    found = statistics.wilson(8, 10)
    assert (found.low, found.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert statistics.wilson(0, 50).high == pytest.approx(0.0714, abs=1e-4)
    assert statistics.wilson(0, 0).n == 0


@given(st.integers(1, 200), st.floats(0, 1))
def test_wilson_holds_the_rate_and_stays_in_bounds(n, share):
    found = statistics.wilson(share * n, n)
    assert 0.0 <= found.low <= found.mean <= found.high <= 1.0
    assert statistics.wilson(share * 4 * n, 4 * n).high - found.high <= 1e-12


@given(NUMBERS)
def test_bootstrap_holds_the_mean_and_repeats(values):
    found = statistics.bootstrap(values)
    assert min(values) - 1e-9 <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= max(values) + 1e-9
    assert found == statistics.bootstrap([*values, math.nan])


@pytest.mark.parametrize("values", [[3.0], [1.0, 2.0, 3.0, 4.0], [0.1] * 30, [0.0] * 8])
def test_what_says_nothing_of_its_spread_has_no_interval(values):
    found = statistics.bootstrap(values)
    assert found.mean == pytest.approx(np.mean(values)) and found.n == len(values)
    assert math.isnan(found.low) and math.isnan(found.high)
    quotient = statistics.ratio(values, [2.0] * len(values))
    assert quotient.mean == pytest.approx(np.mean(values) / 2) and math.isnan(quotient.low + quotient.high)


def test_bootstrap_is_about_as_wide_as_the_normal_interval():
    values = np.random.default_rng(1).normal(3.0, 2.0, 200)
    found = statistics.bootstrap(values)
    half = 1.96 * values.std() / math.sqrt(200)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=15))
def test_auc_counts_pairs(items):
    scores, right = [s for s, _ in items], [r for _, r in items]
    pairs = [(a > b) + 0.5 * (a == b) for a, x in items if x for b, y in items if not y]
    found = statistics.auc(scores, right)
    assert math.isnan(found) if not pairs else found == pytest.approx(sum(pairs) / len(pairs))


def test_ranks_and_spearman():
    assert statistics.ranks([10, 20, 20, 30]).tolist() == [1, 2.5, 2.5, 4]
    assert statistics.spearman([1, 2, 3, 4], [1, 8, 27, 64]) == pytest.approx(1.0)
    assert statistics.spearman([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]) == pytest.approx(0.8208, abs=1e-4)
    assert math.isnan(statistics.spearman([1, 1], [1, 2]))


def test_sign_flips_of_few_differences_are_counted_exactly():
    assert statistics.sign_flip_p([1.0, 1.0, 1.0]) == pytest.approx(0.25)  # +++ and --- of eight
    assert statistics.sign_flip_p([1.0] * 10) == pytest.approx(2 / 1024)
    assert statistics.sign_flip_p([1.0, -1.0]) == 1.0
    assert statistics.sign_flip_p([]) == statistics.sign_flip_p([0.0] * 30) == 1.0


def test_many_differences_of_one_sign_are_significant_and_noise_is_not():
    rng = np.random.default_rng(2)
    assert statistics.sign_flip_p(rng.normal(1.0, 1.0, 60)) < 0.001
    assert statistics.sign_flip_p(rng.normal(0.0, 1.0, 60)) > 0.05
    assert statistics.shuffle_p(rng.normal(0, 1, 40), rng.normal(1.5, 1, 40)) < 0.001
    assert statistics.shuffle_p(rng.normal(0, 1, 40), rng.normal(0, 1, 40)) > 0.05


def test_holm():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
