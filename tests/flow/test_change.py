"""What is seen to have changed, and what keeps the layer's own pixels."""

from __future__ import annotations

import torch

from velatura.flow.change import CERTAIN, SEEN, change, kept, lab

SIZE = 64


def grey(level):
    return torch.full((1, 3, SIZE, SIZE), 2.0 * level / 255.0 - 1.0)


def test_lab_of_known_colours():
    """sRGB's white, black, mid grey and primaries (CIE 15; the figures are Lindbloom's, D65)."""
    known = {
        (255, 255, 255): (100.0, 0.0, 0.0),
        (0, 0, 0): (0.0, 0.0, 0.0),
        (119, 119, 119): (50.03, 0.0, 0.0),
        (255, 0, 0): (53.24, 80.09, 67.20),
        (0, 255, 0): (87.73, -86.18, 83.18),
        (0, 0, 255): (32.30, 79.19, -107.86),
    }
    rgb = torch.tensor(list(known), dtype=torch.float32).view(-1, 3, 1, 1) / 127.5 - 1.0
    assert torch.allclose(lab(rgb).view(-1, 3), torch.tensor(list(known.values())), atol=0.05)


def test_what_one_does_not_see_comes_back_bit_for_bit():
    before = grey(128) + 0.002 * torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    after = before + 0.004
    assert kept(after, before, 2).equal(before)
    assert not change(after, before, 2).any()


def test_what_one_sees_is_the_edit_and_its_edge_fades():
    before, after = grey(128), grey(128)
    after[..., 20:40, 20:40] = grey(200)[..., :20, :20]
    weight = change(after, before, 2)[0, 0]
    assert (weight[24:36, 24:36] == 1.0).all()
    assert not weight[:8].any() and not weight[:, 54:].any()
    edge = weight[30, 8:24]
    assert (edge.diff() >= 0.0).all() and edge.diff().max() < 0.25
    shown = kept(after, before, 2)
    assert shown[..., 24:36, 24:36].equal(after[..., 24:36, 24:36])
    assert shown[..., :8, :].equal(before[..., :8, :])


def test_the_threshold_is_a_difference_that_is_just_noticed():
    before = grey(128)
    lightness = float(lab(before)[0, 0, 0, 0])
    for level in range(128, 200):
        difference = float(lab(grey(level))[0, 0, 0, 0]) - lightness
        weight = float(change(grey(level), before, 2)[0, 0, 32, 32])
        assert (weight == 0.0) == (difference <= SEEN)
        assert (weight == 1.0) == (difference >= CERTAIN)


def test_the_restlessness_of_a_model_is_no_change():
    """Of one that paints the whole picture anew; a new colour of the whole picture is a change."""
    noise = torch.Generator().manual_seed(0)
    before = grey(128) + 0.2 * torch.rand(1, 3, SIZE, SIZE, generator=noise)
    after = before + 0.03 * torch.randn(1, 3, SIZE, SIZE, generator=noise)
    after[..., 20:40, 20:40] = grey(230)[..., :20, :20]
    assert (change(after, before, 2) > 0.0).float().mean() > 0.9
    weight = change(after, before, 2, 4.0)
    assert (weight[..., 24:36, 24:36] == 1.0).all() and (weight == 0.0).float().mean() > 0.6
    warmer = before + torch.tensor([0.06, 0.0, -0.06]).view(1, 3, 1, 1)
    both = change(torch.cat([after, warmer]), before, 2, 4.0)
    assert both[:1].equal(weight) and (both[1] == 1.0).all()
    assert kept(warmer, before, 2, 4.0).equal(kept(warmer, before, 2))
