"""A result over its source as it is looked at: the same picture, whatever the size and the place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.canvas.layers import DTYPES, layer, noise, selection
from velatura.canvas.composite import chosen, composed
from velatura.canvas.geometry import Box
from velatura.canvas.paste import Pasted

GREY = np.full(3, 0.5, np.float32)
SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))
PLACES = st.tuples(st.integers(-30, 90), st.integers(-30, 70))


def opaque(rng, height, width, dtype="u8"):
    pixels = noise(rng, height, width, "RGBA", dtype)
    pixels[..., 3] = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1.0
    return pixels


@pytest.mark.parametrize("dtype", DTYPES)
def test_at_its_own_size_it_is_the_layer_and_then_the_result(dtype):
    rng = np.random.default_rng(0)
    on = layer(opaque(rng, 20, 30, dtype))
    box = Box(3, 2, 27, 18)
    plain = composed(on, None, box, (16, 24), GREY)
    assert np.array_equal(plain, on.encoding.decode(on.pixels[box.slices])[0].clip(0.0, 1.0))
    top = opaque(rng, 5, 6, dtype)
    covered = composed(on, Pasted(top, "RGBA", (10, 4, 6, 5)), box, (16, 24), GREY)
    np.testing.assert_allclose(covered[2:7, 7:13], on.encoding.decode(top)[0].clip(0.0, 1.0), atol=1e-6)
    covered[2:7, 7:13] = plain[2:7, 7:13]
    assert np.array_equal(covered, plain)


@given(st.integers(0, 2**32 - 1), SIZES, PLACES, PLACES, st.booleans())
def test_a_result_that_hides_is_as_if_it_had_been_painted_in(seed, size, place, origin, large):
    rng = np.random.default_rng(seed)
    height, width = (150, 200) if large else (40, 56)
    pixels, top = opaque(rng, height, width), opaque(rng, 50, 40)
    painted = np.full((height + 200, width + 200, 4), 0, np.uint8)
    painted[100:-100, 100:-100] = pixels
    painted[100 + place[1] : 150 + place[1], 100 + place[0] : 140 + place[0]] = top
    box = Box(1, 2, width - 3, height - 1)
    result = Pasted(top, "RGBA", (place[0] + origin[0], place[1] + origin[1], 40, 50))
    found = composed(layer(pixels, origin=origin), result, box, size, GREY)
    expected = composed(layer(painted[100:-100, 100:-100]), None, box, size, GREY)
    assert found.shape == (*size, 3)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(st.integers(0, 2**32 - 1), SIZES, PLACES, st.booleans())
def test_what_is_selected_lies_where_the_result_does(seed, size, place, large):
    height, width = (150, 200) if large else (40, 56)
    black = np.zeros((height, width, 4), np.uint8)
    black[..., 3] = 255
    values = np.random.default_rng(seed).integers(0, 256, (50, 40), np.uint8)
    values[10:20] = 255
    on, box = layer(black), Box(0, 1, width - 2, height)
    if not (-40 < place[0] < width and -20 < place[1] < height - 11):
        return
    white = np.full((50, 40, 4), 255, np.uint8)
    white[..., 3] = values
    shown = composed(on, Pasted(white, "RGBA", (*place, 40, 50)), box, size, GREY)
    np.testing.assert_allclose(chosen(selection(values, on, place), box, size), shown[..., 0], atol=1e-6)


def test_a_part_that_is_larger_than_its_picture_is_averaged():
    pixels = np.full((240, 320, 4), 255, np.uint8)
    pixels[..., :3] = 255 * np.random.default_rng(0).integers(0, 2, (240, 320, 1))
    found = composed(layer(pixels), None, Box(0, 0, 320, 240), (24, 32), GREY)
    assert found.mean() == pytest.approx(0.5, abs=0.05) and found.std() < 0.3  # single pixels: 0.5


def test_beneath_transparent_pixels_lies_the_backdrop():
    pixels = np.zeros((12, 12, 4), np.uint8)
    np.testing.assert_allclose(composed(layer(pixels), None, Box(0, 0, 12, 12), (5, 5), GREY), 0.5, atol=1e-6)
