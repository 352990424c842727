"""One picture over another: exact integers, kept bytes, parts that lie outside."""

from fractions import Fraction

import numpy as np
import pytest

from velatura.pixels.over import lay_over_opaque, over


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_the_formula_rounded_half_up(dtype):
    full, rng = np.iinfo(dtype).max, np.random.default_rng(0)
    lower, upper = (rng.integers(0, full + 1, (4, 5, 4)).astype(dtype) for _ in range(2))
    result = over(lower, upper)
    for (*c_s, a_s), (*c, a), (*c_o, a_o) in zip(
        lower.reshape(-1, 4).tolist(),
        upper.reshape(-1, 4).tolist(),
        result.reshape(-1, 4).tolist(),
        strict=True,
    ):
        rest = Fraction(a_s, full) * (1 - Fraction(a, full))
        alpha = Fraction(a, full) + rest
        assert a_o == int(alpha * full + Fraction(1, 2))
        mixed = [(Fraction(a, full) * u + rest * v) / alpha for u, v in zip(c, c_s, strict=True)]
        assert c_o == [int(value + Fraction(1, 2)) for value in mixed]


def test_what_is_clear_keeps_the_lower_bytes_and_what_is_full_takes_the_upper_ones():
    lower = np.array([[[9, 8, 7, 0], [9, 8, 7, 5]]], np.uint8)
    upper = np.array([[[1, 2, 3, 0], [1, 2, 3, 255]]], np.uint8)
    assert over(lower, upper).tolist() == [[[9, 8, 7, 0], [1, 2, 3, 255]]]


@pytest.mark.parametrize("at", [(-2, -1), (3, 2), (9, 0), (0, -9)])
def test_a_part_outside_is_left_out(at):
    lower, upper = np.zeros((4, 5, 3), np.uint8), np.full((3, 4, 4), 255, np.uint8)
    expected, (x, y) = np.zeros((20, 20, 3), np.uint8), at
    expected[10 + y : 13 + y, 10 + x : 14 + x] = 255
    assert np.array_equal(over(lower, upper, at), expected[10:14, 10:15])
    assert not lower.any()


def test_floats_and_integers_agree_on_an_opaque_ground():
    rng = np.random.default_rng(1)
    lower, upper = (rng.integers(0, 256, (64, 64, n)).astype(np.uint8) for n in (3, 4))
    floats = lower / np.float32(255)
    lay_over_opaque(floats, upper[..., :3] / np.float32(255), upper[..., 3] / np.float32(255))
    assert np.array_equal(np.rint(floats * 255), over(lower, upper))
