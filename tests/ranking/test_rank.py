"""The order of variations: by what, and what is said where something lacks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.ranking.conftest import box_mask, painted, result, scene
from velatura.ranking import rank as ranking
from velatura.ranking.rank import WEIGHTS, gain, order, rank
from velatura_protocol.errors import VelaturaError

MASK = box_mask(30, 30, 40, 36)
SCENE = scene(painted((90, 90, 90)), MASK)
RESULTS = [result(colour, MASK) for colour in ((200, 40, 40), (92, 92, 92), (40, 200, 40))]
VALUES = st.floats(0.0, 1.0)


def ranked(clip, prompt="a hat", scene=SCENE, results=RESULTS):
    return rank(scene, results, prompt, lambda: clip, lambda: None)


def test_every_part_is_there_and_within_its_bounds(clip):
    found = ranked(clip)
    assert found.note == ""
    assert sorted(place.rank for place in found.places) == [0, 1, 2]
    for place in found.places:
        assert list(place.scores) == ["prompt", "whole", "likeness", "seam"]
        assert all(0.0 <= value <= 1.0 for value in place.scores.values())
        assert place.score == pytest.approx(sum(WEIGHTS[k] * v for k, v in place.scores.items()), abs=1e-3)


def test_the_best_alone_is_called_so(clip):
    places = ranked(clip).places
    assert [place.label for place in places if place.rank == 0] == ["best"]
    assert {place.label for place in places if place.rank} == {""}


def test_a_variation_is_scored_alike_whatever_stands_beside_it(clip):
    every, fewer = ranked(clip).places, ranked(clip, results=RESULTS[:2]).places
    assert [place.scores for place in every[:2]] == [place.scores for place in fewer]


def test_the_prompt_part_orders_as_the_cosine_does(clip):
    ground = clip.processing.mean
    text = clip.text("a hat")
    side = clip.processing.side
    cosines = [float(clip.images(SCENE.selected(r, side, ground)[None])[0] @ text) for r in RESULTS]
    parts = [place.scores["prompt"] for place in ranked(clip).places]
    assert sorted(range(3), key=cosines.__getitem__) == sorted(range(3), key=parts.__getitem__)


def test_what_was_not_changed_gains_nothing_and_is_like_the_source(clip):
    (first, _) = ranked(clip, results=[result((90, 90, 90), MASK), RESULTS[0]]).places
    assert first.scores == pytest.approx(
        {"prompt": 0.5, "whole": 0.5, "likeness": 1.0, "seam": 1.0}, abs=1e-4
    )


def test_a_whole_layer_has_no_border_and_no_part_of_its_own(clip):
    whole = box_mask(0, 0, 96, 96)
    found = ranked(
        clip, scene=scene(painted((90, 90, 90))), results=[result((9, i, 9), whole) for i in (0, 200)]
    )
    assert list(found.places[0].scores) == ["whole", "likeness"]


@pytest.mark.parametrize(
    ("encoder", "prompt", "why"),
    [
        (lambda clip: None, "a hat", "no CLIP is named for this model"),
        (lambda clip: clip, "", "there is no prompt"),
        (lambda clip: clip, "letter" * 30, "longer than this model's CLIP reads"),
    ],
)
def test_without_clip_the_border_alone_ranks_and_it_is_said(clip, encoder, prompt, why):
    found = rank(SCENE, RESULTS, prompt, lambda: encoder(clip), lambda: None)
    assert found.note.startswith("Ranked by the edge of the selection alone: ") and why in found.note
    assert [place.rank for place in found.places].index(0) == 1  # (92, 92, 92) on (90, 90, 90)
    assert found.places[1].label == "cleanest edge"
    assert all(list(place.scores) == ["seam"] for place in found.places)


def test_a_clip_that_cannot_be_read_is_named():
    def broken():
        raise VelaturaError("unknown-model", "The CLIP at /x cannot be read; fetch it again.")

    note = rank(SCENE, RESULTS, "a hat", broken, lambda: None).note
    assert note == "Ranked by the edge of the selection alone: the CLIP at /x cannot be read; fetch it again."


def test_with_nothing_to_rank_by_nothing_is_ranked():
    found = ranked(None, scene=scene(painted((1, 2, 3))), results=RESULTS)
    assert found.places == () and found.note.startswith("Not ranked: no CLIP")


def test_it_can_be_stopped_at_every_picture(clip):
    class StopError(Exception):
        pass

    def stopping_after(count):
        left = iter(range(count))

        def check():
            if next(left, None) is None:
                raise StopError

        return check

    looks = []
    rank(SCENE, RESULTS, "a hat", lambda: clip, lambda: looks.append(1))
    assert len(looks) == 1 + 2 * (1 + len(RESULTS)) + len(RESULTS)
    for count in range(len(looks)):
        with pytest.raises(StopError):
            rank(SCENE, RESULTS, "a hat", lambda: clip, stopping_after(count))


@given(st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), min_size=2, max_size=8))
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


def test_gain_is_clips_own_odds_tempered():
    u, v = torch.eye(4)[:2]
    found = gain(torch.stack([u, v]), v, u, scale=8.0)
    assert found.tolist() == pytest.approx([torch.tensor(8.0 / ranking.TEMPERATURE).sigmoid().item(), 0.5])
