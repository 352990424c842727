"""A soft threshold: half where the value is the threshold, as wide as asked for, for both libraries."""

import numpy as np
import pytest
import torch

from velatura.pixels.threshold import soft_threshold

VALUES = [0.0, 0.3, 0.4, 0.5, 1.0]


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_the_edge_lies_about_the_threshold(make):
    mask = soft_threshold(make(VALUES), 0.4, 0.2)
    np.testing.assert_allclose(np.asarray(mask), [0.0, 0.0, 0.5, 1.0, 1.0], atol=1e-6)
    sharp = soft_threshold(make(VALUES), 0.4, 0.0)
    np.testing.assert_allclose(np.asarray(sharp), [0.0, 0.0, 0.5, 1.0, 1.0], atol=1e-6)
    wide = soft_threshold(make(VALUES), 0.5, 1.0)
    np.testing.assert_allclose(np.asarray(wide), VALUES, atol=1e-6)
