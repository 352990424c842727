"""Which part of a scene a picture of the training set shows."""

from __future__ import annotations

import numpy as np
import pytest

from velatura_lab.training.data import KIND_NAMES, world_digest
from velatura_lab.training.views import MAP, NEAREST, SELECTED, sample_view, selected_view
from velatura_lab.world import elements, render, sample_scene


def masks_with(box: tuple[int, int, int, int], side: int = 40) -> np.ndarray:
    """Two elements: a box of rows and columns, and what is round it."""
    masks = np.zeros((2, side, side), np.float32)
    top, bottom, left, right = box
    masks[1, top:bottom, left:right] = 1.0
    masks[0] = 1.0 - masks[1]
    return masks


def test_an_element_is_framed_with_what_is_round_it():
    for seed in range(10):
        view = selected_view(np.random.default_rng(seed), masks_with((8, 14, 20, 26)))
        assert 0.15 * (1.0 + 2.0 * 0.2) - 1e-6 < 1.0 / view.zoom < 0.15 * (1.0 + 2.0 * 0.8) + 1e-6 or (
            view.zoom == NEAREST
        )
        assert (view.x, view.y) == pytest.approx((0.15, -0.45))


def test_a_view_does_not_leave_the_scene():
    for seed in range(10):
        view = selected_view(np.random.default_rng(seed), masks_with((0, 6, 34, 40)))
        reach = 1.0 - 1.0 / view.zoom
        assert (view.x, view.y) == pytest.approx((reach, -reach))


@pytest.mark.parametrize("box", [(0, 1, 0, 1), (0, 40, 0, 30)], ids=["a speck", "most of the picture"])
def test_where_nothing_is_to_be_framed_the_whole_is_shown(box):
    view = selected_view(np.random.default_rng(0), masks_with(box))
    assert (view.x, view.y, view.zoom) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_what_is_framed_is_larger_in_the_picture(kind):
    """The view's coordinates are the renderer's: something of the scene grows, and stays whole."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scene = sample_scene(rng, kind)
        before = render(scene, MAP)
        view = selected_view(rng, before.masks)
        if view.zoom < 1.3:
            continue
        after = render(scene, MAP, view)
        grown = [after.mask(name).mean() / max(before.mask(name).mean(), 1e-6) for name in elements(kind)]
        assert max(grown) == pytest.approx(view.zoom**2, rel=0.2)
        return
    raise AssertionError("no view comes near")


def test_some_views_frame_an_element_and_most_show_the_whole():
    rng = np.random.default_rng(1)
    zooms = np.array([sample_view(rng, sample_scene(rng)).zoom for _ in range(300)])
    assert 0.04 < np.mean(zooms > 1.8) < SELECTED  # nearer than any view that only comes nearer
    assert np.mean(zooms < 1.07) > 0.5


def test_what_is_kept_is_kept_by_the_code_of_views_too(monkeypatch, tmp_path):
    from velatura_lab.training import data

    before = world_digest()
    other = tmp_path / "views.py"
    other.write_text("# another\n")
    monkeypatch.setattr(data.views, "__file__", str(other))
    world_digest.cache_clear()
    try:
        assert world_digest() != before
    finally:
        monkeypatch.undo()
        world_digest.cache_clear()
