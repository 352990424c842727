"""Measures on results whose figures are known: the source itself, the exact target, and known damage."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from velatura_lab.evaluation.batch import Batch
from velatura_lab.evaluation.cases import world_cases
from velatura_lab.evaluation.encoders import Encoders
from velatura_lab.evaluation.measure import GROUPS
from velatura_lab.evaluation.measures import MEASURES
from velatura_lab.readers import load_judge
from velatura_lab.world.scene import KINDS

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


@pytest.mark.parametrize("name", [name for name in MEASURES if MEASURES[name].needs])
def test_a_measure_without_its_network_says_so(cases, encoders, name):
    case = cases[0]
    batch = Batch(case, case.target[None].repeat(2, 0), Encoders(), back=case.source, scores=[1.0, 0.0])
    with pytest.raises(LookupError, match="without a part that it needs"):
        of(name, batch)


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


BACKGROUND = ("leakage", "background-psnr", "background-ssim", "background-perceptual")


@pytest.mark.parametrize(("left", "measured"), [(0, False), (3, False), (12, True)])
def test_where_nearly_everything_changes_there_is_no_background_to_measure(cases, encoders, left, measured):
    region = np.ones_like(cases[0].region)
    region[:left] = 0.0  # rows of 64
    batch = Batch(replace(cases[0], region=region), cases[0].target[None], encoders)
    assert [not math.isnan(of(name, batch)) for name in BACKGROUND] == [measured] * 4


def test_a_cut_out_shows_the_square_round_the_selection_and_nothing_else(cases, encoders):
    mask = np.zeros((64, 64), np.uint8)
    mask[10:14, 50:62] = 255
    case = replace(cases[0], mask=mask)
    white = np.full_like(case.source, 255)
    found = Batch(case, white[None], encoders).cut_outs[0]
    assert (found[:, 6:18, 50:62] == 1.0).all()
    found[:, 6:18, 50:62] = (ground := case.source_image.mean((2, 3))[0])[:, None, None]
    assert torch.allclose(found, ground[:, None, None].expand_as(found))
    for rows, columns in (
        (slice(0, 64), slice(20, 30)),
        (slice(0, 0), slice(0, 0)),
        (slice(63, 64), slice(0, 3)),
    ):
        mask = np.zeros((64, 64), np.uint8)
        mask[rows, columns] = 255
        cut = Batch(replace(case, mask=mask), white[None], encoders).cut_outs[0]
        assert (cut[:, rows, columns] == 1.0).all()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_judge_reads_cut_outs_of_exact_targets():
    """It misses few, and sees in cut-outs of the sources hardly any that are not there."""
    judge = Encoders(load_judge())
    found = [case for kind in KINDS for case in world_cases([kind], 16, 7, 128)]
    target = [Batch(case, case.target[None], judge).inside[0] for case in found]
    source = [Batch(case, case.source[None], judge).inside[0] for case in found]
    assert np.mean(target) >= 0.85 and np.mean(source) <= 0.05


def test_an_editor_with_a_source_of_its_own_has_no_exact_target(cases, encoders):
    case = cases[0]
    own = case.target[None]
    batch = Batch(case, own, encoders, sources=own)
    assert math.isnan(of("closeness", batch))
    assert of("leakage", batch) == 0.0


def test_a_batch_is_ranked_by_its_scores(cases, encoders):
    case = cases[0]
    batch = Batch(case, np.stack([case.source] * 4), encoders, scores=[0.1, 0.9, 0.5, 0.7])
    batch.right, batch.inside = [False, True, False, False], [False, True, True, False]
    assert of("batch-precision", batch) == 0.5
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
    batch.inside = [True, True, False]
    assert of("diversity", batch) == pytest.approx(0.0, abs=1e-9)
    batch.inside = [True, False, True]
    assert of("diversity", batch) > 0.0
    batch.inside = [True, False, False]
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
