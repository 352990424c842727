"""Features while they are recorded: the budget holds at every moment, and what is kept is whole."""

from __future__ import annotations

from functools import partial

import torch
from hypothesis import given
from hypothesis import strategies as st

from velatura.cache.cache import LEAST, Cache
from velatura.cache.values import nbytes
from velatura.prompt_to_prompt.control import Branch
from velatura.prompt_to_prompt.features import Features, Need

BUDGET = 5120
NEED = Need(cross=True)


def branch(n, v=False):
    """Views of a batch, as the network has them: n floats of each tensor."""
    batch = torch.randn(3, n)
    return Branch(batch[0], batch[1], batch[2] if v else None)


def of(cache, key):
    return cache.kept(key, lambda _: Features(cache.largest, partial(cache.make_room, key)))


places = st.tuples(st.sampled_from(["attn1", "attn2", "attn3"]), st.integers(1, 200), st.booleans())
runs = st.tuples(st.sampled_from("abc"), st.lists(st.lists(places, max_size=4), max_size=4))


@given(st.lists(runs, max_size=8))
def test_the_budget_holds_at_every_moment_whatever_is_recorded(recorded):
    cache = Cache(memory=BUDGET)
    for key, steps in recorded:
        features = of(cache, key)
        make_room = features.make_room

        def asked(needed, make_room=make_room, features=features):
            make_room(needed)
            others = cache.nbytes - nbytes(features)
            assert others + needed <= BUDGET, "no room was made before"

        features.make_room = asked
        for i, step in enumerate(steps):
            for name, n, v in step:
                features.record(i, name, branch(n, v))
                assert cache.nbytes <= BUDGET
                assert features.nbytes == nbytes(features.branches) <= features.limit
            features.finish(i, NEED)
            names = {name for name, _, _ in step}
            kept = {name for at, name in features.branches if at == i}
            assert names <= kept if not features.missing(i, NEED) else not kept
        features.make_room = make_room
        cache.keep(key, features)
        assert cache.nbytes <= BUDGET


def test_the_least_recently_used_makes_room_and_no_more_than_is_needed():
    cache = Cache(memory=3 * LEAST)
    for key in "abc":
        features = of(cache, key)
        features.record(0, "attn1", branch(LEAST // 8))
        cache.keep(key, features)
    of(cache, "a")
    of(cache, "d").record(0, "attn1", branch(LEAST // 8))
    assert list(cache._values) == ["c", "a", "d"]


def test_what_is_recorded_again_counts_once_and_keeps_its_values():
    features = Features(4000)
    features.record(0, "attn1", branch(100, v=True))
    v = features.branches[0, "attn1"].v
    features.record(0, "attn1", branch(100))
    assert features.branches[0, "attn1"].v is not None
    assert torch.equal(features.branches[0, "attn1"].v, v)
    assert features.nbytes == nbytes(features.branches) == 1200


def test_a_step_that_does_not_fit_is_left_out_and_a_smaller_one_kept():
    features = Features(1000)
    for i, n in enumerate((50, 100, 50)):
        features.record(i, "attn1", branch(n))
        features.record(i, "attn2", branch(10))
        features.finish(i, NEED)
    assert [features.missing(i, NEED) for i in range(3)] == [False, True, False]
    assert {i for i, _ in features.branches} == {0, 2}
