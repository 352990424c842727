"""What is looked at: where, at what size, with what round it."""

import numpy as np
import pytest

from tests.ranking.conftest import box_mask, painted, result, scene

RED, BLUE = (200, 0, 0), (0, 0, 200)
MASK = box_mask(24, 30, 20, 10)


def colours(picture):
    return np.rint(picture * 255).astype(np.uint8)


@pytest.mark.parametrize("origin", [(0, 0), (-7, 12)])
def test_the_selection_is_seen_with_what_lies_round_it(origin):
    on = scene(painted(BLUE), MASK, origin=origin)
    seen = colours(on.border(result(RED, MASK, origin)))
    assert (seen[20, 25] == RED).all() and (seen[2, 25] == BLUE).all()
    assert (colours(on.border(None)) == BLUE).all()


def test_a_soft_result_is_blended_over_the_source():
    pasted = result(RED, MASK)
    pasted.pixels[..., 3] = 51
    assert (colours(scene(painted(BLUE), MASK).border(pasted))[20, 25] == (40, 0, 160)).all()


def test_transparent_parts_show_the_backdrop():
    pixels = painted(BLUE)
    pixels[:, :, 3] = 0
    np.testing.assert_allclose(scene(pixels, MASK).border(None), 0.5, atol=1e-5)


def test_border_and_mask_agree():
    found = scene(painted(BLUE), MASK)
    before, after, mask = found.border(None), found.border(result(RED, MASK)), found.border_mask()
    changed = np.abs(after - before).max(axis=2) > 0
    assert before.shape[:2] == mask.shape == (10 + 32, 20 + 32)
    assert np.array_equal(changed, mask > 0.5)


def test_a_large_border_is_reduced(monkeypatch):
    monkeypatch.setattr("velatura.ranking.views.SEAM_SIDE", 40)
    found = scene(painted(BLUE), box_mask(8, 8, 80, 40))
    assert found.border(None).shape[:2] == found.border_mask().shape == (28, 40)
