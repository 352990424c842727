"""Frames: pixels there and back, what stays to the bit, and where the face of a drawn portrait is found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from velatura.canvas.resample import resize
from velatura.companions.clipseg import load_clipseg
from velatura.stylespace import frames, framing
from velatura.stylespace.frames import Frame
from velatura.stylespace.framing import Framing
from velatura_lab.world import render
from velatura_lab.world.landscape.scene import sample as landscape
from velatura_lab.world.portrait.description import sample_described


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0


def smooth(h, w):
    y, x = torch.meshgrid(torch.linspace(0, 3, h), torch.linspace(0, 4, w), indexing="ij")
    return torch.stack([torch.sin(x + y), torch.cos(x), torch.sin(2 * y)])[None] * 0.8


def test_the_whole_of_a_picture_of_the_models_size_is_itself():
    x = noise(1, 3, 32, 32)
    assert torch.equal(Frame(0.0, 0.0, 32.0).take(x, 32), x)
    assert torch.equal(Frame(0.0, 0.0, 32.0).put(x, (32, 32)), x)


@pytest.mark.parametrize("size", [(80, 48), (20, 30)])
def test_taking_the_whole_of_a_square_resizes_as_the_projects_own_resampling(size):
    n, s = size
    x = noise(1, 3, n, n)
    inner = resize(x[0].permute(1, 2, 0).numpy(), (s, s))
    taken = Frame(0.0, 0.0, float(n)).take(x, s)[0].permute(1, 2, 0).numpy()
    edge = 4  # the project's own stops at the border, where a frame goes on with the mirror image
    np.testing.assert_allclose(taken[edge:-edge, edge:-edge], inner[edge:-edge, edge:-edge], atol=1e-5)


@pytest.mark.parametrize(
    "frame", [Frame(40.3, 21.6, 97.5), Frame(-20.0, 10.0, 120.0), Frame(60.0, 50.0, 33.3)]
)
def test_a_change_of_the_frames_picture_comes_back_to_its_place(frame):
    """The change of a smooth picture, taken and put back, is the same change."""
    x, change = smooth(150, 200), torch.zeros(1, 3, 150, 200)
    change[..., 60:75, 70:90] = 0.4
    change = torch.nn.functional.avg_pool2d(change, 9, 1, 4)
    s = 64
    back = x + frame.put(frame.take(x + change, s) - frame.take(x, s), (150, 200))
    left, top, side = frame.left, frame.top, frame.side
    reach = side * frames.FEATHER
    inside = torch.zeros(150, 200, dtype=torch.bool)
    inside[
        int(max(0, top + reach)) + 1 : int(top + side - reach),
        int(max(0, left + reach)) + 1 : int(left + side - reach),
    ] = True
    difference = (back - (x + change)).abs().amax(1)[0]
    assert difference[inside].max() < 0.05


@given(st.floats(-30, 60), st.floats(-30, 60), st.floats(20, 150), st.integers(40, 90), st.integers(40, 90))
def test_the_layer_stays_to_the_bit_where_nothing_changes(left, top, side, h, w):
    image, change = noise(1, 3, h, w), torch.zeros(1, 3, 32, 32)
    frame = Frame(left, top, side)
    assert torch.equal(image + frame.put(change, (h, w)), image)
    change[..., 14:18, 14:18] = 0.5
    put = frame.put(change, (h, w))
    rows = (torch.arange(h) + 0.5 - top) * 32 / side
    columns = (torch.arange(w) + 0.5 - left) * 32 / side
    reach = 2.0 * max(1.0, 32 / side) + 1.0
    near = ((rows > 14 - reach) & (rows < 18 + reach))[:, None] & (
        (columns > 14 - reach) & (columns < 18 + reach)
    )
    assert (put[0, 0][~near] == 0.0).all()


def test_a_border_within_the_picture_is_soft_and_one_at_its_edge_is_not():
    put = Frame(0.0, 20.0, 60.0).put(torch.ones(1, 1, 32, 32), (100, 60))[0, 0]
    assert put[50, 0] == pytest.approx(1.0) and put[50, 59] == pytest.approx(1.0)
    assert put[20, 30] < 0.2 and put[79, 30] < 0.2 and (put[:20] == 0.0).all() and (put[80:] == 0.0).all()
    assert (put.diff(dim=0).abs() < 0.5).all(), "no step"


def test_the_selections_frame_is_its_bounding_square_within_the_picture():
    mask = torch.zeros(1, 1, 100, 150)
    mask[..., 30:70, 120:140] = 0.5
    mask[..., 0, 0] = 0.2  # a breath of a soft brush
    assert framing.selected(mask) == Frame(110.0, 30.0, 40)
    mask[..., 10:95, 60] = 0.5
    assert framing.selected(mask) == Frame(57.5, 10.0, 85)


def disc(h, w, *centres, radius=10.0):
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    return torch.stack([((x - cx) ** 2 + (y - cy) ** 2 <= r**2).float() for cx, cy, r in centres]).amax(0)


def test_of_two_faces_the_larger_is_meant_or_the_one_that_is_selected():
    map = disc(120, 200, (50, 60, 20), (150, 40, 12))
    place = framing.place_of(map)
    assert place.x == pytest.approx(50, abs=1) and place.y == pytest.approx(60, abs=1)
    assert place.spread == pytest.approx(20, rel=0.05)  # twice the standard deviation of a disc across
    chosen = torch.zeros(1, 1, 120, 200)
    chosen[..., 45:50, 145:160] = 1.0  # the mouth of the other one
    assert framing.place_of(map, chosen).x == pytest.approx(150, abs=1)


def test_nothing_is_found_in_an_empty_map_or_in_a_speck():
    assert framing.place_of(torch.zeros(64, 64)) is None
    assert framing.place_of(torch.full((64, 64), 0.4)) is None
    assert framing.place_of(disc(640, 640, (300, 300, 6))) is None


@pytest.fixture(scope="module")
def segmenter():
    return load_clipseg()


@pytest.fixture(scope="module")
def find(segmenter):
    return lambda x: segmenter.find((x[0] + 1.0) / 2.0, ["face"])[0]


def portrait(i, side=128):
    scene = sample_described(np.random.default_rng([909, i]))
    return torch.from_numpy(render(scene, side).rgb).permute(2, 0, 1)[None] * 2.0 - 1.0


@pytest.fixture(scope="module")
def own(find):
    return framing.measured(find, torch.cat([portrait(i) for i in range(12)]))


def test_a_drawn_portrait_is_seen_whole(find, own):
    assert isinstance(own, Framing) and abs(own.x) < 0.1 and 0.1 < own.y < 0.45
    for i in (22, 23, 24):
        assert framing.found(find, portrait(i), torch.ones(1, 1, 128, 128), own, 128) == Frame(0.0, 0.0, 128)


@pytest.mark.parametrize(("left", "top", "side"), [(150, 60, 128), (40, 30, 200), (20, 110, 96)])
def test_a_portrait_within_a_larger_picture_is_found(find, own, left, top, side):
    picture = torch.full((1, 3, 280, 320), -0.2)
    for i in (31,):
        picture[..., top : top + side, left : left + side] = portrait(i, side)
        frame = framing.found(find, picture, torch.ones(1, 1, 280, 320), own, 128)
        assert abs(frame.left + frame.side / 2 - left - side / 2) < 0.12 * side
        assert abs(frame.top + frame.side / 2 - top - side / 2) < 0.12 * side
        assert 0.7 < frame.side / side < 1.4  # a head is .5 to .6 of the picture, and its face varies too


def test_a_picture_without_a_face_has_no_frame(find, own):
    view = torch.from_numpy(render(landscape(np.random.default_rng(4)), 128).rgb).permute(2, 0, 1)[None]
    assert framing.found(find, view * 2.0 - 1.0, torch.ones(1, 1, 128, 128), own, 128) is None
    assert framing.measured(find, torch.cat([view * 2.0 - 1.0] * 3)) is None


@pytest.mark.parametrize("off", [(0.12, -0.1, 1.0), (-0.08, 0.12, 1.15), (0.0, 0.0, 0.8)])
def test_a_frame_is_fitted_to_where_the_generator_explains_the_picture(off):
    """A segmenter that is an eighth of the side off does not stay so."""
    image = smooth(200, 300) * 0.2
    image[..., 60:156, 120:216] = Frame(0.0, 0.0, 128.0).take(portrait(3), 96)
    wanted = Frame(120.0, 60.0, 96.0).take(image, 64)
    x, y, scale = off
    begun, cancelled = Frame(120.0 + 96.0 * x, 60.0 + 96.0 * y, 96.0 * scale), []

    def unlikely(picture):
        return float((picture - wanted).square().mean())

    frame = framing._fitted(begun, image, 64, unlikely, lambda i, n: cancelled.append(i))
    assert unlikely(frame.take(image, 64)) < 0.2 * unlikely(begun.take(image, 64))
    middle = (frame.left + frame.side / 2.0, frame.top + frame.side / 2.0)
    assert middle == pytest.approx((168.0, 108.0), abs=4.0)
    assert frame.side == pytest.approx(96.0, rel=0.05)
    assert cancelled, "it can be cancelled"


@pytest.mark.parametrize(("s", "most"), [(64, 45), (512, 24)])
def test_a_large_generator_looks_less_often(s, most):
    """Where each look is a little better than the one before, only their number ends the search."""
    looks, better = [], iter(range(1000, 0, -1))
    framing._fitted(
        Frame(0.0, 0.0, 64.0),
        noise(1, 3, 640, 640),
        s,
        lambda _: float(next(better)),
        lambda i, n: looks.append((i, n)),
    )
    assert looks[-1] == (most, most) and len(looks) == most


def test_a_narrow_strip_is_not_searched_for_faces_of_a_few_pixels():
    looks = []

    def nothing(picture):
        looks.append(picture.shape)
        return torch.zeros(picture.shape[-2:])

    image, own = noise(1, 3, 8, 400), Framing(0.0, 0.0, 0.5, 0.03, 0.05)
    assert framing.found(nothing, image, torch.ones(1, 1, 8, 400), own, 16) is None
    assert len(looks) == 1


def test_mirror_images_far_out_are_no_faces():
    """A segmenter that sees its face wherever it looks, and a framing that lets the frame grow."""
    size = torch.zeros(64, 64)
    size[8:56, 8:56] = 1.0
    own = Framing(0.0, 0.0, 0.05, 0.03, 3.0)
    image, mask = noise(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    assert framing.found(lambda picture: size, image, mask, own, 64) is None
    near = Framing(0.0, 0.0, 0.86, 0.03, 0.05)
    assert framing.found(lambda picture: size, image, mask, near, 64) == Frame(0.0, 0.0, 64.0)
