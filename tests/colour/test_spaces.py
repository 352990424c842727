"""Colour spaces against float64 arithmetic of our own, and the standards' own numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.canvas.layers import DTYPES, layer, selection
from tests.colour import profiles
from velatura import colour
from velatura.canvas.geometry import Region
from velatura.canvas.paste import paste
from velatura.canvas.region import see
from velatura.colour import LINEAR, SRGB, Tone, of_cicp, of_icc

BY_NAME = {made.name: made for made in profiles.ALL}
SIDE = 24


def whole(on):
    size = on.pixels.shape[:2]
    return Region(on.box, size, size, (0, 0))


def edited(on, picture_of):
    """The native colours of a layer after an edit of all of it; picture_of: from the picture that is seen."""
    chosen, region = selection(None, on), whole(on)
    seen = see(on, chosen, region)
    return seen.image, paste(on, chosen, region, seen, picture_of(seen.image), seen.image, 0).pixels


def drawn(made, dtype, seed):
    """Noise in all colours of the space, as a layer."""
    count = 1 if made.is_gray else 3
    values = np.random.default_rng(seed).random((SIDE, SIDE, count))
    top = np.iinfo(DTYPES[dtype]).max if dtype[0] == "u" else 1
    pixels = (np.rint(values * top) if top > 1 else values).astype(DTYPES[dtype])
    return layer(pixels, "G" if count == 1 else "RGB", made.name, icc=made.icc), top


@pytest.mark.parametrize("name", BY_NAME)
def test_a_profile_gives_the_colours_that_its_numbers_say(name):
    made = BY_NAME[name]
    values = np.random.default_rng(0).random((50, 40, 1 if made.is_gray else 3)).astype(np.float32)
    space = of_icc(made.icc, made.is_gray)
    assert (space.profile, space.icc) == (name, made.icc)
    off = np.abs(space.to_srgb(values) - made.srgb(values))
    assert off.max() < (0.006 if name == "A table" else 0.001)  # of a table, between its points
    back = np.abs(space.from_srgb(space.to_srgb(values), values.shape[-1]) - values)
    assert back.max() < {"A table": 0.1, "P3 by samples": 4e-4}.get(name, 2e-4)


@settings(max_examples=150)
@given(
    name=st.sampled_from(sorted(BY_NAME)),
    dtype=st.sampled_from(sorted(DTYPES)),
    size=st.floats(0.0, 0.03),
    seed=st.integers(0, 999),
)
def test_only_the_difference_is_brought_back(name, dtype, size, seed):
    """No change keeps every byte, also outside sRGB's gamut; a small one changes colours a little."""
    made = BY_NAME[name]
    on, top = drawn(made, dtype, seed)
    picture, same = edited(on, lambda seen: seen)
    assert picture.min() >= 0.0 and picture.max() <= 1.0
    assert np.array_equal(same[..., :-1], on.pixels)
    _, nearly = edited(on, lambda seen: (seen - size).clip(0.0, 1.0))
    step = np.abs(nearly[..., :-1].astype(np.float64) - on.pixels) / top
    # Where curves are steep, near black, a small change of sRGB is a larger one of the values.
    steep = 0.3 if name == "A table" else 0.15
    assert step.max() <= steep
    assert np.median(step) <= 3 * size + 1 / top


@settings(max_examples=60)
@given(
    name=st.sampled_from(sorted(made.name for made in profiles.RGB)),
    dtype=st.sampled_from(sorted(DTYPES)),
    target=st.tuples(*3 * [st.floats(0.1, 0.9)]),
    seed=st.integers(0, 999),
)
def test_new_paint_has_its_own_colour_in_every_space(name, dtype, target, seed):
    """Nothing of the layer's colours outside sRGB shines through what replaces them."""
    made = BY_NAME[name]
    on, top = drawn(made, dtype, seed)
    seen, result = edited(on, lambda seen: np.broadcast_to(np.float32(target), seen.shape))
    far = np.linalg.norm(seen - target, axis=-1) > 0.4
    got = made.srgb(result[..., :-1].astype(np.float64) / top)
    off = np.abs(got - target)[far]
    assert off.size == 0 or off.max() < {"u8": 0.03, "f16": 0.006}.get(dtype, 0.004) + 0.02 * (
        name == "A table"
    )


