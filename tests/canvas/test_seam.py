"""The seam: taken out where an autoencoder's error makes it, left where the edit itself crosses the edge."""

import numpy as np
import pytest

from velatura.canvas.seam import matched

MASK = np.zeros((64, 64), np.float32)
MASK[:, 32:] = 1.0
SEEN = np.full((64, 64, 3), 0.5, np.float32)


def step(picture):
    """The jump across the edge once the edit is laid over the source, by channel."""
    return picture[:, 32].mean(axis=0) - SEEN[:, 31].mean(axis=0)


def test_an_edit_that_changes_nothing_is_returned_as_it_is():
    seen = np.random.default_rng(0).random((64, 64, 3), np.float32)
    assert np.array_equal(matched(seen, seen, MASK, 4.0), seen)


def test_a_shift_of_colour_vanishes_at_the_edge_and_stays_within():
    edited = SEEN + np.array([0.05, -0.03, 0.0], np.float32)
    result = matched(SEEN, edited, MASK, 4.0)
    np.testing.assert_allclose(step(edited), [0.05, -0.03, 0.0], atol=1e-6)
    np.testing.assert_allclose(step(result), 0.0, atol=0.007)
    np.testing.assert_array_equal(result[:, 50:], edited[:, 50:])
    assert (np.diff(result[32, 32:, 0]) >= -1e-6).all()  # rises evenly, without a halo


def test_content_that_crosses_the_edge_is_not_faded():
    edited = SEEN.copy()
    edited[20:40, 28:] = [0.9, 0.1, 0.1]  # spills four pixels over the edge
    result = matched(SEEN, edited, MASK, 4.0)
    np.testing.assert_allclose(result[24:36, 32:], edited[24:36, 32:], atol=0.02)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_an_edge_there_is_nothing_to_match(value):
    edited = np.random.default_rng(1).random((64, 64, 3), np.float32)
    mask = np.full((64, 64), value, np.float32)
    np.testing.assert_array_equal(matched(SEEN, edited, mask, 4.0), edited)


def test_a_soft_mask_is_corrected_as_softly():
    mask = np.full((64, 64), 0.5, np.float32)
    edited = SEEN + np.float32(0.04)
    np.testing.assert_allclose(matched(SEEN, edited, mask, 4.0), SEEN + 0.02, atol=1e-3)
