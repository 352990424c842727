"""The change of a picture, recognised from a sketch of its layer."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from PIL import Image

from tests.krita.turns import finish
from velatura_protocol.placement import Placement, Sketch, recognise, sketch

CANVAS = (90, 70)


def layer(kind: str = "u8", seed: int = 1) -> np.ndarray:
    """A picture with detail, [70, 90, 4]."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (8, 10, 4), np.uint8)
    large = np.asarray(Image.fromarray(small, "RGBA").resize(CANVAS, Image.Resampling.BICUBIC))
    values = (large.astype(np.float32) + rng.uniform(0, 3, large.shape)).clip(0, 255)
    return values.astype(np.uint8) if kind == "u8" else (values / 255).astype(np.float32)


def bounds_of(pixels: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(pixels.any(axis=-1))
    if not len(rows):
        return 0, 0, 0, 0
    left, top = int(columns.min()), int(rows.min())
    return left, top, int(columns.max()) - left + 1, int(rows.max()) - top + 1


def reader(pixels: np.ndarray):
    def read(x: int, y: int, width: int, height: int) -> bytes:
        padded = np.pad(pixels, ((200, 200), (200, 200), (0, 0)))
        return padded[y + 200 : y + 200 + height, x + 200 : x + 200 + width].tobytes()

    return read


def sketched(pixels: np.ndarray) -> Sketch:
    sample, rect = pixels.itemsize, bounds_of(pixels)
    canvas = pixels.shape[1], pixels.shape[0]
    made = sketch(canvas, rect, 4 * sample, sample, rect, reader(pixels))
    found = Sketch.from_json(json.loads(json.dumps(made.to_json())))
    assert found is not None and len(json.dumps(made.to_json())) < 20_000
    return found


def change(before: np.ndarray, after: np.ndarray) -> Placement | None:
    size = after.shape[1], after.shape[0]
    return finish(recognise(sketched(before), after.itemsize, size, bounds_of(after), reader(after)))


@pytest.mark.parametrize("kind", ["u8", "f32"])
@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_turned_and_mirrored_pictures(kind, turns, is_mirrored):
    before = layer(kind)
    after = np.rot90(before[:, ::-1] if is_mirrored else before, -turns)
    found = change(before, after)
    assert found == Placement(CANVAS, is_mirrored, turns)
    x, y, width, height = rect = (11, 23, 30, 17)
    part = np.ascontiguousarray(before[y : y + height, x : x + width])
    left, top, across, down = found.rect(rect)
    expected = np.ascontiguousarray(after[top : top + down, left : left + across]).tobytes()
    assert found.oriented(part.tobytes(), width, height, 4 * before.itemsize) == expected


@pytest.mark.parametrize("seed", range(8))
def test_a_crop_of_a_full_layer_anywhere(seed):
    rng, before = random.Random(seed), layer(seed=seed)
    x, y = rng.randint(0, 40), rng.randint(0, 30)
    width, height = rng.randint(45, 90 - x), rng.randint(35, 70 - y)
    assert change(before, before[y : y + height, x : x + width]) == Placement(CANVAS, shift=(-x, -y))


def test_a_canvas_that_grew_and_a_layer_that_was_moved():
    before = layer()
    before[:20] = 0
    assert change(before, np.pad(before, ((5, 3), (7, 0), (0, 0)))) == Placement(CANVAS, shift=(7, 5))
    assert change(before, np.roll(before, (-9, 0), (0, 1))) == Placement(CANVAS, shift=(0, -9))


@pytest.mark.parametrize("size", [(45, 35), (180, 140), (60, 70)])
def test_a_scaled_picture(size):
    before = layer()
    after = np.asarray(Image.fromarray(before, "RGBA").resize(size, Image.Resampling.BICUBIC))
    found = change(before, after)
    assert found is not None and found.scale == (size[0] / 90, size[1] / 70)
    assert found.rect((0, 0, *CANVAS)) == (0, 0, *size)


def test_what_is_painted_on_a_layer_does_not_move_it():
    before = layer()
    after = before.copy()
    after[10:40, 10:50] = (9, 9, 9, 255)
    assert change(before, after) == Placement(CANVAS)
    assert change(before, layer(seed=5)) == Placement(CANVAS)  # painted over altogether
    flat = np.full((70, 90, 4), 7, np.uint8)
    assert change(flat, flat) == Placement(CANVAS)


def test_a_change_that_cannot_be_told_is_not_guessed():
    before = layer()
    assert change(before, layer(seed=5)[:50, :60]) is None
    flat = np.full((70, 90, 4), 7, np.uint8)
    assert change(flat, flat[:35, :45]) is None  # cropped or scaled
    turned = Image.fromarray(before, "RGBA").rotate(33, expand=True)
    assert change(before, np.asarray(turned)) is None


@pytest.mark.parametrize(
    "value", [None, 3, {}, {"canvas": [1, 2], "bounds": [0, 0, 1, 1], "size": 4, "patches": [[0, 0, "zz"]]}]
)
def test_what_is_no_sketch(value):
    assert Sketch.from_json(value) is None
