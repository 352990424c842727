"""Colours: every value of every depth, the standard's own numbers, and what is refused."""

import numpy as np
import pytest

from tests.canvas.layers import DTYPES, raster
from velatura.canvas.colour import Encoding, view
from velatura.colour import LINEAR, SRGB
from velatura_protocol.errors import VelaturaError


@pytest.mark.parametrize("space", [SRGB, LINEAR])
@pytest.mark.parametrize("channels", ["RGB", "G"])
@pytest.mark.parametrize("dtype", ["u8", "u16"])
def test_every_integer_survives_the_round_trip(dtype, channels, space):
    encoding = Encoding(channels, dtype, space)
    values = np.arange(np.iinfo(DTYPES[dtype]).max + 1).astype(DTYPES[dtype])
    pixels = np.stack([values] * len(channels), axis=-1)[None]
    rgb, alpha = encoding.decode(pixels)
    assert rgb.dtype == alpha.dtype == np.float32
    assert (alpha == 1.0).all()
    assert np.array_equal(encoding.encode(rgb, alpha), pixels)


@pytest.mark.parametrize("space", [SRGB, LINEAR])
@pytest.mark.parametrize("dtype", ["f16", "f32"])
def test_floats_survive_to_their_last_bits(dtype, space):
    encoding = Encoding("RGB", dtype, space)
    pixels = np.random.default_rng(0).normal(0.5, 2.0, (9, 9, 3)).astype(DTYPES[dtype])
    back = encoding.encode(*encoding.decode(pixels))
    np.testing.assert_allclose(back, pixels, rtol=2e-3 if dtype == "f16" else 2e-6, atol=1e-7)


def test_channels_are_where_the_layout_says():
    bgra = np.array([[[1, 2, 3, 4]]], np.uint8)
    rgb, alpha = Encoding("BGRA", "u8").decode(bgra)
    np.testing.assert_allclose(rgb[0, 0] * 255, [3, 2, 1], rtol=1e-5)
    assert alpha[0, 0] * 255 == pytest.approx(4)
    assert np.array_equal(Encoding("BGRA", "u8").encode(rgb, np.array([[4]], np.uint8)), bgra)


def test_grey_is_luminance_in_linear_light():
    rgb = np.zeros((1, 1, 3), np.float32)
    rgb[..., 1] = 1.0
    grey = Encoding("G", "f32", LINEAR).encode(rgb, np.ones((1, 1)))
    assert grey[0, 0, 0] == pytest.approx(0.7152, abs=1e-4)


def test_what_is_no_number_becomes_a_colour():
    pixels = np.array([[[np.nan, np.inf, -np.inf, np.nan]]], np.float32)
    rgb, alpha = Encoding("RGBA", "f32", LINEAR).decode(pixels)
    np.testing.assert_allclose(rgb[0, 0], [0.0, 1.0, 0.0], atol=1e-6)
    assert alpha[0, 0] == 0.0


def test_light_beyond_white_and_below_black_is_kept_in_working_colours():
    rgb, _ = Encoding("RGB", "f32", LINEAR).decode(np.array([[[4.0, -0.5, 0.5]]], np.float32))
    assert rgb[0, 0, 0] > 1.0 > rgb[0, 0, 2] > 0.0 > rgb[0, 0, 1]


@pytest.mark.parametrize(
    ("profile", "linear"),
    [
        ("sRGB", False),
        ("sRGB-elle-V2-srgbtrc.icc", False),
        ("sRGB built-in", False),
        ("GIMP built-in sRGB", False),
        ("sRGB IEC61966-2.1", False),
        ("sRGB-linear", True),
        ("sRGB-elle-V2-g10.icc", True),
        ("GIMP built-in Linear sRGB", True),
        ("scRGB (linear)", True),
        ("Gray-D50-elle-V2-srgbtrc.icc", False),
        ("Gray-D50-elle-V2-g10.icc", True),
    ],
)
def test_hosts_names_of_profiles(profile, linear):
    space = Encoding.of(raster(np.zeros((1, 1, 4), np.uint8), "BGRA", profile)).space
    assert space is (LINEAR if linear else SRGB)


@pytest.mark.parametrize(
    "profile",
    ["", "Adobe RGB (1998)", "Rec2020-elle-V4-rec709.icc", "Display P3", "sRGB-elle-V2-labl.icc", "ProPhoto"],
)
def test_other_profiles_are_refused_with_a_way_out(profile):
    with pytest.raises(VelaturaError, match="convert it to sRGB") as refused:
        Encoding.of(raster(np.zeros((1, 1, 4), np.uint8), "BGRA", profile))
    assert refused.value.code == "unsupported-colour"


def test_a_blob_of_the_wrong_size_is_refused():
    described = raster(np.zeros((4, 4, 4), np.uint8), "BGRA")
    for size in (0, 63, 65):
        with pytest.raises(VelaturaError) as refused:
            view(described, bytes(size))
        assert refused.value.code == "bad-layer"


def test_a_view_is_no_copy():
    data = bytearray(64)
    pixels = view(raster(np.zeros((4, 4, 4), np.uint8), "BGRA"), data)
    data[0] = 9
    assert pixels[0, 0, 0] == 9
