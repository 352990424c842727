"""Where an edit replaces what a layer shows: no ghost of the old part stays, the rest keeps its detail."""

from __future__ import annotations

import torch

from tests.tiny_styles import tiny_model
from velatura.stylespace.frames import Frame
from velatura.stylespace.replacing import laid_in, parts_of, replaced


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0


def parts(*squares):
    """Probabilities of two parts in a picture of 32 pixels; the second is in the squares."""
    second = torch.zeros(1, 1, 32, 32)
    for rows, columns in squares:
        second[..., slice(*rows), slice(*columns)] = 1.0
    return torch.cat([1.0 - second, second], 1)


def test_another_part_replaces_and_another_colour_does_not():
    hair, hat = parts(((4, 12), (4, 28))), parts(((4, 20), (4, 28)))
    own = replaced(torch.ones(1, 3, 32, 32), hair, hat)
    assert torch.equal(own[..., 12:20, 4:28], torch.ones(1, 1, 8, 24))
    assert not own[..., :10, :].any() and not own[..., 22:, :].any()
    assert not replaced(noise(1, 3, 32, 32), hair, hair).any()


def test_a_model_without_parts_replaces_where_it_changes_much():
    change = torch.zeros(2, 3, 32, 32)
    change[0, 1, 8:16, 8:16] = -0.9
    change[1, 1, 8:16, 8:16] = 0.3
    own = replaced(change, None, None)
    assert torch.equal(own[0, 0, 8:16, 8:16], torch.ones(8, 8))
    assert not own[0, 0, :6].any() and not own[1].any()
    assert parts_of(tiny_model(segmentation=False), None) is None


def test_no_detail_of_the_layer_stays_where_another_part_is_shown():
    """A sharp layer four times as large as the generator's picture, in a frame within it."""
    layer, frame = noise(1, 3, 160, 150), Frame(11.0, 17.0, 128.0)
    unedited, edited = noise(1, 3, 32, 32, seed=1) * 0.5, noise(1, 3, 32, 32, seed=2) * 0.5
    own = torch.zeros(1, 1, 32, 32)
    own[..., 8:24, 8:24] = 1.0
    out = laid_in(layer, frame, unedited, (edited - unedited) * own, own)
    inner = (..., slice(17 + 44, 17 + 84), slice(11 + 44, 11 + 84))
    whole = frame.put(edited, (160, 150))
    torch.testing.assert_close(out[inner], whole[inner], atol=1e-5, rtol=0.0)
    changed = (out != layer).any(1)[0].nonzero()
    assert (changed.amin(0) >= torch.tensor([17 + 24, 11 + 24])).all()
    assert (changed.amax(0) <= torch.tensor([17 + 104, 11 + 104])).all()


def test_a_replaced_part_of_one_colour_has_that_colour_up_to_the_frames_soft_border():
    """Mixed colours are premultiplied: nothing darker or brighter appears at the edges."""
    layer, frame = torch.full((1, 3, 96, 96), 0.6), Frame(16.0, 16.0, 64.0)
    whole = torch.ones(1, 1, 32, 32)
    out = laid_in(layer, frame, torch.full((1, 3, 32, 32), 0.6), torch.zeros(1, 3, 32, 32), whole)
    torch.testing.assert_close(out, layer, atol=1e-5, rtol=0.0)
