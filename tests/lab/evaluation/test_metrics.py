"""Distances between pictures, against closed forms and slow plain loops."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from velatura_lab.evaluation import metrics

SEEDS = st.integers(0, 2**31 - 1)


def pictures(seed, n=2, side=16):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


def features(seed, n=2):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, c, s, s, generator=generator) for c, s in ((4, 8), (6, 4))]


def test_psnr_of_a_constant_difference():
    a = torch.full((1, 3, 8, 8), 0.5)
    assert metrics.psnr(a, a + 0.1)[0].item() == pytest.approx(20.0, abs=1e-5)
    assert metrics.psnr(a, a)[0].item() == math.inf
    assert metrics.psnr(a, a, floor=metrics.ROUNDING)[0].item() == pytest.approx(58.92, abs=0.01)


def test_a_weight_picks_the_pixels_that_count():
    a = torch.zeros(1, 3, 4, 4)
    b, weight = a.clone(), torch.zeros(1, 1, 4, 4)
    b[..., :2], weight[..., 2:] = 1.0, 1.0
    assert metrics.mse(a, b)[0] == 0.5
    assert metrics.mse(a, b, weight)[0] == 0.0
    assert metrics.mean_change(a, b, 1.0 - weight)[0] == 255.0
    assert metrics.mse(a, b, torch.zeros(1, 1, 4, 4))[0].isnan()


def slow_ssim(a, b):
    """Equation 13 of Wang et al. 2004 written as it stands, one window at a time, (h, w) each."""
    g = torch.tensor([math.exp(-((i - 5) ** 2) / 4.5) for i in range(11)], dtype=torch.float64)
    w = g[:, None] * g[None] / g.sum() ** 2
    total = []
    for top in range(a.shape[0] - 10):
        for left in range(a.shape[1] - 10):
            x = a[top : top + 11, left : left + 11].double()
            y = b[top : top + 11, left : left + 11].double()
            mx, my = (w * x).sum(), (w * y).sum()
            vx, vy = (w * (x - mx) ** 2).sum(), (w * (y - my) ** 2).sum()
            cov = (w * (x - mx) * (y - my)).sum()
            top_part = (2 * mx * my + 1e-4) * (2 * cov + 9e-4)
            total.append(top_part / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)))
    return float(sum(total) / len(total))


@given(SEEDS)
def test_ssim_is_the_papers(seed):
    a, b = pictures(seed, 2, 14).split(1)
    b = 0.5 * a + 0.5 * b
    slow = sum(slow_ssim(a[0, c], b[0, c]) for c in range(3)) / 3
    assert metrics.ssim(a, b)[0].item() == pytest.approx(slow, abs=1e-9)


def test_ssim_of_constant_pictures_is_the_luminance_term():
    a, b = torch.full((1, 3, 12, 12), 0.4), torch.full((1, 3, 12, 12), 0.8)
    expected = (2 * 0.4 * 0.8 + 1e-4) / (0.4**2 + 0.8**2 + 1e-4)
    assert metrics.ssim(a, b)[0].item() == pytest.approx(expected, abs=1e-6)


def test_ssim_under_a_weight_sees_only_what_lies_there():
    a = pictures(1, 1, 40)
    b = a.clone()
    b[..., :12] = 1.0 - b[..., :12]
    weight = torch.zeros(1, 1, 40, 40)
    weight[..., 20:] = 1.0  # the window reaches five pixels, so the change is out of its reach
    assert metrics.ssim(a, b, weight)[0].item() == pytest.approx(1.0, abs=1e-9)
    assert metrics.ssim(a, b)[0] < 0.9


@given(SEEDS, SEEDS)
def test_distances_are_symmetric_and_zero_for_the_same(first, second):
    a, b = pictures(first), pictures(second)
    for distance in (metrics.mse, metrics.mean_change):
        torch.testing.assert_close(distance(a, b), distance(b, a))
        assert distance(a, a).abs().max() == 0.0
    torch.testing.assert_close(metrics.ssim(a, b), metrics.ssim(b, a))
    assert (metrics.ssim(a, b) <= 1.0 + 1e-9).all()
    f, g = features(first), features(second)
    torch.testing.assert_close(metrics.perceptual_distance(f, g), metrics.perceptual_distance(g, f))
    assert metrics.perceptual_distance(f, f).abs().max() == 0.0


@given(SEEDS, st.floats(0.1, 10.0))
def test_perceptual_distance_knows_directions_only(seed, scale):
    f, g = features(seed), features(seed + 1)
    scaled = [scale * x for x in f]
    torch.testing.assert_close(metrics.perceptual_distance(f, g), metrics.perceptual_distance(scaled, g))


def test_perceptual_distance_of_orthogonal_and_opposite_features():
    x, y = torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    x[:, 0], y[:, 1] = 1.0, 1.0
    assert metrics.perceptual_distance([x, x], [y, y])[0] == pytest.approx(4.0)
    assert metrics.perceptual_distance([x], [-x])[0] == pytest.approx(4.0)


@given(SEEDS)
def test_structure_does_not_change_with_a_rotation_of_the_features(seed):
    generator = torch.Generator().manual_seed(seed)
    f = torch.randn(2, 9, 5, generator=generator, dtype=torch.float64)
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))
    assert metrics.structure_distance(f, f @ rotation).max() < 1e-12
    g = torch.randn(2, 9, 5, generator=generator, dtype=torch.float64)
    assert ((metrics.structure_distance(f, g) > 0) & (metrics.structure_distance(f, g) <= 4)).all()


def test_structure_distance_of_two_places():
    together = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    apart = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert metrics.structure_distance(together, apart)[0] == pytest.approx(0.5)  # two of four cosines: 1 -> 0


def test_directional_similarity():
    e, f = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    assert metrics.directional_similarity(e, f, e, f)[0] == pytest.approx(1.0)
    assert metrics.directional_similarity(e, f, f, e)[0] == pytest.approx(-1.0)
    assert metrics.directional_similarity(e, e, e, f)[0] == 0.0


def test_diversity_is_the_mean_over_pairs():
    f = features(3, 3)
    one = [
        metrics.perceptual_distance([x[[i]] for x in f], [x[[j]] for x in f]).item()
        for i, j in ((0, 1), (0, 2), (1, 2))
    ]
    assert metrics.diversity(f) == pytest.approx(sum(one) / 3)
    assert math.isnan(metrics.diversity([x[:1] for x in f]))
    assert metrics.diversity([x[:1].expand(4, -1, -1, -1) for x in f]) == 0.0


def test_leakage_and_closeness():
    source, region = torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    region[..., :2] = 1.0
    target = source + region
    assert metrics.leakage(target, source, region)[0] == 0.0
    assert metrics.leakage(torch.full_like(source, 0.2), source, region)[0] == pytest.approx(51.0)
    assert metrics.closeness(target, source, target, region)[0] == 1.0
    assert metrics.closeness(source, source, target, region)[0] == 0.0
    assert metrics.closeness(0.5 * target, source, target, region)[0] == pytest.approx(0.5)
    assert metrics.closeness(source - region, source, target, region)[0] == pytest.approx(-1.0)
