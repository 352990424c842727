"""How far a run is: one fraction over several stages and batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.methods.base import WHOLE, Stage
from velatura.methods.progress import Progress


def told(*steps):
    progress = Progress()
    return [progress.step(i, n, stage) for i, n, stage in steps]


def test_one_stage_is_the_whole():
    assert told((1, 4, WHOLE), (4, 4, WHOLE)) == [0.25, 1.0]


def test_stages_follow_each_other_and_the_last_takes_what_is_left():
    reading, fitting = Stage("Reading", 0.2), Stage("Fitting", 0.5)
    steps = [
        (1, 2, reading),
        (2, 2, reading),
        (5, 10, fitting),
        (10, 10, fitting),
        (1, 3, WHOLE),
        (3, 3, WHOLE),
    ]
    assert told(*steps) == pytest.approx([0.1, 0.2, 0.45, 0.7, 0.8, 1.0])


def test_what_was_not_needed_is_the_last_one_s():
    assert told((1, 2, Stage("Reading", 0.2)), (1, 2, WHOLE)) == pytest.approx([0.1, 0.6])


def test_a_batch_is_its_part_of_the_run():
    progress = Progress()
    found = []
    for start in (0.0, 0.4):
        progress.part(start, 0.4)
        found += [progress.step(1, 1, Stage("Reading", 0.5)), progress.step(1, 1, WHOLE)]
    assert found == pytest.approx([0.2, 0.4, 0.6, 0.8])


stages = st.builds(Stage, st.sampled_from(["", "a", "b"]), st.floats(0.01, 1.0))
steps = st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n)))


@given(st.lists(st.tuples(steps, stages)), st.lists(st.floats(0.0, 0.9)))
def test_whatever_is_told_it_never_falls_and_stays_within_the_run(said, restarts):
    progress, found = Progress(), [0.0]
    for number, ((i, n), stage) in enumerate(said):
        if number < len(restarts):
            progress.part(restarts[number], 1.0 - restarts[number])
        found.append(progress.step(i, n, stage))
    assert found == sorted(found) and found[-1] <= 1.0 + 1e-9
