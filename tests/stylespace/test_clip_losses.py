"""StyleCLIP's losses against their formulas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.stylespace.toys import Linear, Looks
from velatura.clip_guidance.augment import generators
from velatura.stylespace.clip_losses import IdentityLoss, area, d_clip, looks


@pytest.mark.parametrize(("side", "to"), [(64, 14), (32, 7), (16, 16), (8, 12), (48, 32)])
def test_the_view_is_the_published_enlargement_and_pooling(side, to):
    x = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)).double()
    enlarged = F.interpolate(x, scale_factor=to, mode="nearest")
    torch.testing.assert_close(area(to)(x, ())[:, 0], F.avg_pool2d(enlarged, side))


def test_the_view_of_a_picture_that_is_not_square_keeps_its_mean():
    x = torch.rand(1, 3, 10, 6, generator=torch.Generator().manual_seed(0))
    seen = area(4)(x, ())
    assert seen.shape == (1, 1, 3, 4, 4)
    torch.testing.assert_close(seen.mean((3, 4))[:, 0], x.mean((2, 3)))


def test_the_distance_is_one_minus_the_cosine():
    clip, x = Looks(side=4), torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    text = clip.text("a beard")
    seen = F.avg_pool2d((x + 1) / 2, 2).flatten(1) @ clip.A
    expected = 1 - F.cosine_similarity(seen, text[None])
    torch.testing.assert_close(d_clip(clip, text)(x, generators([0, 1, 2])), expected)


def test_more_views_begin_with_the_whole_picture_and_follow_from_their_generators():
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = looks(3, 4)(x, generators([5, 6]))
    assert seen.shape == (2, 3, 3, 4, 4)
    torch.testing.assert_close(seen[:, :1], area(4)(x, ()))
    assert not torch.equal(seen[:, 1], seen[:, 0])
    torch.testing.assert_close(looks(3, 4)(x[1:], generators([6])), seen[1:])


def test_the_identity_loss_is_one_minus_the_cosine_of_edited_and_source():
    model, R = Linear(), Looks(seed=3)
    source = model.synthesise(model.styles(model.wplus(model.sample([0, 1])))).pictures
    edited = (source + 0.3 * torch.randn(source.shape, generator=torch.Generator().manual_seed(0))).clone()
    loss = IdentityLoss.of(R, source)
    a, b = (((x + 1) / 2).flatten(1) @ R.A for x in (source, edited))
    torch.testing.assert_close(loss(edited), 1 - F.cosine_similarity(a, b))
    torch.testing.assert_close(loss(source), torch.zeros(2), atol=1e-6, rtol=0)
    (gradient,) = torch.autograd.grad(loss(edited.requires_grad_()).sum(), edited)
    assert gradient.abs().sum() > 0
