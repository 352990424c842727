"""Placement of an edited picture, on pictures that are known at every point, between pixels too."""

from __future__ import annotations

import math

import pytest
import torch

from velatura.reconstruction.registration import FELT, Placement, placed, register


def texture(height, width, placement=None, seed=0):
    """A sum of waves, three colours in [-1, 1], at the points of which the placement says that they lie on
    the layer's pixels: [1, 3, h, w]."""
    scale, (dy, dx) = placement or Placement()
    y = torch.arange(height, dtype=torch.float64) - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64) - (width - 1) / 2
    y, x = (y - dy) / scale, (x - dx) / scale
    rng = torch.Generator().manual_seed(seed)
    angle, phase = (2 * math.pi * torch.rand(80, generator=rng, dtype=torch.float64) for _ in range(2))
    frequency = 0.01 * 12.0 ** torch.rand(80, generator=rng, dtype=torch.float64)  # of a pixel
    size = torch.randn(80, 3, generator=rng, dtype=torch.float64)
    size = size * (0.01 / frequency[:, None]).sqrt()
    fy, fx = (2 * math.pi * frequency * f(angle) for f in (torch.sin, torch.cos))
    waves = torch.sin(fy[:, None, None] * y[:, None] + fx[:, None, None] * x + phase[:, None, None])
    colours = torch.einsum("kc,khw->chw", size, waves)[None]
    return (colours / 16.0).clamp(-0.95, 0.95).float()


def changed(picture, rows, columns):
    """The picture with other content in a part of it."""
    other = picture.clone()
    h, w = picture.shape[-2:]
    part = (slice(None), slice(None), slice(*rows), slice(*columns))
    other[part] = texture(h, w, seed=9)[part]
    return other


def error(found, true, height, width):
    """The largest distance of a corner from its true place, in pixels."""
    scale = 1.0 + found.scale - true.scale
    return Placement(scale, (found.shift[0] - true.shift[0], found.shift[1] - true.shift[1])).move(
        height, width
    )


PLACES = {
    "none": Placement(),
    "part of a pixel": Placement(1.0, (0.3, -0.4)),
    "some pixels": Placement(1.0, (-3.7, 5.2)),
    "far": Placement(1.0, (21.4, -17.3)),
    "zoomed in": Placement(1.03, (0.0, 0.0)),
    "zoomed out": Placement(0.94, (2.5, -1.25)),
    "far and zoomed": Placement(1.1, (-9.3, 12.8)),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("size", [(128, 128), (96, 160)])
def test_a_place_is_found_to_a_tenth_of_a_pixel(name, size):
    true = PLACES[name]
    layer, edited = texture(*size), texture(*size, true)
    found = register(edited, layer)
    assert found is not None and error(found.placement, true, *size) < 0.1
    assert found.residual < 0.1


@pytest.mark.parametrize("name", PLACES)
def test_changed_parts_brightness_and_noise_do_not_matter(name):
    true = PLACES[name]
    edited = changed(texture(128, 128, true), (20, 80), (50, 118))  # a quarter
    edited = 0.8 * edited + 0.1 + 0.01 * torch.randn(edited.shape, generator=torch.Generator().manual_seed(1))
    found = register(edited, texture(128, 128))
    assert found is not None and error(found.placement, true, 128, 128) < 0.1
    assert found.residual < 0.3


def test_the_picture_is_put_back():
    layer, true = texture(128, 128), Placement(1.02, (3.3, -2.6))
    edited = texture(128, 128, true)
    found = register(edited, layer)
    back = placed(edited, found.placement)
    inner = (slice(None), slice(None), slice(12, -12), slice(12, -12))
    assert (back - layer)[inner].abs().max() < 0.02 < (edited - layer)[inner].abs().max()
    assert back.isfinite().all()


def test_a_move_that_is_not_felt_leaves_every_bit():
    picture = texture(64, 64)
    assert placed(picture, Placement(1.0, (0.5 * FELT, 0.0))) is picture
    assert not placed(picture, Placement(1.0, (2.0 * FELT, 0.0))).equal(picture)


@pytest.mark.parametrize("other", [texture(128, 128, seed=5), torch.zeros(1, 3, 128, 128)])
def test_a_new_picture_has_no_place(other):
    assert register(other, texture(128, 128)) is None


def test_what_is_left_is_told():
    """A picture whose halves have moved apart fits no placement."""
    size, apart = (128, 128), 1.5
    left, right = (texture(*size, Placement(1.0, (shift, 0.0))) for shift in (-apart, apart))
    edited = torch.cat([left[..., :64], right[..., 64:]], -1)
    found = register(edited, texture(*size))
    assert found is not None and 0.5 * apart < found.residual < 2.5 * apart
