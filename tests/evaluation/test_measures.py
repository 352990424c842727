"""Measures on results whose figures are known: the source itself, the exact target, and known damage."""

import math

import numpy as np
import pytest

from velatura.evaluation.batch import Batch
from velatura.evaluation.measures import GROUPS, MEASURES

PERFECT = {
    "leakage": 0.0,
    "outside": 0.0,
    "background-psnr": 58.92,
    "background-ssim": 100.0,
    "background-perceptual": 0.0,
}


def of(name, batch):
    return MEASURES[name].of(batch)


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_says_what_it_is_and_where_it_comes_from(name):
    measure = MEASURES[name]
    assert measure.title and measure.group in GROUPS
    assert any(word in measure.definition for word in ("et al.", "Huang", "this project", "CL P2P"))


def test_the_exact_target_leaves_the_background_alone_and_is_the_target(cases, encoders):
    for case in cases:
        batch = Batch(case, case.target[None], encoders)
        for name, value in PERFECT.items():
            assert of(name, batch) == pytest.approx(value, abs=0.02), name
        assert of("closeness", batch) == pytest.approx(1.0, abs=1e-6)


def test_doing_nothing_is_as_far_from_the_target_as_the_source(cases, encoders):
    batch = Batch(cases[0], cases[0].source[None], encoders)
    for name, value in PERFECT.items() | {("closeness", 0.0), ("structure", 0.0), ("directional", 0.0)}:
        assert of(name, batch) == pytest.approx(value, abs=0.02), name
    assert of("identity", batch) == pytest.approx(1.0)
    assert of("kept", batch) == 1.0


def test_damage_outside_the_region_is_seen_there_and_nowhere_else(cases, encoders):
    case = cases[0]
    damaged = case.target.astype(int)
    damaged[case.region == 0] += np.where(damaged[case.region == 0] > 127, -20, 20)
    batch = Batch(case, damaged.astype(np.uint8)[None], encoders)
    soft = 1.0 - case.region
    assert of("leakage", batch) == pytest.approx(20.0 * (case.region == 0).sum() / soft.sum(), rel=0.02)
    assert of("outside", batch) == pytest.approx(20.0, abs=0.1)
    assert of("closeness", batch) == pytest.approx(1.0, abs=1e-6)
    assert of("background-psnr", batch) < 25.0
    assert of("background-ssim", batch) < 99.9
    assert of("background-perceptual", batch) > 0.0


def test_an_editor_with_a_source_of_its_own_has_no_exact_target(cases, encoders):
    case = cases[0]
    own = case.target[None]
    batch = Batch(case, own, encoders, sources=own)
    assert math.isnan(of("closeness", batch))
    assert of("leakage", batch) == 0.0


def test_a_batch_is_ranked_by_its_scores(cases, encoders):
    case = cases[0]
    batch = Batch(case, np.stack([case.source] * 4), encoders, scores=[0.1, 0.9, 0.5, 0.7])
    batch.right = [False, True, False, False]
    assert of("batch-precision", batch) == 0.25
    assert of("best-precision", batch) == 1.0
    assert of("ranking-auc", batch) == 1.0
    batch.scores = [0.9, 0.1, 0.5, 0.7]
    assert of("best-precision", batch) == 0.0
    assert of("ranking-auc", batch) == 0.0
    batch.scores = None
    assert math.isnan(of("ranking-auc", batch))


def test_a_ranking_is_held_against_the_exact_target(cases, encoders):
    case = cases[0]
    half = ((case.source.astype(int) + case.target) // 2).astype(np.uint8)
    batch = Batch(case, np.stack([case.source, half, case.target]), encoders, scores=[0.2, 0.4, 0.9])
    assert of("ranking-closeness", batch) == pytest.approx(1.0)
    batch.scores = [0.9, 0.4, 0.2]
    assert of("ranking-closeness", batch) == pytest.approx(-1.0)
    batch.scores = None
    assert math.isnan(of("ranking-closeness", batch))


def test_diversity_counts_right_results_inside_the_selection_only(cases, encoders):
    case = cases[0]
    other = case.source.copy()
    other[case.mask == 0] = 0
    batch = Batch(case, np.stack([case.source, other, case.target]), encoders)
    batch.right = [True, True, False]
    assert of("diversity", batch) == pytest.approx(0.0, abs=1e-9)
    batch.right = [True, False, True]
    assert of("diversity", batch) > 0.0
    batch.right = [True, False, False]
    assert math.isnan(of("diversity", batch))


def test_a_cycle_that_comes_back_is_perfect(cases, encoders):
    case = cases[0]
    back = Batch(case, case.target[None], encoders, back=case.source)
    assert of("cycle-psnr", back) == pytest.approx(58.92, abs=0.01)
    assert of("cycle-perceptual", back) == 0.0
    assert of("cycle-psnr", Batch(case, case.target[None], encoders, back=case.target)) < 50.0
    assert math.isnan(of("cycle-psnr", Batch(case, case.target[None], encoders)))


def test_intervals_count_cases():
    found = MEASURES["success"].estimate([1.0, 1.0, 0.5, math.nan])
    assert found.n == 3 and found.mean == pytest.approx(2.5 / 3) and found.high < 1.0
