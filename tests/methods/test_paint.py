"""Painting from words alone."""

import numpy as np

from tests.methods.requests import Edit, box, picture, pixels
from velatura.methods.registry import describe, registry


def test_the_layer_may_be_empty_and_nothing_of_it_is_read(models):
    empty, full = np.zeros((80, 100, 4), np.uint8), picture(80, 100)
    (a,) = Edit(empty, method="paint").run(models)
    (b,) = Edit(full, method="paint").run(models)
    assert a.raster["rect"] == [0, 0, 100, 80] and a.data == b.data
    assert (pixels(a)[..., 3] == 255).all()
    assert pixels(a)[..., :3].std() > 1.0


def test_a_selection_is_filled_and_a_seed_does_not_depend_on_its_batch(models):
    mask = box(80, 100, (10, 70), (20, 40), 120)
    layer = np.zeros((80, 100, 4), np.uint8)
    first, second = Edit(layer, mask, method="paint", variations=2).run(models)
    assert first.raster["rect"] == [20, 10, 20, 60] and (pixels(first)[..., 3] == 120).all()
    (alone,) = Edit(layer, mask, method="paint", seed=8).run(models)
    assert alone.data == second.data != first.data


def test_hosts_are_told_that_it_looks_at_nothing_of_the_layer():
    told = {id: describe(method)["from_nothing"] for id, method in registry().items()}
    assert [id for id, from_nothing in told.items() if from_nothing] == ["paint"]
