"""The source's detail: back where nothing changed, gone where something did, and no edge between."""

import numpy as np

from tests.canvas.layers import layer, selection
from velatura.canvas.detail import restored, unchanged
from velatura.canvas.geometry import Box, Region, plan
from velatura.canvas.paste import Finer, paste
from velatura.canvas.region import see

RNG = np.random.default_rng(0)
SOURCE = RNG.random((48, 48, 3), np.float32)
BLURRED = np.full_like(SOURCE, 0.45)  # what a very poor autoencoder makes of it


def test_where_the_edit_is_the_reconstruction_the_source_comes_back_bitwise():
    w = unchanged(BLURRED, BLURRED, 2)
    assert (w == 1.0).all()
    assert np.array_equal(restored(BLURRED, BLURRED, w[..., None], SOURCE), SOURCE)


def test_where_the_edit_is_new_it_stands_alone_and_keeps_its_rim_clean():
    edited = BLURRED.copy()
    edited[10:20, 10:20] = [1.0, 0.0, 0.0]
    w = unchanged(edited, BLURRED, 2)
    result = restored(edited, BLURRED, w[..., None], SOURCE)
    np.testing.assert_allclose(result[10:20, 10:20], edited[10:20, 10:20], atol=1e-6)
    assert np.array_equal(result[25:], SOURCE[25:])
    assert w[9, 15] < 0.01 and w[5, 15] == 1.0


def test_a_small_drift_of_colour_keeps_most_of_the_detail():
    edited = BLURRED + np.float32(0.01)
    w = unchanged(edited, BLURRED, 2)
    assert (w > 0.95).all()
    result = restored(edited, BLURRED, w[..., None], SOURCE)
    np.testing.assert_allclose(result, SOURCE + 0.01, atol=0.03)


def test_an_enlarged_edit_leaves_fine_detail_beside_it():
    """A layer of six times the model's size: what is not edited comes back in full, to the byte."""
    source = RNG.integers(0, 256, (384, 384, 3), np.uint8)
    on = layer(source, "RGB")
    chosen = selection(np.full((200, 200), 255, np.uint8), on, (90, 90))
    region = plan(chosen.bounds, (384, 384), 64, 16, 1.0)
    assert region.crop == Box(0, 0, 384, 384)
    seen = see(on, chosen, region)
    edited = seen.image.copy()
    edited[30:34, 30:34] = [0.0, 1.0, 0.0]  # 24 x 24 pixels of the layer, from 180
    result = paste(on, chosen, region, seen, edited, seen.image, 2).pixels[..., :3]
    original = source[90:290, 90:290]
    assert np.array_equal(result[:50], original[:50])
    assert np.array_equal(result[:, 150:], original[:, 150:])
    assert (result[98:106, 98:106] == [0, 255, 0]).all()

    finer = Finer(
        np.zeros((100, 100, 3), np.float32), Region(Box(90, 90, 290, 290), (100, 100), (100, 100), (0, 0))
    )
    detailed = paste(on, chosen, region, seen, edited, seen.image, 2, finer=finer).pixels[..., :3]
    assert np.array_equal(detailed[:50], original[:50])
    assert np.array_equal(detailed[:, 150:], original[:, 150:])
    assert (detailed[98:106, 98:106] == 0).all()