def test_gray_pixels_of_an_rgb_profile_are_its_neutral_colours():
    space = of_icc(profiles.ADOBE.icc, gray=True)
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[:, None]
    rgb = space.to_srgb(ramp)
    assert np.ptp(rgb, axis=-1).max() < 2e-4
    np.testing.assert_allclose(rgb, profiles.ADOBE.srgb(np.repeat(ramp, 3, axis=-1)), atol=1e-3)
    np.testing.assert_allclose(space.from_srgb(rgb, 1), ramp, atol=1e-3)


def test_pq_and_hlg_have_the_standards_values():
    """ITU-R BT.2408-7, table 1: diffuse white of 203 cd/m2 is a signal of 58 % in PQ and of 75 % in HLG."""
    pq, hlg = of_cicp(9, 16), of_cicp(9, 18)
    signal = np.float32([[0.0] * 3, [0.5806] * 3, [1.0] * 3])
    light = profiles.srgb_decode(pq.to_srgb(signal))
    np.testing.assert_allclose(light, [[0] * 3, [1] * 3, [10_000 / 203] * 3], rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(hlg.to_srgb(np.float32([[0.75] * 3])), 1.0, atol=1e-3)
    for space in (pq, hlg, of_cicp(12, 13), of_cicp(9, 1)):
        values = np.random.default_rng(1).random((500, 3)).astype(np.float32)
        np.testing.assert_allclose(space.from_srgb(space.to_srgb(values)), values, atol=2e-3)
        assert colour.of_wire(space.profile, b"", gray=False) == space


def test_display_p3_by_code_points_is_that_of_the_profile():
    values = np.random.default_rng(2).random((500, 3)).astype(np.float32)
    by_icc = of_icc(profiles.DISPLAY_P3.icc, gray=False).to_srgb(values)
    np.testing.assert_allclose(of_cicp(12, 13).to_srgb(values), by_icc, atol=1e-3)
    chromaticities = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    by_chunks = colour.of_gamma(45455, chromaticities).to_srgb(values)
    expected = profiles.srgb_encode(
        values.astype(np.float64) ** (1 / 0.45455) @ (np.linalg.inv(profiles.SRGB_TO_D50) @ profiles.P3).T
    )
    np.testing.assert_allclose(by_chunks, expected, atol=1e-3)


@pytest.mark.parametrize(
    "name", ["cICP", "cICP 9", "cICP 9/", "cICP /9", "cICP 9/16/0", "cICP ²/16", "cicp 9/16"]
)
def test_names_that_are_no_code_points_are_no_space(name):
    with pytest.raises(colour.Unsupported):
        colour.of_wire(name, b"", gray=False)


@settings(max_examples=100)
@given(peak=st.floats(1.0, 1e4), seed=st.integers(0, 99))
def test_the_curve_for_light_beyond_white_can_be_inverted(peak, seed):
    values = np.sort(np.random.default_rng(seed).uniform(-1, peak, 500)).astype(np.float32)
    tone = Tone.of(peak)
    shown = tone.compress(values)
    assert shown.max() <= 1.0 + 1e-6
    assert (np.diff(shown) >= 0).all()
    dark = values <= 0.8
    assert np.array_equal(shown[dark], values[dark])
    np.testing.assert_allclose(tone.expand(shown), values, rtol=2e-5, atol=1e-6)


HDR = {
    "scene-linear floats": ("f32", "sRGB-linear", b"", 6.0),
    "linear Rec. 2020": ("f32", profiles.REC2020.name, profiles.REC2020.icc, 6.0),
    "PQ at 16 bits": ("u16", "cICP 9/16", b"", 49_000),
}


@pytest.mark.parametrize("name", HDR)
def test_light_beyond_white_is_seen_and_comes_back(name):
    dtype, profile, icc, bright = HDR[name]
    pixels = np.full((SIDE, SIDE, 3), bright / 100 if dtype == "f32" else 20_000, DTYPES[dtype])
    pixels[4:12] = bright
    pixels[12:18] = bright * 0.8
    plain = layer(pixels, "RGB", profile, icc=icc)
    on = plain.toned(plain.box)
    picture, same = edited(on, lambda seen: seen)
    assert picture.max() <= 1.0
    assert picture[14, 5, 0] < picture[8, 5, 0] - 0.005  # highlights are told apart
    assert np.array_equal(same[..., :-1], pixels)
    _, moved = edited(on, lambda seen: np.broadcast_to(seen[8, 5], seen.shape))  # all of it as bright
    np.testing.assert_allclose(moved[..., :-1].astype(np.float64), float(bright), rtol=2e-3)


def test_a_layer_without_light_beyond_white_has_no_curve():
    for values, profile, icc in (
        (np.full((8, 8, 3), 1.0, np.float32), "sRGB-linear", b""),
        (np.full((8, 8, 3), 65535, np.uint16), "", profiles.PROPHOTO.icc),
    ):
        on = layer(values, "RGB", profile, icc=icc)
        assert on.toned(on.box).encoding.tone.is_identity


def test_profiles_that_describe_srgb_need_no_transform():
    curve = profiles.sampled(profiles.srgb_decode)
    made = profiles.rgb("Any name", profiles.SRGB_TO_D50, curve, profiles.srgb_decode)
    assert of_icc(made.icc, gray=False) is SRGB
    linear = profiles.rgb("sRGB", profiles.SRGB_TO_D50, profiles.gamma_curve(1.0), lambda x: x)
    assert of_icc(linear.icc, gray=False) is LINEAR
    assert of_icc(profiles.profile("Gray", b"GRAY", {b"kTRC": curve}), gray=True) is SRGB


def test_a_profile_with_a_tag_for_pq_is_pq():
    made = profiles.rgb("HDR", profiles.REC2020.matrix, profiles.parametric(1.0), lambda x: x, version=4)
    columns = {tag: made.icc[start : start + 20] for tag, start in _places(made.icc) if tag[1:] == b"XYZ"}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), profiles.parametric(1.0))
    tag = {b"cicp": b"cicp\0\0\0\0" + bytes([9, 16, 0, 1])}
    icc = profiles.profile("HDR", b"RGB ", columns | curves | tag, version=4)
    assert of_icc(icc, gray=False) == of_cicp(9, 16)


