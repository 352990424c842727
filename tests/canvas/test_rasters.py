"""Further rasters as a model's input: where they lie, what each kind becomes, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from velatura.canvas.colour import Encoding
from velatura.canvas.geometry import Box, plan
from velatura.canvas.rasters import given
from velatura.canvas.region import see
from velatura.canvas.selection import Layer, Selection
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster

ZERO = "blake2b:" + "0" * 64


def raster(pixels, channels, at=(0, 0), profile="sRGB"):
    dtype = {"uint8": "u8", "uint16": "u16", "float32": "f32"}[pixels.dtype.name]
    height, width = pixels.shape[:2]
    return Raster(ZERO, width, height, channels, dtype, profile, (*at, width, height)), pixels.tobytes()


def seen(kind, pixels, channels, *, at=(0, 0), origin=(0, 0), size=(64, 64)):
    """What a method would be given beside a source of this size at `origin`."""
    layer = Layer(np.zeros((*size, 4), np.uint8), Encoding("RGBA", "u8"), origin)
    region = plan(layer.box, size, 64, 8, 0.0)
    return given(kind, "The sketch", *raster(pixels, channels, at)).seen(layer, region, 64, 8)


def test_a_picture_in_the_same_place_is_seen_as_the_source_is():
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (90, 130, 4), np.uint8)
    layer = Layer(pixels, Encoding("RGBA", "u8"), (7, -5))
    region = plan(Box(20, 10, 80, 60), (90, 130), 64, 8, 0.5)
    source = see(layer, Selection(None, layer.box, layer.box), region)
    own = given("picture", "The sketch", *raster(pixels, "RGBA", (7, -5))).seen(layer, region, 64, 8)
    np.testing.assert_allclose(own[..., :3], source.image * 2.0 - 1.0, atol=1e-6)
    assert own.shape == (64, 64, 4) and own.dtype == np.float32
    assert 0.0 <= own[..., 3].min() < own[..., 3].max() <= 1.0


@pytest.mark.parametrize("kind", ["picture", "labels", "mask"])
def test_it_lies_where_it_lies_in_the_document(kind):
    """The layer begins at (10, 20), the raster is a block of 16 x 8 pixels whose corner is at (26, 36)."""
    block = np.full((8, 16, 4), 255, np.uint8)
    found = seen(kind, block, "RGBA", at=(26, 36), origin=(10, 20))
    there = {"picture": found[..., -1] > 0, "labels": found[..., 0] >= 0, "mask": found[..., 0] > 0}[kind]
    rows, columns = np.nonzero(there)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (16, 23, 16, 31)


def test_a_raster_may_reach_beyond_the_layer_on_every_side():
    block = np.full((100, 100, 1), 255, np.uint8)
    assert (seen("mask", block, "A", at=(-20, -20)) == 1.0).all()
    assert (seen("labels", np.full((100, 100, 3), 9, np.uint8), "RGB", at=(-20, -20)) == 0x090909).all()


def test_labels_are_never_mixed():
    colours = np.zeros((200, 200, 3), np.uint8)
    colours[:, 101:] = (255, 8, 16)
    found = seen("labels", colours, "RGB", size=(200, 200))
    assert found.dtype == np.int64 and found.shape == (64, 64, 1)
    assert set(np.unique(found)) == {0, 0xFF0810}
    assert (found[:, :32] == 0).all() and (found[:, 33:] == 0xFF0810).all()


def test_labels_are_the_same_at_every_depth():
    painted = {"uint8": (200, 255), "uint16": (200 * 257, 65535), "float32": (200 / 255, 1.0)}
    for dtype, (value, full) in painted.items():
        pixels = np.zeros((64, 64, 4), dtype)
        pixels[:32] = (value, value, value, full)
        found = seen("labels", pixels, "BGRA")
        assert (found[:32] == 0xC8C8C8).all() and (found[32:] == -1).all()


def test_a_mask_is_painted_on_a_layer_in_either_way():
    clear = np.zeros((64, 64, 4), np.uint8)
    clear[:32] = (200, 0, 0, 128)  # in any colour, on nothing
    assert seen("mask", clear, "RGBA")[:32] == pytest.approx(128 / 255)
    assert (seen("mask", clear, "RGBA")[32:] == 0.0).all()
    opaque = np.full((64, 64, 3), 64, np.uint8)
    assert seen("mask", opaque, "RGB") == pytest.approx(64 / 255, abs=1 / 255)


def test_a_reference_is_seen_whole_wherever_it_lies():
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, 40:] = 255
    found = seen("reference", wide, "RGB", at=(5000, 5000))
    assert found.shape[1] > found.shape[0] and found.shape[2] == 4
    assert found[..., 3].min() > 0.999 and found[..., 0].mean() == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize(
    ("kind", "channels", "code"),
    [("mask", "A", "empty-mask"), ("picture", "RGBA", "empty-layer"), ("labels", "GA", "empty-layer")],
)
def test_what_is_empty_is_refused_by_its_title(kind, channels, code):
    with pytest.raises(VelaturaError, match="The sketch") as raised:
        given(kind, "The sketch", *raster(np.zeros((8, 8, len(channels)), np.uint8), channels))
    assert raised.value.code == code
