"""From bytes to the model's picture and back: nothing moves, nothing bleeds, nothing outside changes."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.canvas.layers import DTYPES, layer, noise, selection
from velatura.canvas import paste as pasting
from velatura.canvas.geometry import Box, Region, plan
from velatura.canvas.region import see
from velatura_protocol.errors import VelaturaError

CHANNELS = ["BGRA", "RGBA", "RGB", "GA", "G"]
LAYOUTS = list(itertools.product(CHANNELS, DTYPES, ["sRGB-elle-V2-srgbtrc.icc", "sRGB-elle-V2-g10.icc"]))


def paste(on, chosen, region, seen, edited):
    """With an autoencoder that loses nothing."""
    return pasting.paste(on, chosen, region, seen, edited, seen.image, 0)


def native(crop: Box) -> Region:
    size = crop.height, crop.width
    return Region(crop, size, size, (0, 0))


@st.composite
def masks(draw):
    """(values or None, origin) of a mask that may reach outside a layer of 24 x 24."""
    if draw(st.booleans()) and draw(st.booleans()):
        return None, (0, 0)
    width, height = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    origin = draw(st.integers(-width + 1, 23)), draw(st.integers(-height + 1, 23))
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, (height, width), np.uint8)
    return values * np.uint8(draw(st.booleans()) or values.any()), origin


def expected_alpha(values, origin, dtype, source, channels):
    """What the alpha over the whole layer of 24 x 24 has to be, computed the plain way."""
    top = {"u8": 255, "u16": 65535, "f16": 1.0, "f32": 1.0}[dtype]
    if values is None:
        if "A" in channels:
            return source[..., channels.index("A")]
        return np.full((24, 24), top, DTYPES[dtype])
    alpha = np.zeros((24, 24))
    for (y, x), value in np.ndenumerate(values):
        if 0 <= y + origin[1] < 24 and 0 <= x + origin[0] < 24:
            alpha[y + origin[1], x + origin[0]] = value / 255
    if dtype in ("u8", "u16"):
        return np.rint(alpha * top).astype(DTYPES[dtype])
    return alpha.astype(np.float32).astype(DTYPES[dtype])


@pytest.mark.parametrize(("channels", "dtype", "profile"), LAYOUTS)
@settings(max_examples=15)
@given(mask=masks(), origin=st.tuples(st.integers(-50, 50), st.integers(-50, 50)), seed=st.integers(0, 99))
def test_an_edit_that_changes_nothing_gives_back_the_bytes(channels, dtype, profile, mask, origin, seed):
    source = noise(np.random.default_rng(seed), 24, 24, channels, dtype)
    on = layer(source, channels, profile, origin)
    values, place = mask
    try:
        chosen = selection(values, on, (place[0] + origin[0], place[1] + origin[1]))
    except VelaturaError as refused:
        assert refused.code in ("empty-mask", "mask-outside")
        return
    region = native(on.box)
    seen = see(on, chosen, region)
    pasted = paste(on, chosen, region, seen, seen.image)

    alpha = expected_alpha(values, place, dtype, source, channels)
    x, y, width, height = pasted.rect
    window = np.s_[y - origin[1] : y - origin[1] + height, x - origin[0] : x - origin[0] + width]
    outside = alpha.copy()
    outside[window] = 0
    assert values is None or (outside == 0).all()
    assert pasted.channels == {"RGB": "RGBA", "G": "GA"}.get(channels, channels)
    assert pasted.pixels.dtype == source.dtype
    assert np.array_equal(pasted.pixels[..., pasted.channels.index("A")], alpha[window])
    for channel in channels.replace("A", ""):
        colour = np.where(alpha[window] == 0, 0, source[window][..., channels.index(channel)])
        got = pasted.pixels[..., pasted.channels.index(channel)]
        assert np.array_equal(got, colour.astype(source.dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_edit_lands_on_its_pixel(dtype):
    source = noise(np.random.default_rng(1), 40, 50, "RGBA", dtype)
    source[..., 3] = 255 if dtype == "u8" else 65535 if dtype == "u16" else 1.0
    on = layer(source, "RGBA", "sRGB", (-7, 100))
    values = np.full((6, 8), 255, np.uint8)
    chosen = selection(values, on, (-7 + 20, 100 + 10))
    region = plan(chosen.bounds, (40, 50), 32, 16, 0.5)
    seen = see(on, chosen, region)
    edited = seen.image.copy()
    at = 10 + 2 - region.crop.y0, 20 + 5 - region.crop.x0
    edited[at] = [1.0, 0.0, 1.0]
    pasted = paste(on, chosen, region, seen, edited)
    assert pasted.rect == (13, 110, 8, 6)
    changed = (pasted.pixels[..., :3] != source[10:16, 20:28, :3]).any(axis=2)
    assert np.argwhere(changed).tolist() == [[2, 5]]


def test_a_reduced_region_comes_back_in_register():
    """A smooth picture shown at a third of its size and returned is the same picture, not a shifted one."""
    y, x = np.mgrid[:360, :300] / 360
    source = np.stack([x, y, 0.5 + 0 * x], axis=-1).astype(np.float32)
    on = layer(source, "RGB")
    chosen = selection(None, on)
    region = plan(chosen.bounds, (360, 300), 112, 16, 0.0)
    assert region.inner != (360, 300)
    seen = see(on, chosen, region)
    pasted = paste(on, chosen, region, seen, seen.image)
    np.testing.assert_allclose(pasted.pixels[6:-6, 6:-6, :3], source[6:-6, 6:-6], atol=2e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (5, 9), (300, 200)])
def test_a_flat_layer_stays_flat_at_any_size(shape):
    on = layer(np.full((*shape, 3), 77, np.uint8), "RGB")
    chosen = selection(None, on)
    region = plan(chosen.bounds, shape, 64, 16, 1.0)
    seen = see(on, chosen, region)
    assert seen.image.shape == (*region.outer, 3)
    np.testing.assert_allclose(seen.image, 77 / 255, atol=1e-5)
    assert (seen.mask == 1.0).all()
    pasted = paste(on, chosen, region, seen, seen.image)
    assert (pasted.pixels == [77, 77, 77, 255]).all()


def test_light_beyond_white_survives_where_nothing_is_edited_and_is_clipped_for_the_model():
    source = np.zeros((32, 32, 4), np.float32)
    source[...] = [6.0, -1.0, 0.25, 1.0]
    on = layer(source, "RGBA", "sRGB-linear")
    chosen = selection(np.full((32, 32), 255, np.uint8), on)
    seen = see(on, chosen, native(on.box))
    assert seen.image.min() >= 0.0 and seen.image.max() <= 1.0
    edited = seen.image.copy()
    edited[3, 4] = 0.5
    pixels = paste(on, chosen, native(on.box), seen, edited).pixels
    assert pixels[3, 4, 0] == pytest.approx(0.2140, abs=1e-3)
    pixels[3, 4] = source[3, 4]
    assert np.array_equal(pixels, source)


def test_hidden_colours_do_not_bleed():
    source = np.zeros((64, 64, 4), np.uint8)
    source[...] = [0, 255, 0, 0]  # green, hidden
    source[16:48, 16:48] = [200, 40, 40, 255]
    source[16:48, 16:32] = [240, 80, 80, 255]  # two colours: one alone lies on paper
    on = layer(source)
    for region in (native(on.box), plan(on.box, (64, 64), 16, 16, 0.0)):
        seen = see(on, selection(None, on), region)
        image = seen.image * 255
        assert (np.abs(image - [220, 60, 60]) <= 28).all()  # a resize overshoots a little


def test_a_layer_with_nothing_visible_is_refused():
    on = layer(np.zeros((20, 20, 4), np.uint8))
    with pytest.raises(VelaturaError) as refused:
        see(on, selection(None, on), native(on.box))
    assert refused.value.code == "empty-layer"


def test_empty_and_distant_masks_are_told_apart():
    on = layer(np.full((20, 20, 4), 255, np.uint8))
    cases = {
        "empty-mask": (np.zeros((20, 20), np.uint8), (0, 0)),
        "mask-outside": (np.full((20, 20), 255, np.uint8), (20, 0)),
    }
    half = np.zeros((20, 40), np.uint8)
    half[:, 20:] = 255
    for code, (values, origin) in [*cases.items(), ("mask-outside", (half, (0, 0)))]:
        with pytest.raises(VelaturaError) as refused:
            selection(values, on, origin)
        assert refused.value.code == code


@pytest.mark.parametrize("nothing", [np.nan, -1.0, 0.0])
def test_a_float_mask_of_no_numbers_selects_nothing(nothing):
    on = layer(np.full((4, 4, 4), 255, np.uint8))
    with pytest.raises(VelaturaError) as refused:
        selection(np.full((4, 4), nothing, np.float32), on)
    assert refused.value.code == "empty-mask"


def test_thin_lines_survive_in_the_models_mask():
    on = layer(np.full((2048, 2048, 3), 9, np.uint8), "RGB")
    values = np.zeros((2048, 2048), np.uint8)
    values[1000] = 255
    values[:, 77] = 128
    region = plan(selection(values, on).bounds, (2048, 2048), 64, 16, 0.0)
    mask = see(on, selection(values, on), region).mask
    assert (mask[31] == 1.0).all()
    np.testing.assert_allclose(np.delete(mask[:, 2], 31), 128 / 255)
    assert mask.sum() == pytest.approx(64 + 63 * 128 / 255, rel=1e-5)


def peak(work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_small_edit_of_a_wide_layer_touches_its_crop_only():
    source = np.full((2048, 16384, 4), 99, np.uint8)
    data = source.tobytes()
    values = np.zeros((2048, 16384), np.uint8)
    values[900:950, 8000:8100] = 255
    mask = values.tobytes()

    def work():
        from tests.canvas.layers import raster
        from velatura.canvas.selection import Layer, Selection

        on = Layer.of(raster(source, "BGRA"), data)
        chosen = Selection.of(raster(values[..., None], "A", ""), mask, on)
        region = plan(chosen.bounds, (2048, 16384), 128, 16, 1.0)
        seen = see(on, chosen, region)
        assert paste(on, chosen, region, seen, seen.image).rect == (8000, 900, 100, 50)

    assert peak(work) < 25e6  # the layer is 134 MB, its float copy would be 537


def test_a_whole_wide_layer_is_never_copied_to_floats():
    source = np.full((1024, 16384, 4), 255, np.uint8)
    on = layer(source, "BGRA")

    def work():
        chosen = selection(None, on)
        region = plan(chosen.bounds, (1024, 16384), 128, 16, 1.0)
        seen = see(on, chosen, region)
        assert (paste(on, chosen, region, seen, seen.image).pixels == 255).all()

    assert peak(work) < source.nbytes + 130e6  # the result, and bands of floats; a float copy is 268 MB


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("selected", [True, False])
def test_an_edits_own_opacity_makes_the_selection_smaller(dtype, selected):
    """Both are multiplied, and nothing is left beneath alpha 0."""
    source = noise(np.random.default_rng(3), 16, 16, "RGBA", dtype)
    source[..., 3] = 1.0 if dtype.startswith("f") else np.iinfo(DTYPES[dtype]).max
    on = layer(source)
    values = np.full((16, 16), 128, np.uint8) if selected else None
    chosen = selection(values, on)
    region = native(on.box)
    seen = see(on, chosen, region)
    opacity = np.zeros((16, 16, 1), np.float32)
    opacity[4:12, 4:12], opacity[6, 6] = 1.0, 0.25
    pasted = paste(on, chosen, region, seen, np.concatenate([seen.image, opacity], axis=2)).pixels
    whole = paste(on, chosen, region, seen, seen.image).pixels
    assert not pasted[opacity[..., 0] == 0].any()
    full = opacity[..., 0] == 1.0
    assert np.array_equal(pasted[full], whole[full])
    share = pasted[6, 6, 3] / np.float64(whole[6, 6, 3])
    assert share == pytest.approx(0.25, abs=0.02)
