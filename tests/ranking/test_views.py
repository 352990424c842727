"""What is looked at: where, at what size, with what round it."""

import numpy as np
import pytest
import torch

from tests.ranking.conftest import SIDE, box_mask, painted, result, scene

RED, BLUE = (200, 0, 0), (0, 0, 200)
GREY = torch.full((3, 1, 1), 0.5)
MASK = box_mask(24, 30, 20, 10)


def colours(picture):
    return torch.round(picture * 255).to(torch.uint8).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("origin", [(0, 0), (-7, 12)])
def test_the_selected_part_alone_on_a_plain_ground(origin):
    seen = colours(scene(painted(BLUE), MASK, origin=origin).selected(result(RED, MASK, origin), 64, GREY))
    assert seen.shape == (64, 64, 3)
    assert (seen[32, 32] == RED).all()
    assert (seen[2, 32] == 128).all() and (seen[32, 0] == 128).all()
    red = (np.abs(seen.astype(int) - RED) < 64).all(axis=2)  # 20 and 10 of 22 pixels, on 64
    assert [red.any(axis=k).sum() for k in (0, 1)] == pytest.approx([58, 29], abs=4)
    assert not (seen == BLUE).all(axis=2).any()


def test_the_source_is_seen_in_the_same_place():
    seen = colours(scene(painted(BLUE), MASK).selected(None, 64, GREY))
    assert (seen[32, 32] == BLUE).all() and (seen[2, 32] == 128).all()


def test_the_whole_holds_the_surroundings():
    seen = colours(scene(painted(BLUE), MASK).whole(result(RED, MASK), 60, GREY))
    assert (seen[0, 0] == BLUE).all()
    share = (seen == RED).all(axis=2).mean()
    assert share == pytest.approx(20 * 10 / 60**2, rel=0.2)


def test_the_whole_is_at_least_what_a_model_is_shown():
    seen = colours(scene(painted(BLUE), MASK, model_side=SIDE).whole(result(RED, MASK), SIDE, GREY))
    expected = painted(BLUE)[..., :3].copy()
    expected[30:40, 24:44] = RED
    assert np.array_equal(seen, expected)


def test_a_layer_that_is_no_square_is_whole_in_the_middle():
    pixels = np.concatenate([painted(BLUE), painted(BLUE)], axis=1)
    mask = np.full(pixels.shape[:2], 255, np.uint8)
    seen = colours(scene(pixels, mask).whole(None, 64, GREY))
    assert (seen[:15] == 128).all() and (seen[49:] == 128).all() and (seen[17:47] == BLUE).all()


def test_a_soft_result_is_blended_over_the_source():
    pasted = result(RED, MASK)
    pasted.pixels[..., 3] = 51
    seen = colours(scene(painted(BLUE), MASK).whole(pasted, 60, GREY))
    assert (seen[30, 30] == (40, 0, 160)).all()


def test_transparent_parts_show_the_backdrop():
    pixels = painted(BLUE)
    pixels[:, :, 3] = 0
    np.testing.assert_allclose(scene(pixels, MASK).whole(None, 32, GREY), 0.5, atol=1e-5)


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
