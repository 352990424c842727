"""Precisions, and rasters taken apart into colours and a mask."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.gimp.conftest import PLUGIN

sys.path.insert(0, str(PLUGIN))

from velatura_plugin import planes
from velatura_plugin.formats import encoding, intersection

DTYPES = {"u8": "u1", "u16": "<u2", "f16": "<f2", "f32": "<f4"}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [2, 4])
def test_split_keeps_the_alpha_and_makes_the_layer_opaque_where_it_is_not_zero(dtype, channels):
    rng = np.random.default_rng(0)
    kind = np.dtype(DTYPES[dtype])
    full = 1.0 if kind.kind == "f" else np.iinfo(kind).max
    raster = (rng.random((7, 5, channels)) * full).astype(kind)
    raster[:2, :, -1] = 0
    raster[2, 0, -1] = 1 if kind.kind == "u" else np.nextafter(kind.type(0), kind.type(1))
    raster[3, 0, -1] = full
    colours, mask = planes.split(raster.tobytes(), channels, dtype)
    colours = np.frombuffer(colours, kind).reshape(raster.shape)
    mask = np.frombuffer(mask, kind).reshape(raster.shape[:2])
    assert np.array_equal(mask, raster[..., -1])
    assert np.array_equal(colours[..., :-1], raster[..., :-1])
    assert np.array_equal(colours[..., -1], np.where(mask > 0, kind.type(full), kind.type(0)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_alpha_is_the_last_channel(dtype):
    raster = np.arange(24).astype(DTYPES[dtype]).reshape(2, 3, 4)
    assert planes.alpha(raster.tobytes(), 4, dtype) == raster[..., 3].tobytes()


@pytest.mark.parametrize(
    ("precision", "gray", "pixels", "mask", "channels", "dtype", "profile"),
    [
        ("u8-non-linear", False, "R'G'B'A u8", "Y u8", "RGBA", "u8", "sRGB"),
        ("u16-perceptual", False, "R'G'B'A u16", "Y u16", "RGBA", "u16", "sRGB"),
        ("u32-linear", False, "RGBA u16", "Y u16", "RGBA", "u16", "sRGB-linear"),
        ("half-linear", True, "YA half", "Y half", "GA", "f16", "sRGB-linear"),
        ("double-non-linear", True, "Y'A float", "Y float", "GA", "f32", "sRGB"),
    ],
)
def test_each_precision_has_its_encoding(precision, gray, pixels, mask, channels, dtype, profile):
    code = encoding(precision, gray)
    found = (code.pixels, code.mask, code.channels, code.dtype, code.profile)
    assert found == (pixels, mask, channels, dtype, profile)


def test_an_unknown_precision_is_no_format():
    with pytest.raises(KeyError):
        encoding("u64-linear", False)


def test_intersection_of_rectangles():
    assert intersection((-5, -5, 10, 10), (0, 0, 20, 3)) == (0, 0, 5, 3)
    assert intersection((0, 0, 4, 4), (4, 0, 4, 4)) is None
