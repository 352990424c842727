"""The region of an edit, over all sizes; resizing against Pillow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from velatura.canvas.geometry import Box, plan
from velatura.canvas.resample import Resized, resize

sides = st.integers(1, 16384)


@st.composite
def places(draw):
    """(layer's height and width, bounds within it)."""
    height, width = draw(sides), draw(sides)
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return (height, width), Box(x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height)))


@given(places(), st.sampled_from([64, 128, 512, 768]), st.sampled_from([16, 32, 64]), st.floats(0, 4))
def test_a_region_holds_the_selection_and_fits_layer_and_model(place, side, multiple, context):
    (height, width), bounds = place
    crop, inner, outer, offset = plan(bounds, (height, width), side, multiple, context)
    assert crop.intersection(bounds) == bounds
    assert crop.intersection(Box(0, 0, width, height)) == crop
    assert all(o % multiple == 0 and 0 < i <= o for i, o in zip(inner, outer, strict=True))
    assert all(start >= 0 and start + i <= o for start, i, o in zip(offset, inner, outer, strict=True))
    assert outer[0] * outer[1] <= (side + multiple) ** 2
    scales = crop.height / inner[0], crop.width / inner[1]
    if min(inner) > 8:  # below that, rounding to whole pixels is all there is
        assert scales[0] == pytest.approx(scales[1], rel=0.1)
    if min(height, width) >= side:
        assert min(crop.height, crop.width) >= side


def test_a_small_selection_is_shown_at_its_own_scale():
    crop, inner, outer, offset = plan(Box(1000, 1000, 1040, 1010), (4096, 4096), 512, 64, 1.0)
    assert inner == outer == (512, 512) == (crop.height, crop.width)
    assert offset == (0, 0)


def test_context_widens_the_view():
    bounds = Box(1000, 1000, 1400, 1200)
    wide = plan(bounds, (4096, 4096), 512, 64, 1.0).crop
    assert (wide.width, wide.height) == (1200, 1200)
    assert plan(bounds, (4096, 4096), 512, 64, 0.0).crop.width == 512


def test_a_crop_at_the_edge_is_moved_not_cut():
    crop = plan(Box(0, 4090, 10, 4096), (4096, 4096), 512, 64, 1.0).crop
    assert crop == Box(0, 3584, 512, 4096)


def test_a_layer_of_one_pixel():
    crop, inner, outer, _ = plan(Box(0, 0, 1, 1), (1, 1), 128, 16, 1.0)
    assert crop == Box(0, 0, 1, 1)
    assert inner == outer == (128, 128)


def test_a_whole_strip_is_shown_whole():
    crop, inner, outer, _ = plan(Box(0, 0, 16384, 100), (100, 16384), 512, 64, 1.0)
    assert crop == Box(0, 0, 16384, 100)
    assert outer[1] / outer[0] == pytest.approx(2.0, rel=0.2)
    assert inner[1] == outer[1] and inner[0] < outer[0]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 60), st.integers(1, 60))
def test_resizing_is_pillows_bicubic(height, width, new_height, new_width):
    picture = np.random.default_rng(height * width).random((height, width, 1), np.float32)
    theirs = Image.fromarray(picture[..., 0]).resize((new_width, new_height), Image.Resampling.BICUBIC)
    ours = resize(picture, (new_height, new_width))[..., 0]
    np.testing.assert_allclose(ours, np.asarray(theirs), atol=2e-5)


@given(st.integers(1, 40), st.integers(1, 80), st.data())
def test_a_window_is_cut_from_the_whole(size, new_size, data):
    picture = np.random.default_rng(size).random((size, size, 3), np.float32)
    a, b = sorted(data.draw(st.lists(st.integers(0, new_size), min_size=2, max_size=2)))
    whole = resize(picture, (new_size, new_size))
    part = resize(picture, (new_size, new_size), rows=slice(a, b), columns=slice(a // 2, b))
    np.testing.assert_array_equal(part, whole[a:b, a // 2 : b])


@given(st.integers(1, 40), st.integers(2, 80), st.integers(1, 9), st.data())
def test_bands_of_rows_are_cut_from_the_whole(size, new_size, step, data):
    picture = np.random.default_rng(size).random((size, size, 2), np.float32)
    a, b = sorted(data.draw(st.lists(st.integers(0, new_size), min_size=2, max_size=2)))
    resized = Resized(picture, (new_size, new_size), columns=slice(a, b))
    bands = [resized.rows(slice(y, y + step)) for y in range(0, new_size, step)]
    np.testing.assert_array_equal(np.concatenate(bands), resize(picture, (new_size, new_size))[:, a:b])


def test_the_same_size_is_the_same_picture():
    picture = np.random.default_rng(0).random((7, 9, 3), np.float32)
    assert np.array_equal(resize(picture, (7, 9)), picture)
