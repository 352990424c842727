"""FFHQ's square, tilted frames, and the way from a generator's own alignment to a layer's face."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.stylespace import alignment, painted
from velatura.stylespace.frames import Frame

FACE = torch.tensor([[-30.0, -20.0], [30.0, -22.0], [1.0, 5.0], [-20.0, 40.0], [22.0, 38.0]])


def placed(x, y, scale=1.0, angle=0.0):
    """The face at a place of a picture, turned clockwise."""
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[c, s], [-s, c]])
    return scale * FACE @ turn + torch.tensor([x, y])


def published(points):
    """The corners of the square, as the script that made FFHQ computes them."""
    left, right, _, mouth_left, mouth_right = np.asarray(points, float)
    eyes, mouth = (left + right) * 0.5, (mouth_left + mouth_right) * 0.5
    eye_to_eye, eye_to_mouth = right - left, mouth - eyes
    x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
    x /= np.hypot(*x)
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    y = np.flipud(x) * [-1, 1]
    c = eyes + eye_to_mouth * 0.1
    return np.stack([c - x - y, c - x + y, c + x + y, c + x - y])


def corners(frame):
    """Those of a frame, from the middles of its outer pixels at a fine side."""
    n = 4096
    at = frame.places(n)
    return np.stack([at[0, 0], at[-1, 0], at[-1, -1], at[0, -1]])


@given(st.floats(-1.2, 1.2), st.floats(0.3, 4.0))
def test_the_square_is_that_of_the_published_script(angle, scale):
    points = placed(210.0, 140.0, scale, angle)
    found = alignment.square(points)
    frame = Frame(found.x - found.half, found.y - found.half, 2 * found.half, found.angle)
    np.testing.assert_allclose(corners(frame), published(points), atol=0.05 * scale)


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.8, 0.8), st.floats(0.5, 2.0), st.floats(-0.2, 0.2))
def test_a_face_is_seen_where_the_generators_own_pictures_have_it(angle, scale, own_angle):
    """A generator with an alignment of its own: in the frame, the landmarks lie as in its pictures."""
    own = placed(70.0, 75.0, 0.4, own_angle)
    pictures = torch.zeros(3, 3, 128, 128)
    measured = alignment.measured(lambda _: [own], pictures)
    assert measured is not None
    there = placed(300.0, 200.0, scale, angle)
    frame = alignment.aligned(
        lambda _: [there], torch.zeros(1, 3, 400, 600), torch.ones(1, 1, 400, 600), measured
    )
    assert frame is not None
    middle = torch.tensor([frame.left, frame.top]) + frame.side / 2.0
    c, s = math.cos(frame.angle), math.sin(frame.angle)
    inside = (there - middle) @ torch.tensor([[c, -s], [s, c]]) * (128.0 / frame.side) + 64.0
    assert torch.allclose(inside, own, atol=0.05)


def test_the_selected_face_counts_and_else_the_largest():
    small, large = placed(100.0, 100.0, 0.5), placed(300.0, 150.0)
    image, everything = torch.zeros(1, 3, 300, 400), torch.ones(1, 1, 300, 400)
    own = alignment.Alignment(0.0, 0.0, 1.0, 0.0)
    frame = alignment.aligned(lambda _: [small, large], image, everything, own)
    assert frame is not None and frame.left + frame.side / 2 > 250
    mask = torch.zeros(1, 1, 300, 400)
    mask[..., :200, :200] = 1.0
    frame = alignment.aligned(lambda _: [large, small], image, mask, own)
    assert frame is not None and frame.left + frame.side / 2 < 150
    assert alignment.aligned(lambda _: [], image, mask, own) is None


def test_a_generator_without_faces_has_no_alignment():
    seen = iter([[FACE + 60.0], [], []])
    assert alignment.measured(lambda _: next(seen), torch.zeros(3, 3, 128, 128)) is None


def waves(x, y):
    return torch.stack([torch.sin(x / 9.0 + y / 14.0), torch.cos(x / 11.0), torch.sin(y / 8.0)])


@pytest.mark.parametrize("angle", [0.3, -1.0, 2.5])
def test_a_tilted_frame_shows_the_picture_tilted(angle):
    y, x = torch.meshgrid(torch.arange(160) + 0.5, torch.arange(200) + 0.5, indexing="ij")
    frame = Frame(60.0, 40.0, 70.0, angle)
    at = frame.places(48)
    exact = waves(*at.float().unbind(-1))
    assert (frame.take(waves(x, y)[None], 48)[0] - exact).abs().max() < 0.02


@settings(max_examples=25, deadline=None)
@given(st.floats(-3.0, 3.0), st.floats(-20, 60), st.floats(-20, 60), st.floats(20, 90))
def test_a_change_in_a_tilted_frame_comes_to_its_place_and_the_rest_keeps_its_bytes(angle, left, top, side):
    s, frame = 64, Frame(left, top, side, angle)
    image, change = torch.rand(1, 3, 90, 110), torch.zeros(1, 3, s, s)
    assert torch.equal(image + frame.put(change, (90, 110)), image)
    change[..., 28:36, 28:36] = 0.5
    put = frame.put(change, (90, 110))
    within = frame.within((90, 110))
    near = (within.abs() * s / 2 <= 4 + 5.0 * max(1.0, s / side)).all(-1)
    assert (put[0, 0][~near] == 0.0).all()
    core = (within.abs() * s / 2 <= 4 - 3.0 * max(1.0, s / side)).all(-1)
    assert (put[0, 0][core] - 0.5).abs().max() < 0.15 if core.any() else True


def test_parts_in_a_tilted_frame_come_back():
    y = torch.zeros(1, 32, 32, dtype=torch.int64)
    y[:, 8:24, 12:20] = 1
    likelihoods = torch.nn.functional.one_hot(y, 2).movedim(-1, 1).float()
    frame = Frame(30.0, 20.0, 96.0, 0.5)
    shown = painted.in_picture(likelihoods, frame, (150, 160))
    back = painted.in_frame(shown, frame, 32)
    assert (back >= 0).all() and (back == y).float().mean() > 0.98
    assert shown[0, 68, 78] == 1 and shown[0, 2, 2] == -1
