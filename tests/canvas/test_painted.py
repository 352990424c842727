"""Paint with its own alpha: over the layer it gives the picture that was meant, and its colour is its own."""

import numpy as np
import pytest

from tests.canvas.layers import layer, selection
from velatura.canvas.geometry import Box, Region
from velatura.canvas.paste import paste
from velatura.canvas.region import see

SIDE = 24
NATIVE = Region(Box(0, 0, SIDE, SIDE), (SIDE, SIDE), (SIDE, SIDE), (0, 0))


def pasted(on, mask, region, paint):
    selected = selection(mask, on)
    return paste(on, selected, region, see(on, selected, region), paint, None, 1)


def painted(seed=0):
    return np.random.default_rng(seed).random((SIDE, SIDE, 4)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["u8", "u16", "f32"])
def test_alpha_is_the_selection_times_the_paints_own_and_colour_is_not_darkened(dtype):
    top = {"u8": 255, "u16": 65535, "f32": 1.0}[dtype]
    numpy_dtype = {"u8": np.uint8, "u16": np.uint16, "f32": np.float32}[dtype]
    source = np.full((SIDE, SIDE, 3), top // 2 if top > 1 else 0.5, numpy_dtype)
    mask = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE), np.uint8)
    on, paint = layer(source, "RGB"), painted()
    result = pasted(on, mask, NATIVE, paint)
    assert result.channels == "RGBA" and result.rect == (0, 0, SIDE, SIDE)
    values = result.pixels.astype(np.float64) / top
    alpha = paint[..., 3] * mask / 255.0
    assert np.abs(values[..., 3] - alpha).max() < 1.0 / (top if top > 1 else 1e5)
    visible = values[..., 3] > 0
    assert np.abs(values[..., :3] - paint[..., :3])[visible].max() < (1.0 / top if top > 1 else 1e-4)
    assert (values[~visible] == 0).all()


def test_where_there_is_no_paint_nothing_is_laid_over_and_full_paint_is_the_selection():
    source = np.zeros((SIDE, SIDE, 4), np.uint8)
    source[..., 3] = 255
    on, paint = layer(source), painted()
    paint[..., 3] = 0.0
    paint[:, 12:, 3] = 1.0
    mask = np.full((SIDE, SIDE), 77, np.uint8)
    pixels = pasted(on, mask, NATIVE, paint).pixels
    assert (pixels[:, :12] == 0).all()
    assert (pixels[:, 12:, 3] == 77).all()


def test_the_colour_of_invisible_paint_does_not_bleed_when_it_is_resized():
    on = layer(np.zeros((48, 48, 3), np.uint8), "RGB")
    paint = np.zeros((SIDE, SIDE, 4), np.float32)
    paint[..., 1] = 1.0  # green that is not seen
    paint[:, 12:] = (1.0, 0.0, 0.0, 1.0)
    region = Region(Box(0, 0, 48, 48), (SIDE, SIDE), (SIDE, SIDE), (0, 0))
    mask = np.full((48, 48), 255, np.uint8)
    pixels = pasted(on, mask, region, paint).pixels
    visible = pixels[..., 3] > 2
    assert pixels[visible][:, 1].max() <= 1 and pixels[visible][:, 0].min() >= 250
