"""The visibility of a mask's border, on seams that were made."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.ranking.seam import NEAR, VISIBLE, Border, softness

SIDE = 64
Y, X = np.mgrid[0:SIDE, 0:SIDE]
DISC = (np.hypot(X - 30, Y - 34) < 17).astype(np.float64)
SEEDS = st.integers(0, 2**32 - 1)
STEPS = st.floats(0.05, 0.4)


def seam(before, after, mask):
    return Border(before, mask).seam(after)


def grain(seed, amount=0.02):
    """A slope with film grain on it, within [0.2, 0.8]."""
    rng = np.random.default_rng(seed)
    plane = 0.35 + 0.15 * X / SIDE + 0.1 * Y / SIDE
    noise = rng.normal(0.0, amount, (SIDE, SIDE, 3))
    return (plane[..., None] + noise).clip(0.2, 0.8)


def feathered(mask, pixels):
    """The mask's border as a slope of about so many pixels, by repeated means of neighbours."""
    for _ in range(pixels * pixels // 2):
        padded = np.pad(mask, 1, mode="edge")
        mask = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4.0
    return mask


def pasted(before, edit, mask):
    return before + mask[..., None] * (edit - before)


@given(SEEDS)
def test_what_was_not_edited_has_no_seam(seed):
    assert seam(grain(seed), grain(seed), DISC) == 1.0


@given(SEEDS, STEPS)
def test_a_step_along_the_border_is_found_and_a_higher_one_is_worse(seed, step):
    before = grain(seed)
    low, high = (seam(before, pasted(before, before + h, DISC), DISC) for h in (step, 2 * step))
    assert 0.0 < high < low < 0.9


@pytest.mark.parametrize("step", [0.1, 0.2, 0.4])
def test_on_a_flat_ground_it_is_the_ratio_of_what_is_visible_to_the_step(step):
    before = np.full((SIDE, SIDE, 3), 0.3)
    half = np.zeros((SIDE, SIDE))
    half[:, SIDE // 2 :] = 1.0  # a border that blocks of every scale lie along
    after = pasted(before, before + step, half)
    assert seam(before, after, half) == pytest.approx(VISIBLE / np.hypot(step, VISIBLE), rel=1e-6)


@given(SEEDS, STEPS)
def test_an_even_change_of_slope_is_no_seam(seed, strength):
    before = grain(seed, 0.0)
    swelling = np.maximum(0.0, 1.0 - np.hypot(X - 30, Y - 34) / 17.0) ** 3  # 0 at the border, with its slope
    assert seam(before, before + 0.4 * strength * swelling[..., None], DISC) > 0.95


@given(SEEDS, STEPS)
def test_a_feathered_border_is_less_of_a_seam(seed, step):
    before = grain(seed, 0.005)
    soft = feathered(DISC, 4)
    hard, blended = (seam(before, pasted(before, before + step, m), m) for m in (DISC, soft))
    assert blended > hard


@given(SEEDS)
def test_texture_hides_a_step(seed):
    smooth, rough = grain(seed, 0.005), grain(seed, 0.06)
    found = [seam(p, pasted(p, p + 0.1, DISC), DISC) for p in (smooth, rough)]
    assert found[0] < found[1]


def test_an_outline_that_is_selected_along_may_stay():
    before = pasted(grain(1), grain(1) + 0.4, DISC)  # the source has an edge there already
    recoloured = pasted(before, before - 0.1, DISC)
    new = pasted(grain(1), grain(1) + 0.3, DISC)
    assert np.allclose(recoloured, new)
    assert seam(before, recoloured, DISC) > 0.95 > 0.5 > seam(grain(1), new, DISC)


def test_an_outline_elsewhere_excuses_nothing():
    smooth, striped = grain(3, 0.0), grain(3, 0.0)
    striped[:, :24][:, ::2] += 0.2  # the left third of the disc's border has strong texture
    step = np.where(X[..., None] > 36, 0.1, 0.0)  # the seam is on the right
    found = [seam(p, pasted(p, p + step, DISC), DISC) for p in (smooth, striped)]
    assert found[1] == pytest.approx(found[0], abs=0.12) and max(found) < 0.75


def test_a_feathered_seam_is_found_from_afar():
    before = grain(4, 0.0)
    soft = feathered(DISC, 5)
    steps = [seam(before, pasted(before, before + h, soft), soft) for h in (0.0, 0.02, 0.1, 0.3)]
    assert steps[0] == 1.0 and steps == sorted(steps, reverse=True) and steps[-1] < 0.8


@pytest.mark.parametrize("width", [1, 4, 9])
def test_softness_is_the_width_of_the_border(width):
    ramp = ((X - 20.5 + width / 2.0) / width).clip(0.0, 1.0)
    assert softness(ramp) == pytest.approx(max(1, width), abs=1.0)
    assert softness(np.ones((9, 9))) == 1.0


@given(SEEDS, STEPS, st.integers(1, 3), st.booleans())
def test_turned_and_mirrored_it_is_the_same(seed, step, turns, mirrored):
    before = grain(seed)
    pictures = [before, pasted(before, before + step, DISC), DISC]
    moved = [np.rot90(p[:, ::-1] if mirrored else p, turns) for p in pictures]
    assert seam(*moved) == pytest.approx(seam(*pictures), rel=1e-9)


@given(SEEDS, st.floats(2.0, 50.0))
def test_contrast_does_not_matter_above_what_is_visible(seed, factor):
    before = 50.0 * grain(seed)
    after = pasted(before, before + 10.0, DISC)
    assert seam(factor * before, factor * after, DISC) == pytest.approx(seam(before, after, DISC), rel=1e-2)


@given(SEEDS, SEEDS, SEEDS)
def test_it_lies_between_nought_and_one(a, b, c):
    mask = np.random.default_rng(c).random((SIDE, SIDE))
    assert 0.0 < seam(grain(a), grain(b, 0.2), mask) <= 1.0


def test_without_a_border_there_is_none():
    assert seam(grain(1), grain(2), np.ones((SIDE, SIDE))) is None
    assert seam(grain(1), grain(2), np.zeros((SIDE, SIDE))) is None
    assert seam(grain(1)[:3], grain(2)[:3], DISC[:3]) is None


@pytest.mark.parametrize("shape", [(4, 4), (5, 64), (64, 7), (NEAR, 9)])
def test_small_pictures(shape):
    rng = np.random.default_rng(0)
    before, after = rng.random((2, *shape, 3))
    mask = np.zeros(shape)
    mask[: shape[0] // 2] = 1.0
    found = seam(before, after, mask)
    assert found is not None and 0.0 < found <= 1.0
