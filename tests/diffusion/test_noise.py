"""Noise of seeds, and of seeds that lie close to others."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from velatura.cache.keys import key
from velatura.diffusion.noise import (
    SEEDS,
    Seed,
    chosen,
    close_to,
    looks,
    own,
    shifted,
    standard_normal,
    stream,
)

SHAPE = (4, 64, 64)
NUMBERS = st.integers(0, SEEDS - 1)
PATHS = st.lists(st.tuples(NUMBERS, st.floats(0.0, 1.0)), min_size=1, max_size=4)


def test_a_seed_close_to_none_is_itself():
    assert type(close_to(5, [])) is int and close_to(5, []) == own(5) == 5


def test_the_way_leads_from_one_noise_to_the_other():
    a, b = standard_normal([1, 2], SHAPE)
    for share in (0.0, 0.25, 0.5, 1.0):
        (n,) = standard_normal([close_to(2, [(1, share)])], SHAPE)
        angle = share * math.pi / 2
        assert torch.allclose(n, math.cos(angle) * a + math.sin(angle) * b, atol=1e-6)
        assert n.std() == pytest.approx(1.0, abs=0.02) and n.mean() == pytest.approx(0.0, abs=0.03)
    assert torch.equal(standard_normal([close_to(2, [(1, 0.0)])], SHAPE)[0], a)
    assert torch.equal(standard_normal([close_to(2, [(1, 1.0)])], SHAPE)[0], b)


@given(NUMBERS, PATHS)
def test_the_noise_does_not_depend_on_the_batch(number, path):
    seed = close_to(number, path)
    alone, together = standard_normal([seed], (3,)), standard_normal([7, seed], (3,))
    assert torch.equal(alone[0], together[1])
    (further,), (beside, _) = next(stream([seed], (3,))), next(stream([seed, 7], (3,)))
    assert torch.equal(further, beside)


def test_further_noises_of_a_stream_go_the_same_way():
    one, other, between = (
        [noise[0] for noise, _ in zip(stream([seed], SHAPE), range(3), strict=False)]
        for seed in (1, 2, close_to(2, [(1, 0.5)]))
    )
    for a, b, n in zip(one, other, between, strict=True):
        assert torch.allclose(n, (a + b) * math.sqrt(0.5), atol=1e-6)
    like = torch.zeros(1, 3)
    a, b, n = (looks(seed, 2, like)[1] for seed in (1, 2, close_to(2, [(1, 0.5)])))
    assert torch.allclose(n, (a + b) * math.sqrt(0.5), atol=1e-6)


@given(NUMBERS, PATHS, NUMBERS, PATHS)
def test_cached_values_are_told_apart(one, path, other, another):
    a, b = Seed(one, path), Seed(other, another)
    assert (a == b) == (key(seed=a) == key(seed=b)) == ((one, path) == (other, another))
    assert key(seed=a) != key(seed=int(a)) and a != int(a) and hash(a) == hash(Seed(one, path))
    assert own(a) == one and own(shifted(a, 3)) == (one + 3) % SEEDS


def test_where_every_step_draws_anew_a_share_of_the_steps_is_taken_over():
    steps = [chosen(close_to(2, [(1, 0.3)]), i) for i in range(400)]
    assert set(steps) == {1, 2} and 0.2 < steps.count(2) / 400 < 0.4
    assert {chosen(close_to(2, [(1, 0.0)]), i) for i in range(50)} == {1}
    assert {chosen(close_to(2, [(1, 1.0)]), i) for i in range(50)} == {2}
