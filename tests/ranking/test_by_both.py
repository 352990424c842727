"""The model's reading and CLIP's, joined."""

import math

import pytest

from velatura.ranking.by_both import WEIGHT, AskedOfBoth


class Fixed:
    def __init__(self, readings, looks=1):
        self.readings, self.looks = readings, looks

    def read(self, pictures, check):
        for _ in pictures:
            check()
        return self.readings


def ignored():
    pass


def test_it_is_the_formula_and_keeps_the_models_reading_where_clip_sees_no_change():
    both = AskedOfBoth(Fixed([0.7, 0.7, 0.2], 2), Fixed([0.5, 0.6, 0.4]))
    one, more, less = both.read([0, 0, 0], ignored)
    assert one == pytest.approx(0.7) and both.looks == 3
    assert more == pytest.approx(1 / (1 + math.exp(-(math.log(0.7 / 0.3) + WEIGHT * 0.2))))
    assert less < 0.2


def test_it_stays_within_bounds_at_sure_readings():
    low, high = AskedOfBoth(Fixed([0.0, 1.0]), Fixed([0.0, 1.0])).read([0, 0], ignored)
    assert 0.0 <= low < 1e-5 and 1.0 - 1e-5 < high <= 1.0


def test_without_a_prompt_nobody_looks():
    assert AskedOfBoth(Fixed(None), Fixed([0.5])).read([], lambda: pytest.fail("looked")) is None
