"""When a draft is asked for, with a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.drafts import LOOK, STILL, DraftPolicy, Next, UnderWay
from velatura_protocol.requests import MAX_SEED


class Host:
    """A host with a timer on a clock of its own; a draft takes `takes` seconds."""

    def __init__(self, takes):
        self.now, self.takes = 0.0, takes
        self.policy = DraftPolicy(lambda: self.now)
        self.timer = None
        self.state = 0
        self.running = None  # the state it is of, and when it ends
        self.asked, self.finished, self.cancelled = [], [], []
        self.other = False

    def move(self):
        self.state += 1
        if self.policy.move():
            self.timer = self.now + LOOK

    def wait(self, seconds):
        end = self.now + seconds
        while True:
            times = [t for t in (self.timer, self.running and self.running[1]) if t is not None and t <= end]
            if not times:
                self.now = end
                return
            self.now = min(times)
            if self.running and self.running[1] <= self.now:
                self.finished.append(self.running[0])
                self.running = None
            if self.timer is not None and self.timer <= self.now:
                self._look()

    def _look(self):
        self.timer = None
        draft = UnderWay.DRAFT if self.running else UnderWay.NOTHING
        todo = self.policy.look(UnderWay.OTHER if self.other else draft)
        if todo is Next.LOOK:
            self.timer = self.now + LOOK
        elif todo is Next.ASK:
            if self.running:
                self.cancelled.append(self.running[0])
            self.running = (self.state, self.now + self.takes)
            self.asked.append(self.state)


def test_one_move_gives_one_draft_soon():
    host = Host(takes=1.0)
    host.move()
    host.wait(LOOK - 0.01)
    assert host.asked == []
    host.wait(0.02)
    assert host.asked == [1]
    host.wait(5.0)
    assert (host.asked, host.finished, host.cancelled) == ([1], [1], [])
    assert not host.policy.waits and host.policy.look(UnderWay.NOTHING) is Next.REST


def test_during_a_movement_a_draft_is_let_finish_and_then_comes_one_of_the_newest_state():
    host = Host(takes=1.0)
    for _ in range(100):  # 5 s
        host.move()
        host.wait(0.05)
    assert len(host.finished) >= 4 and host.cancelled == []


def test_the_end_of_a_movement_cancels_the_draft_of_an_older_state():
    host = Host(takes=10.0)
    host.move()
    host.wait(LOOK)
    host.move()
    host.wait(STILL + LOOK)
    assert (host.asked, host.cancelled) == ([1, 2], [1])


def test_moves_that_are_slower_than_a_look_are_one_movement():
    host = Host(takes=1.0)
    for _ in range(20):
        host.move()
        host.wait(0.18)
    assert host.cancelled == [] and len(host.finished) >= 2


def test_what_the_person_has_asked_for_by_name_comes_first():
    host = Host(takes=1.0)
    host.other = True
    host.move()
    host.wait(3.0)
    assert host.asked == [] and host.policy.waits
    host.other = False
    host.wait(LOOK)
    assert host.asked == [1]


def test_stopped_it_asks_for_nothing_until_the_next_move():
    host = Host(takes=1.0)
    host.move()
    host.policy.stop()
    host.wait(1.0)
    assert host.asked == []
    host.move()
    host.wait(1.0)
    assert host.asked == [2]


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20), st.floats(0.01, 3.0))
def test_the_last_state_is_always_drafted_in_the_end_and_each_state_once(pauses, takes):
    host = Host(takes)
    for pause in pauses:
        host.move()
        host.wait(pause)
    host.wait(LOOK + STILL + LOOK + 2 * takes)
    assert host.finished[-1] == host.state
    assert len(host.asked) == len(set(host.asked)) == len(host.finished) + len(host.cancelled)


def test_a_failure_is_shown_unless_a_newer_draft_is_about_to_come():
    host = Host(takes=1.0)
    host.move()
    assert not host.policy.shows_failure()
    host.wait(LOOK)
    assert host.policy.shows_failure()


def test_drafts_share_a_seed_which_the_run_has_too_and_the_next_ones_do_not():
    policy = DraftPolicy(lambda: 0.0)
    assert policy.run_seed(-1) == -1, "nothing was seen"
    seeds = {policy.seed(-1) for _ in range(9)}
    assert seeds == {policy.run_seed(-1)} and 0 <= seeds.pop() <= MAX_SEED
    assert policy.seed(7) == policy.run_seed(7) == 7
    seen = policy.run_seed(-1)
    policy.ran()
    assert policy.run_seed(-1) == -1 and policy.seed(-1) != seen


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_was_captured_serves_until_the_picture_may_have_changed(when):
    policy = DraftPolicy(lambda: 0.0)
    since = policy.since(("layer", "undo"))
    assert policy.kept(since) is None
    if when == "before":
        policy.forget()
        policy.keep(since, "pixels")
    else:
        policy.keep(since, "pixels")
        assert policy.kept(policy.since(("layer", "undo"))) == "pixels"
        assert policy.kept(policy.since(("other", "undo"))) is None
        policy.forget()
    assert policy.kept(policy.since(("layer", "undo"))) is None
