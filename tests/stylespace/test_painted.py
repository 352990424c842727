"""Parts as flat colours: what is painted is what is read, at any size and depth."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.methods.requests import DTYPES
from velatura.canvas.colour import Encoding
from velatura.canvas.resample import nearest, resize
from velatura.colour import LINEAR, SRGB
from velatura.stylespace import painted, palette
from velatura.stylespace.frames import Frame

PARTS = ("background", "shirt", "face", "mouth", "hair", "beard", "glasses", "hat")


def _colours(rgb):
    """[h, w, 3] in [0, 1] as the labels raster has them."""
    red, green, blue = np.moveaxis(np.rint(rgb * 255.0).astype(np.int64), -1, 0)
    return torch.from_numpy(65536 * red + 256 * green + blue)[None]


def _mixed(one, other, share):
    rgb = [(c >> shift & 255) for c in (one, other) for shift in (16, 8, 0)]
    red, green, blue = (round((1 - share) * a + share * b) for a, b in zip(rgb[:3], rgb[3:], strict=True))
    return 65536 * red + 256 * green + blue


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, palette.MOST),
    small=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    times=st.tuples(st.floats(1.0, 6.0), st.floats(1.0, 6.0)),
    dtype=st.sampled_from(sorted(DTYPES)),
    linear=st.booleans(),
    seed=st.integers(0, 99),
)
def test_labels_come_back_from_a_layer_of_any_larger_size_and_any_depth(
    count, small, times, dtype, linear, seed
):
    parts = [f"part {i}" for i in range(count)]
    y = torch.from_numpy(np.random.default_rng(seed).integers(0, count, (1, *small)))
    flat = painted.picture_of(y, parts)[0].permute(1, 2, 0).numpy() / 2.0 + 0.5
    size = tuple(int(n * by) for n, by in zip(small, times, strict=True))
    large = nearest(flat, size)
    encoding = Encoding("RGBA", dtype, LINEAR if linear else SRGB)
    alpha = np.full(size, 255 if dtype == "u8" else 65535 if dtype == "u16" else 1.0, DTYPES[dtype])
    rgb, _ = encoding.decode(encoding.encode(large, alpha))
    codes = _colours(rgb)
    if not (linear and dtype == "u8"):  # eight bits of linear light do not have every colour
        assert set(codes.unique().tolist()) <= set(palette.colours(parts))
    back = nearest(painted.labels_of(codes, parts)[0].numpy()[..., None], small)[..., 0]
    assert np.array_equal(back, y[0].numpy())


def test_every_colour_can_be_told_from_every_other():
    rgb = np.array([[c >> 16, c >> 8 & 255, c & 255] for _, c in palette.COLOURS], float)
    distances = np.linalg.norm(rgb[:, None] - rgb, axis=-1)[~np.eye(len(rgb), dtype=bool)]
    assert distances.min() > painted.EXACT * 1.5
    assert len({name for name, _ in palette.COLOURS}) == palette.MOST


def test_the_legend_names_each_part_with_its_colour():
    assert palette.legend(PARTS[:3]) == "background grey, shirt blue, face orange"
    with pytest.raises(ValueError, match="37 parts are more than the palette's 36 colours"):
        palette.legend(["x"] * 37)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(range(8), 2))[::3])
def test_the_soft_edge_between_two_parts_is_no_third_part(one, other):
    y = torch.full((1, 32, 32), one)
    y[:, 8:24, 8:24] = other
    sharp = painted.picture_of(y, PARTS)[0].permute(1, 2, 0).numpy() / 2.0 + 0.5
    soft = resize(resize(sharp, (24, 24)), (32, 32)).clip(0.0, 1.0)
    read = painted.labels_of(_colours(soft), PARTS)
    assert set(read.unique().tolist()) == {one, other}
    assert (read == y).float().mean() > 0.9
    assert painted.strange(_colours(soft), PARTS) == 0.0


def test_unpainted_pixels_have_no_label():
    codes = torch.full((1, 6, 6), -1)
    codes[:, 2:4, 2:4] = palette.COLOURS[3][1]
    assert painted.labels_of(codes, PARTS)[0, 2, 2] == 3
    assert (painted.labels_of(codes, PARTS) == -1).sum() == 32
    assert painted.strange(codes, PARTS) == 0.0
    assert painted.strange(torch.full((1, 6, 6), -1), PARTS) == 0.0


def test_a_photograph_is_strange_and_a_painted_map_with_a_few_odd_dots_is_not():
    rng = np.random.default_rng(0)
    photo = resize(rng.random((6, 6, 3)).astype(np.float32), (64, 64)).clip(0.0, 1.0)
    assert painted.strange(_colours(photo), PARTS) > 0.3
    codes = torch.full((1, 64, 64), palette.COLOURS[2][1])
    codes[0, ::16, ::16] = 0x00FF80
    assert painted.strange(codes, PARTS) == 0.0
    assert (painted.labels_of(codes, PARTS) == 2).all()


def test_a_strange_colour_becomes_the_nearest():
    codes = torch.full((1, 8, 8), _mixed(palette.COLOURS[3][1], 0xFFFFFF, 0.15))
    assert (painted.labels_of(codes, PARTS) == 3).all()
    assert painted.strange(codes, PARTS) == 1.0


def _likelihoods(y, parts=8):
    return torch.nn.functional.one_hot(y, parts).movedim(-1, 1).float()


@settings(max_examples=40, deadline=None)
@given(
    left=st.floats(-20.0, 20.0),
    top=st.floats(-20.0, 20.0),
    times=st.floats(1.0, 3.0),
    seed=st.integers(0, 99),
)
def test_labels_come_back_from_their_place_in_a_picture(left, top, times, seed):
    blocks = torch.from_numpy(np.random.default_rng(seed).integers(0, 8, (1, 4, 4)))
    y = blocks.repeat_interleave(4, 1).repeat_interleave(4, 2)
    frame = Frame(left, top, 16 * times)
    placed = painted.in_picture(_likelihoods(y), frame, (40, 48))
    back = painted.in_frame(placed, frame, 16)
    inner = torch.zeros(1, 16, 16, dtype=torch.bool)
    for i, j in itertools.product(range(4), range(4)):  # away from the outlines
        inner[:, 4 * i + 1 : 4 * i + 3, 4 * j + 1 : 4 * j + 3] = True
    inner &= back >= 0
    assert torch.equal(back[inner], y[inner])
    assert torch.equal(painted.repainted(y, back, back), y), "what was shown and not repainted stays"
    if left >= 0 and top >= 0 and top + 16 * times <= 40 and left + 16 * times <= 48:
        assert (back >= 0).all()
    outside = torch.ones(1, 40, 48, dtype=torch.bool)
    outside[
        :, max(0, int(top)) : int(top + 16 * times) + 1, max(0, int(left)) : int(left + 16 * times) + 1
    ] = 0
    assert (placed[outside] == -1).all()


def test_outlines_are_lines_and_no_steps_of_the_models_pixels():
    """A slanting edge of 16 pixels, enlarged 8 times, is half as far off as its steps would be at most."""
    y, x = torch.meshgrid(torch.arange(16) + 0.5, torch.arange(16) + 0.5, indexing="ij")
    inside = ((x - 0.6 * y - 3.0) / 1.17 + 0.5).clamp(0.0, 1.0)  # the share of a pixel beyond the edge
    likelihoods = torch.stack([1.0 - inside, inside])[None]
    shown = painted.in_picture(likelihoods, Frame(0.0, 0.0, 128.0), (128, 128))[0]
    y, x = torch.meshgrid(torch.arange(128) + 0.5, torch.arange(128) + 0.5, indexing="ij")
    exact = (x - 0.6 * y - 24.0 > 0.0).long()
    steps = likelihoods.argmax(1)[0].repeat_interleave(8, 0).repeat_interleave(8, 1)
    assert (shown != exact).sum() < 0.5 * (steps != exact).sum()


def test_paint_changes_the_labels_only_where_it_differs_from_what_was_shown():
    y = torch.zeros(1, 16, 16, dtype=torch.int64)
    y[:, 8:] = 1
    paint = torch.full_like(y, -1)
    assert torch.equal(painted.repainted(y, y, paint), y)
    assert torch.equal(painted.repainted(y, y, y.clone()), y)
    paint = y.clone()
    paint[:, 4:6, 4:8] = 3
    assert torch.equal(painted.repainted(y, y, paint), paint)


def test_an_edge_that_is_a_pixel_off_is_no_paint_and_a_thin_line_of_something_new_is():
    y = torch.zeros(1, 16, 16, dtype=torch.int64)
    y[:, 8:] = 1
    off = torch.zeros_like(y)
    off[:, 7:] = 1
    assert torch.equal(painted.repainted(y, y, off), y)
    off[:, 6:] = 1  # two pixels are an edit
    assert torch.equal(painted.repainted(y, y, off), off)
    line = y.clone()
    line[:, 4, 2:12] = 6
    assert torch.equal(painted.repainted(y, y, line), line)
