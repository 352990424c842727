"""The estimate of a job's remaining time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.remaining import Remaining, in_words


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def told(*news):
    """The estimates of (seconds, fraction) in turn."""
    clock = Clock()
    remaining = Remaining(clock)
    texts = []
    for seconds, fraction in news:
        clock.now = 100.0 + seconds
        texts.append(remaining.heard(fraction))
    return texts


def test_it_follows_the_speed():
    assert told((0, 0.0), (10, 0.1), (30, 0.3))[1:] == ["about 2 minutes left", "about 1 minute left"]


def test_nothing_is_said_before_the_speed_is_known_or_near_the_end():
    assert told((0, 0.0), (4, 0.1), (40, 0.9)) == ["", "", ""]


def test_only_the_last_minute_counts():
    slow = [(10 * i, 0.01 * i) for i in range(11)]  # 100 seconds for a tenth
    quick = [(100 + i, 0.1 + 0.005 * i) for i in range(1, 71)]
    assert told(*slow)[-1] == "about 15 minutes left"
    assert told(*slow, *quick)[-1] == "about 2 minutes left"


def test_a_job_that_begins_again_is_measured_anew():
    assert told((0, 0.0), (10, 0.5), (11, 0.0), (31, 0.1))[2:] == ["", "about 3 minutes left"]


def test_without_a_fraction_there_is_no_estimate():
    assert told((0, 0.0), (10, None)) == ["", ""]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (14, ""),
        (22, "about 20 seconds left"),
        (55, "about 1 minute left"),
        (200, "about 3 minutes left"),
        (7200, "about 2 hours left"),
        (1e9, ""),
        (float("inf"), ""),
    ],
)
def test_words(seconds, words):
    assert in_words(seconds) == words


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), max_size=30))
def test_any_progress_gives_a_text(news):
    assert all(isinstance(text, str) for text in told(*sorted(news, key=lambda one: one[0])))
