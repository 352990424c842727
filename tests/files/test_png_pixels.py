"""Packing pixels into PNG files: any picture comes back, by decoders that are not ours."""

from __future__ import annotations

import io
import zlib

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from velatura.files import png_pixels
from velatura.files.chunks import walk
from velatura.files.png_pixels import Bands, png


def rough(height, width, channels, dtype, seed=0):
    """Noise, paint and flat rows, so that both strategies are taken."""
    rng = np.random.default_rng(seed)
    made = rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)
    made[height // 3 : height // 2] = 7
    made[height // 2 :] = np.arange(width, dtype=dtype)[:, None]
    return made


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 99))
def test_every_picture_comes_back(channels, dtype, height, width, seed):
    pixels = rough(height, width, channels, dtype, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png_pixels, "_BAND", 300)  # several bands
        content = png(pixels)
    read = imagecodecs.png_decode(content)
    assert read.dtype == dtype and np.array_equal(read.reshape(pixels.shape), pixels)
    whole = zlib.decompress(b"".join(data for kind, data in walk(content) if kind == b"IDAT"))
    assert len(whole) == height * (1 + width * channels * pixels.itemsize)  # and its check sum is right
    with Pillow.open(io.BytesIO(content)) as picture:
        picture.load()
        assert picture.size == (width, height)


def test_views_are_packed_as_they_are_seen():
    pixels = rough(50, 60, 4, np.uint16)
    for view in (pixels[::2, ::3], pixels[..., :3], pixels[::-1], pixels.transpose(1, 0, 2)):
        assert np.array_equal(imagecodecs.png_decode(png(view)), view)


def test_a_picture_takes_over_the_bands_that_it_shares(monkeypatch):
    before = rough(400, 300, 3, np.uint16)
    after = before.copy()
    after[200:220, 10:20] += 1
    packed, original, bands = [], png_pixels._packed, Bands()
    monkeypatch.setattr(png_pixels, "_BAND", 20 * 300 * 6)
    monkeypatch.setattr(png_pixels, "_packed", lambda part: packed.append(len(part)) or original(part))
    png(before, bands)
    assert packed == [20] * 20
    packed.clear()
    assert np.array_equal(imagecodecs.png_decode(png(after, bands)), after) and packed == [20]
    assert np.array_equal(imagecodecs.png_decode(png(after[:, :200], bands)), after[:, :200])


def test_a_photograph_is_no_larger_than_libpng_makes_it_and_flat_paint_is_small():
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 60000, 600)[:, None, None] + np.linspace(0, 5000, 500)[None, :, None]
    photo = (ramp + rng.normal(0, 120, (600, 500, 3))).clip(0, 65535).astype(np.uint16)
    assert len(png(photo)) <= len(imagecodecs.png_encode(photo))
    flat = np.kron(rng.integers(0, 9, (6, 5, 3)), np.ones((100, 100, 1))).astype(np.uint8)
    assert len(png(flat)) <= 0.02 * flat.nbytes
