"""The order of variations: by what, in which words, and what is said where something lacks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ranking.conftest import box_mask, painted, result, scene
from velatura.ranking import rank as ranking
from velatura.ranking.judge import Judge
from velatura.ranking.rank import CLEANEST, CLOSEST, DOUBTFUL, GOOD, MISSES, WEIGHTS, order

MASK = box_mask(30, 30, 40, 36)
SCENE = scene(painted((90, 90, 90)), MASK)
RESULTS = [result(colour, MASK) for colour in ((200, 40, 40), (92, 92, 92), (40, 200, 40))]
ASKED = [0.9, 0.2, 0.85]
VALUES = st.floats(0.0, 1.0)


class Answers:
    """A reader that was told what it reads, one picture after the other; None: it has no prompt."""

    looks = 1

    def __init__(self, asked):
        self.asked = None if asked is None else list(asked)

    def read(self, pictures, check):
        check()
        return None if self.asked is None else [self.asked.pop(0) for _ in pictures]


def ranked(asked=ASKED, scene=SCENE, results=RESULTS):
    judge = Judge(scene, Answers(asked), KeyboardInterrupt)
    alone = [judge.read(one, np.zeros((1, 1, 3)), lambda: None) for one in results]
    found = judge.ranking()
    if all(alone) and found.places:
        assert [one.score for one in alone] == [place.score for place in found.places]
        assert [one.scores for one in alone] == [place.scores for place in found.places]
    return found


def test_every_part_is_there_and_within_its_bounds():
    found = ranked()
    assert found.note == ""
    assert sorted(place.rank for place in found.places) == [0, 1, 2]
    for place, asked in zip(found.places, ASKED, strict=True):
        assert list(place.scores) == ["asked", "seam"] and place.scores["asked"] == asked
        assert all(0.0 <= value <= 1.0 for value in place.scores.values())
        assert place.score == pytest.approx(sum(WEIGHTS[k] * v for k, v in place.scores.items()), abs=1e-3)


def test_a_variation_is_scored_alike_whatever_stands_beside_it():
    every, fewer = ranked().places, ranked(ASKED[:2], results=RESULTS[:2]).places
    assert [place.scores for place in every[:2]] == [place.scores for place in fewer]


def test_what_misses_the_prompt_is_never_first_however_clean_its_edge():
    found = ranked()
    assert found.places[1].scores["seam"] == max(place.scores["seam"] for place in found.places)
    assert [place.rank for place in found.places] == [0, 2, 1]


@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=8))
def test_a_doubtful_one_comes_after_the_closest(rows):
    asked, seam = zip(*rows, strict=True)
    places = order({"asked": asked, "seam": seam})
    closest = min(place.rank for place, value in zip(places, asked, strict=True) if value == max(asked))
    for place in places:
        if place.why == MISSES:
            assert place.rank > closest


def test_a_whole_layer_has_no_border():
    whole = box_mask(0, 0, 96, 96)
    results = [result((9, i, 9), whole) for i in (0, 200)]
    found = ranked([0.4, 0.6], scene(painted((90, 90, 90))), results)
    assert [place.scores for place in found.places] == [{"asked": 0.4}, {"asked": 0.6}]
    assert found.places[1].label == "best, closest to the prompt"


def test_without_a_prompt_the_border_alone_ranks_and_it_is_said():
    found = ranked(None)
    assert found.note.startswith("Ranked by the edge of the selection alone: there is no prompt to compare")
    assert [place.rank for place in found.places].index(0) == 1  # (92, 92, 92) on (90, 90, 90)
    assert [place.label for place in found.places] == ["", "cleanest edge", ""]
    assert all(list(place.scores) == ["seam"] for place in found.places)


def test_with_nothing_to_rank_by_nothing_is_ranked():
    found = ranked(None, scene(painted((1, 2, 3))))
    assert (
        found.places == ()
        and found.note == "Not ranked: there is no prompt to compare with, or the model reads none."
    )


@pytest.mark.parametrize(
    ("asked", "seam", "why"),
    [
        ([0.9, 0.9 - DOUBTFUL / 2], [0.5, 0.6], [CLOSEST, ""]),
        ([0.89, 0.9], [0.9, 0.5], [CLEANEST, ""]),
        ([0.9, 0.5], [0.6, 0.5], [f"{CLOSEST}, {CLEANEST}", MISSES]),
        ([0.9, 0.91, 0.6], [0.8, 0.5, 0.9], [GOOD, "", MISSES]),
        ([0.7, 0.7], [0.8, 0.8], ["", ""]),
    ],
)
def test_why_a_variation_has_its_place(asked, seam, why):
    places = order({"asked": asked, "seam": seam})
    assert [place.why for place in places] == why
    assert places[0].label == (f"best, {why[0]}" if why[0] else "")


@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=8))
def test_places_follow_the_weighted_mean(rows):
    places = order(dict(zip(WEIGHTS, zip(*rows, strict=True), strict=True)))
    by_rank = sorted(places, key=lambda place: place.rank)
    assert [place.rank for place in by_rank] == list(range(len(rows)))
    assert [place.score for place in by_rank] == sorted((place.score for place in places), reverse=True)
    assert all(0.0 <= place.score <= 1.0 for place in places)


@given(st.lists(VALUES, min_size=2, max_size=8), st.sampled_from(list(WEIGHTS)))
def test_one_part_alone_is_the_score(values, name):
    assert [place.score for place in order({name: values})] == [round(v, ranking.DIGITS) for v in values]


def test_equals_keep_their_order_and_none_is_the_best():
    places = order({"seam": [0.5, 0.9, 0.9]})
    assert [place.rank for place in places] == [2, 0, 1]
    assert not any(place.label for place in places)
