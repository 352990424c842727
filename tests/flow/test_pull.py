"""The focus of an edit: places that are pulled little take no part."""

from __future__ import annotations

import torch

from velatura.flow.pull import FOCUS, focus


def test_places_take_part_by_their_share_of_the_strongest_pull():
    low, high = FOCUS
    pulled = torch.full((1, 1, 16, 16), 0.5 * low)
    pulled[..., 2:7, 2:7] = 1.0
    pulled[..., 10:15, 10:15] = (low + high) / 2.0
    weight = focus(pulled)[0, 0]
    assert weight[4, 4] == 1.0 and weight[4, 12] == 0.0
    assert abs(float(weight[12, 12]) - 0.5) < 1e-5  # the middle of a square, which smoothing leaves as it is
    assert focus(7.0 * pulled).allclose(focus(pulled), atol=1e-5)  # only shares count, a variation by itself
    both = focus(torch.cat([pulled, 0.1 * pulled]))
    assert both[1].allclose(both[0], atol=1e-5)


def test_where_nothing_pulls_nothing_takes_part():
    assert not focus(torch.zeros(1, 1, 8, 8)).any()
