"""Intervals of rates and means, ranks, and tests that compare two sets of figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z = 1.959964  # 97.5th percentile of the normal distribution: two-sided intervals of 95 %
_DRAWS = 4000
LEAST = 5  # values that the bootstrap needs for an interval of their mean


@dataclass(frozen=True)
class Estimate:
    """A mean over n independent values with its interval of 95 %. low and high are NaN where there is no
    interval: for too few values, or values that are all the same. All are NaN, and n is 0, without values."""

    mean: float
    low: float
    high: float
    n: int


NONE = Estimate(math.nan, math.nan, math.nan, 0)


def wilson(successes: float, n: int) -> Estimate:
    """Interval of a rate. Wilson 1927, Probable Inference, eq. for p with n trials; in 0..1.

    successes may be a sum of shares (a batch with half of its pictures right counts 0.5).
    """
    if n == 0:
        return NONE
    p = successes / n
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(max(0.0, p * (1 - p) / n + Z**2 / (4 * n**2)))
    return Estimate(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)), n)


def bootstrap(values: Sequence[float], seed: int = 0) -> Estimate:
    """Interval of a mean: percentiles 2.5 and 97.5 of the means of resampled values (Efron 1979).

    NaN among the values are left out. The same values and seed give the same interval. Fewer than `LEAST`
    values, or values that are all equal, have no interval: resampling would give one that is too narrow or of
    no width.
    """
    kept = np.asarray([v for v in values if not math.isnan(v)], float)
    if not len(kept):
        return NONE
    if len(kept) < LEAST or np.ptp(kept) <= 1e-9 * abs(kept).max():
        return Estimate(float(kept.mean()), math.nan, math.nan, len(kept))
    rng = np.random.default_rng(seed)
    means = kept[rng.integers(len(kept), size=(_DRAWS, len(kept)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(kept.mean()), float(low), float(high), len(kept))


def ratio(values: Sequence[float], of: Sequence[float], seed: int = 0) -> Estimate:
    """The quotient of two means over the same cases, with percentiles 2.5 and 97.5 of the quotients of
    resampled cases (Efron 1979). Cases with NaN on either side are left out. There is no interval where
    `bootstrap` gives none."""
    both = np.asarray([values, of], float).reshape(2, -1).T
    both = both[~np.isnan(both).any(1)]
    if not both.size or not both[:, 1].sum():
        return NONE
    mean = both.mean(0)
    rng = np.random.default_rng(seed)
    means = both[rng.integers(len(both), size=(_DRAWS, len(both)))].mean(1)
    means = means[means[:, 1] != 0.0]
    quotients = means[:, 0] / means[:, 1]
    low, high = np.percentile(quotients, [2.5, 97.5])
    if len(both) < LEAST or np.ptp(quotients) <= 1e-9 * abs(quotients).max():
        low = high = math.nan
    return Estimate(float(mean[0] / mean[1]), float(low), float(high), len(both))


def ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Ranks from 1, ties at their mean, (n,) float64."""
    _, inverse, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[inverse].reshape(len(values))


def auc(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Probability that a right result scores above a wrong one, where a tie counts half (Mann & Whitney 1947;
    Hanley & McNeil 1982), 0..1; NaN where all are right or all wrong."""
    is_right = np.asarray(right, bool)
    positives, negatives = int(is_right.sum()), int((~is_right).sum())
    if not positives or not negatives:
        return math.nan
    total = ranks(scores)[is_right].sum() - positives * (positives + 1) / 2.0
    return float(total / (positives * negatives))


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Correlation of the ranks, -1..1; NaN where one side is constant (Spearman 1904)."""
    x, y = ranks(a) - (len(a) + 1) / 2.0, ranks(b) - (len(b) + 1) / 2.0
    norm = math.sqrt(float((x**2).sum() * (y**2).sum()))
    return float((x * y).sum() / norm) if norm else math.nan


def sign_flip_p(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of the mean of paired differences being 0: Fisher's permutation of signs.

    Exact for at most 12 differences, else from 10,000 draws with the observed one counted. 1 for none.
    """
    d = np.asarray([v for v in differences if not math.isnan(v)], float)
    if not len(d) or not d.any():
        return 1.0
    observed = abs(d.sum()) * (1.0 - 1e-12)
    if len(d) <= 12:
        signs = (np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1) * 2 - 1
        return float((np.abs(signs @ d) >= observed).mean())
    signs = np.random.default_rng(seed).integers(0, 2, size=(9_999, len(d))) * 2 - 1
    return float(((np.abs(signs @ d) >= observed).sum() + 1) / 10_000)


def shuffle_p(a: Sequence[float], b: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of two unpaired means being equal, from 9,999 shuffles of the values between both sides."""
    x, y = ([v for v in side if not math.isnan(v)] for side in (a, b))
    if not x or not y:
        return 1.0
    together, rng = np.asarray([*x, *y], float), np.random.default_rng(seed)
    observed = abs(np.mean(x) - np.mean(y)) * (1.0 - 1e-12)
    shuffled = rng.permuted(np.tile(together, (9_999, 1)), axis=1)
    gaps = np.abs(shuffled[:, : len(x)].mean(1) - shuffled[:, len(x) :].mean(1))
    return float(((gaps >= observed).sum() + 1) / 10_000)


def holm(p: Sequence[float]) -> list[float]:
    """p adjusted for several simultaneous tests (Holm 1979); no value falls, and none exceeds 1."""
    order, adjusted, highest = np.argsort(p, kind="stable"), [0.0] * len(p), 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = highest
    return adjusted
