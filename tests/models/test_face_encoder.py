"""The encoder of a style-based generator."""

from __future__ import annotations

import pytest
import torch

from velatura.models.families.style_encoder import CHANNELS, Encoder

NUM_WS, W_DIM = 6, 24


def made(size: int, channels: tuple[int, ...]) -> Encoder:
    torch.manual_seed(0)
    return Encoder(size, NUM_WS, W_DIM, channels).eval()


@pytest.mark.parametrize(
    ("size", "channels"), [(16, (8, 12)), (32, (8, 8, 8)), (128, CHANNELS), (160, CHANNELS)]
)
def test_a_picture_of_any_size_becomes_one_row_a_layer(size: int, channels: tuple[int, ...]) -> None:
    encoder = made(size, channels)
    pictures = torch.randn(2, 3, size, size)
    ws = encoder(pictures)
    assert ws.shape == (2, NUM_WS, W_DIM)
    torch.testing.assert_close(ws[1:], encoder(pictures[1:]))  # a code does not depend on its neighbours
    assert not torch.allclose(ws[0], ws[1])


def test_layers_share_w_until_they_learn_an_offset() -> None:
    encoder = made(32, (8, 12, 16))
    pictures = torch.randn(2, 3, 32, 32)
    before = encoder(pictures)
    assert torch.equal(before, before[:, :1].expand_as(before))
    with torch.no_grad():
        encoder.offsets[2].normal_()
    moved = (encoder(pictures) - before).abs().amax((0, 2)) > 1e-4
    assert moved.tolist() == [False, False, False, True, False, False]


def test_w_tells_where_things_are() -> None:
    encoder = made(32, (8, 12, 16))
    picture = torch.zeros(1, 3, 32, 32)
    picture[..., 4:12, 4:12] = 1.0
    w, mirrored, blank = (encoder(x)[0, 0] for x in (picture, picture.flip(3), 0.0 * picture))
    assert (w - mirrored).norm() > 0.1 * (w - blank).norm()
