"""The order in which hosts lay a result's layers."""

import itertools

import pytest

from velatura_protocol.results import best_first


@pytest.mark.parametrize("ranks", list(itertools.permutations(range(3))))
def test_the_best_comes_first(ranks):
    layers = [{"index": i, "rank": rank} for i, rank in enumerate(ranks)]
    assert [layer["rank"] for layer in best_first(layers)] == [0, 1, 2]
    assert [layer["index"] for layer in layers] == [0, 1, 2]


@pytest.mark.parametrize(
    "ranks",
    [
        [None, None],  # an older daemon
        [1, None],
        [0, 0],
        [1, 2],
        [1.0, 0.0],
        [True, False],
        ["1", "0"],
    ],
)
def test_what_is_not_ranked_as_specified_keeps_its_order(ranks):
    layers = [{"index": i} | ({} if rank is None else {"rank": rank}) for i, rank in enumerate(ranks)]
    assert best_first(layers) == layers


def test_nothing():
    assert best_first([]) == []


def test_masks_keep_the_methods_order():
    masks = [{"index": i, "kind": "mask", "title": title} for i, title in enumerate(("cat", "a"))]
    assert best_first(masks) == masks
