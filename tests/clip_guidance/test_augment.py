"""CLIP's views of a picture."""

import math

import pytest
import torch

from velatura.clip_guidance import augment


def pictures(n=2, h=12, w=16):
    return torch.rand(n, 3, h, w, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("views", [augment.warps(4, 20), augment.cutouts(4, 20)])
def test_a_pictures_views_depend_on_its_own_generator_alone(views):
    x = pictures()
    together = views(x, augment.generators([5, 6]))
    assert together.shape == (2, 4, 3, 20, 20)
    torch.testing.assert_close(together[1:], views(x[1:], augment.generators([6])), rtol=0, atol=0)
    assert not together[0].equal(views(x[:1], augment.generators([6]))[0])


def test_the_first_warp_is_the_picture_and_the_others_are_warped():
    x = pictures(1, 20, 20)
    views = augment.warps(8, 20)(x, augment.generators([1]))[0]
    assert views[0].equal(x[0])
    changed = [not torch.allclose(view, x[0], atol=1e-3) for view in views[1:]]
    assert sum(changed) >= 5  # one in eleven is neither moved nor bent
    assert augment.warps(1, 20)(x, augment.generators([1])).equal(x[:, None])


def test_a_warp_shows_the_picture_where_its_homography_says():
    """A picture whose values are their own places shows, at each place of the view, that place's preimage."""
    side = 33
    line = (torch.arange(side) * 2.0 + 1.0) / side - 1.0
    y, x = torch.meshgrid(line, line, indexing="ij")
    picture = torch.stack([x, y, torch.zeros_like(x)])[None]
    for seed in range(6):
        H = augment._homography(torch.Generator().manual_seed(seed))
        shown = augment._warped(picture, H[None, None])[0, 0]
        for row, column in ((0, 0), (5, 28), (16, 16), (32, 7)):
            u = torch.stack([line[column], line[row], torch.tensor(1.0)]).double()
            wanted = H @ u
            wanted = (wanted[:2] / wanted[2]).clamp(float(line[0]), float(line[-1]))  # the edge continues
            torch.testing.assert_close(shown[:2, row, column].double(), wanted, rtol=0, atol=1e-4)


def test_perspective_moves_the_corners_inwards():
    inwards = torch.tensor([[0.1, 0.2], [0.0, 0.3], [0.5, 0.5], [0.25, 0.0]], dtype=torch.float64)
    H = augment._perspective(inwards)
    for corner, inward in zip([(-1, -1), (1, -1), (1, 1), (-1, 1)], inwards, strict=True):
        corner = torch.tensor(corner, dtype=torch.float64)
        place = H @ torch.cat([corner * (1.0 - inward), torch.ones(1, dtype=torch.float64)])
        torch.testing.assert_close(place[:2] / place[2], corner)


def test_cutouts_are_squares_of_the_picture_within_their_sizes():
    x = torch.arange(24.0).expand(1, 3, 18, 24)  # columns by number
    views = augment.cutouts(32, 9, least=0.5)(x, augment.generators([3]))[0]
    widths = (views[:, 0, 0, -1] - views[:, 0, 0, 0]) * 9 / 8  # of the columns that a view shows
    assert 8.0 <= float(widths.min()) < 11.0 and 15.0 < float(widths.max()) <= 18.5
    assert float(views[:, 0, 0].max()) > 20.0 and float(views[:, 0, 0].min()) < 3.0


def test_the_gradient_reaches_every_place_of_the_picture():
    x = pictures(1, 16, 16).requires_grad_()
    for views in (augment.warps(3, 16), augment.cutouts(12, 16), augment.whole(8)):
        (grad,) = torch.autograd.grad(views(x, augment.generators([2])).square().sum(), x)
        assert math.isfinite(float(grad.sum())) and float((grad != 0).float().mean()) > 0.9