def _places(icc):
    count = int.from_bytes(icc[128:132], "big")
    for at in range(132, 132 + 12 * count, 12):
        yield icc[at : at + 4], int.from_bytes(icc[at + 4 : at + 8], "big")


@given(cut=st.floats(0, 1), flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=4))
def test_a_broken_profile_gives_finite_colours_or_is_refused(cut, flips):
    icc = bytearray(profiles.DISPLAY_P3.icc)
    for place, value in flips:
        icc[min(int(place * len(icc)), len(icc) - 1)] ^= value
    try:
        space = of_icc(bytes(icc[: int(cut * len(icc)) + 1]), gray=False)
    except colour.Unsupported as refused:
        assert refused.what
        return
    assert np.isfinite(space.to_srgb(np.float32([[0, 0.5, 1]]))).all()


def test_a_picture_is_shown_in_srgb_whatever_it_is():
    made = profiles.ADOBE
    values = np.random.default_rng(4).random((20, 30, 3))
    wanted = np.rint(made.srgb(values).clip(0, 1) * 255)
    space = of_icc(made.icc, gray=False)
    for pixels in (np.rint(values * 65535).astype(np.uint16), values.astype(np.float32)):
        assert np.abs(colour.shown(pixels, space) - wanted).max() <= 1
    light = np.float32([[[0.0] * 3, [0.5] * 3, [4.0] * 3, [np.inf] * 3]])
    assert colour.shown(light, LINEAR)[0, :, 0].tolist() == [0, 188, 255, 229]
    assert colour.shown(np.uint16([[[65535], [255]]]), SRGB).tolist() == [[[255] * 3, [0] * 3]]


def test_a_profile_that_is_too_large_is_refused_before_it_is_read():
    with pytest.raises(colour.Unsupported, match="unreadable"):
        of_icc(profiles.ADOBE.icc + bytes(16 * 1024 * 1024), gray=False)
