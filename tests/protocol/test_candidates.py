"""Reading candidates, and their order."""

from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.candidates import best_first, of

from .picked import JOB, candidate, layer

THUMBNAIL = {
    "digest": "blake2b:" + "a" * 64,
    "size": 2901,
    "format": "jpeg",
    "width": 96,
    "height": 64,
    "rect": [0, 0, 9, 6],
}
SCORES = st.lists(st.none() | st.floats(0.0, 1.0), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_they_come_by_event_and_in_the_state_of_a_job():
    event = {"type": "candidate", "job": JOB, "of": 2, "layer": layer(1, 0.5) | {"thumbnail": THUMBNAIL}}
    (one,) = of(event)
    assert (one.job, one.index, one.seed, one.score, one.rank) == (JOB, 1, 41, 0.5, None)
    assert one.thumbnail is not None and one.thumbnail.rect == (0, 0, 9, 6)
    assert one.recipe["prompt"] == "a hat" and one.raster.rect == (3, 4, 2, 2)
    running = {"type": "job", "job": JOB, "state": "started", "candidates": [layer(1), layer(0)]}
    done = {
        "type": "job",
        "job": JOB,
        "state": "done",
        "result": {"layers": [layer(0, 0.2, 1), layer(1, 0.5, 0)]},
    }
    assert [one.index for one in of(running)] == [1, 0]
    assert [(one.index, one.rank) for one in of(done)] == [(0, 1), (1, 0)]


def test_what_cannot_be_shown_is_left_out():
    masks = {"type": "job", "job": JOB, "result": {"layers": [layer(0) | {"kind": "mask"}]}}
    assert of(masks) == []
    damaged = [layer(0) | {"raster": {}}, layer(1) | {"index": -1}, layer(2) | {"index": True}, None]
    assert of({"type": "job", "job": JOB, "candidates": [*damaged, layer(3)]}) == [candidate(3)]
    for change in ({"size": 70_000}, {"width": 0}, {"format": "png"}, {"digest": "no"}, {"rect": [1]}):
        event = {"type": "candidate", "job": JOB, "layer": layer(0) | {"thumbnail": THUMBNAIL | change}}
        assert of(event)[0].thumbnail is None


@given(JSON, st.sampled_from(["thumbnail", "raster", "recipe", "score", "index", "rank", "kind", "title"]))
def test_no_value_breaks_the_reading(value, key):
    assert len(of({"type": "candidate", "job": JOB, "layer": layer(0) | {key: value}})) <= 1
    of({"type": "job", "job": JOB, "candidates": value, "result": value})


@given(SCORES, st.data())
def test_a_later_candidate_does_not_change_the_order_of_the_earlier(scores, data):
    all_ = [candidate(i, score) for i, score in enumerate(scores)]
    arrived = data.draw(st.permutations(all_))
    before = []
    for number in range(len(arrived) + 1):
        now = best_first(arrived[:number])
        assert [one for one in now if one in before] == before
        before = now
    assert before == best_first(all_)
    shown = [one.score for one in before if one.score is not None]
    assert shown == sorted(shown, reverse=True) and all(one.score is None for one in before[len(shown) :])


def test_the_final_ranks_count_once_all_are_there():
    ranked = [candidate(0, 0.9, 1), candidate(1, 0.1, 0)]
    assert [one.index for one in best_first(ranked)] == [1, 0]
    assert [one.index for one in best_first([*ranked, candidate(2, 0.95)])] == [2, 0, 1]
