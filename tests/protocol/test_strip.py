"""The strip: what is chosen, shown, kept and dropped while candidates arrive."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from velatura_protocol.errors import VelaturaError
from velatura_protocol.strip import Held, Strip

from .picked import JOB, candidate


def strip_of(*scores: float | None, count: int = 4) -> Strip:
    made = Strip(JOB, count)
    for index, score in enumerate(scores):
        assert made.add(candidate(index, score))
    return made


def indices(strip: Strip) -> list[int]:
    return [cell.candidate.index for cell in strip.cells]


def test_the_best_so_far_is_shown_until_the_person_chooses():
    strip = strip_of(0.2, 0.7)
    assert indices(strip) == [1, 0] and strip.shown == candidate(1, 0.7) and strip.awaited == 2
    assert strip.sentence == "2 of 4 are here, the best so far first."
    strip.add(candidate(2, 0.9))
    assert strip.shown == candidate(2, 0.9)
    strip.move(1)
    assert strip.shown == candidate(1, 0.7)
    strip.add(candidate(3, 0.95))
    assert strip.shown == candidate(1, 0.7) and indices(strip) == [3, 2, 1, 0]


def test_enter_keeps_one_and_closes_shift_enter_keeps_several():
    strip = strip_of(0.9, 0.5, 0.1, 0.05)
    assert strip.keep(several=True) == candidate(0, 0.9)
    assert strip.is_open and strip.chosen == candidate(1, 0.5)
    assert strip.keep() == candidate(1, 0.5)
    assert not strip.is_open and strip.shown is None
    assert strip.choose(0) and strip.keep() is None  # it is kept already
    strip.unkeep(0)
    assert strip.choose(0) and strip.keep() == candidate(0, 0.9)


def test_delete_drops_and_the_next_place_is_chosen():
    strip = strip_of(0.9, 0.5, 0.1)
    assert strip.drop() == candidate(0, 0.9) and strip.chosen == candidate(1, 0.5)
    strip.move(1)
    assert strip.drop() == candidate(2, 0.1) and strip.chosen == candidate(1, 0.5)
    assert strip.drop() == candidate(1, 0.5)
    assert strip.drop() is strip.keep() is strip.move(1) is strip.shown is None and strip.cells == []
    assert strip.take_back() == candidate(1, 0.5) and indices(strip) == [1]
    strip.add(candidate(0, 0.9, 0))
    assert indices(strip) == [1], "a dropped one stays dropped when its rank comes"


def test_before_hides_the_candidate_while_the_key_is_held():
    strip = strip_of(0.9)
    strip.before(True)
    assert strip.shown is None and strip.chosen is not None
    strip.before(False)
    assert strip.shown == strip.chosen


def test_an_ended_run_awaits_nothing_and_keeps_what_came():
    strip = strip_of(0.2, 0.7)
    strip.end("cancelled")
    assert strip.awaited == 0 and indices(strip) == [1, 0] and strip.sentence == "2 candidates."
    strip = strip_of(0.2, count=2)
    strip.end("done", [candidate(0, 0.2, 1), candidate(1, 0.7, 0)])
    assert indices(strip) == [1, 0] and strip.state == "done"
    assert not strip.add(candidate(0, 0.1, job="another"))


def test_the_chosen_ones_pixels_are_wanted_first():
    strip = strip_of(0.9, 0.8, 0.7, 0.6)
    strip.choose(2)
    assert [one.index for one in strip.wanted()] == [2, 3, 1]


class Person(RuleBasedStateMachine):
    """Any order of arrivals and keys."""

    def __init__(self) -> None:
        super().__init__()
        self.strip, self.inserted, self.came = Strip(JOB, 4), [], set()

    @rule(index=st.integers(0, 6), score=st.none() | st.floats(0.0, 1.0))
    def arrives(self, index, score):
        chosen = self.strip.chosen
        is_own = self.strip._chosen is not None
        self.strip.add(candidate(index, score))
        self.came.add(index)
        if is_own and chosen is not None:
            assert self.strip.chosen.index == chosen.index

    @rule(by=st.integers(-3, 3))
    def moves(self, by):
        self.strip.move(by)

    @rule(several=st.booleans())
    def keeps(self, several):
        kept = self.strip.keep(several=several)
        if kept is not None:
            self.inserted.append(kept.index)

    @rule()
    def drops(self):
        before = len(self.strip.cells)
        dropped = self.strip.drop()
        assert len(self.strip.cells) == before - (dropped is not None)

    @rule()
    def takes_back(self):
        back = self.strip.take_back()
        assert back is None or self.strip.chosen == back

    @rule(index=st.integers(0, 6))
    def stars(self, index):
        assert self.strip.star(index) in (True, False)

    @precondition(lambda self: self.strip.state == "running")
    @rule(state=st.sampled_from(["done", "failed", "cancelled"]))
    def ends(self, state):
        self.strip.end(state)

    @invariant()
    def nothing_is_lost_or_inserted_twice(self):
        shown = indices(self.strip)
        assert len(shown) == len(set(shown)) and set(shown) <= self.came
        assert len(shown) + len(self.strip._dropped) == len(self.came)
        assert len(self.inserted) == len(set(self.inserted))
        assert (self.strip.chosen is None) == (not shown)
        assert self.strip.shown is None or self.strip.shown.index in shown
        assert {one.index for one in self.strip.wanted()} <= set(shown)


TestPerson = Person.TestCase
TestPerson.settings = hypothesis_settings(max_examples=60, stateful_step_count=20, deadline=None)


@given(st.lists(st.integers(0, 6), max_size=20), st.integers(0, 100))
def test_held_pixels_stay_within_their_budget(order, budget):
    held = Held(budget)
    for index in order:
        held.put(candidate(index), bytes(16))
        assert held.get(candidate(index)) == bytes(16)
        assert held.nbytes <= max(budget, 16)
    held.forget()
    assert held.nbytes == 0


def test_the_pixels_used_last_are_held_and_damaged_ones_refused():
    held = Held(32)
    held.put(candidate(0), b"a" * 16)
    held.put(candidate(1), b"b" * 16)
    held.get(candidate(0))
    held.put(candidate(2), b"c" * 16)
    assert held.get(candidate(1)) is None and held.get(candidate(0)) == b"a" * 16
    with pytest.raises(VelaturaError, match="damaged"):
        held.put(candidate(3), b"short")
