"""What training shows more often, and how a decoded picture is judged."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from velatura_lab.readers.judge import BUNDLE as JUDGE
from velatura_lab.readers.judge import load_judge
from velatura_lab.training.critic import Critic, Features, Reversed, hinge_loss, perceptual_loss
from velatura_lab.training.data import load_dataset
from velatura_lab.training.export import BUNDLE
from velatura_lab.training.weak import FEW, FLOOR, picture_weights, shortfalls

SHARES = {
    "attributes_as_prompted": {"table": {"all": [0.5, 0.4, 0.6, 64], "second": [0.6, 0.5, 0.7, FEW]}},
    "judge_on_reconstructions": {"table": {"second": [0.9, 0.8, 1.0, 64]}},
}


def test_a_shortfall_is_what_the_model_loses_and_counts_half_where_few_were_asked():
    assert shortfalls(SHARES) == {("table", "second"): pytest.approx(0.15)}
    better = {**SHARES, "judge_on_reconstructions": {"table": {"second": [0.5, 0.4, 0.6, 64]}}}
    assert shortfalls(better) == {("table", "second"): 0.0}


def test_pictures_that_show_what_is_drawn_wrong_come_more_often(tmp_path):
    data, mine = load_dataset(tmp_path, 7, 12, 1, 64), np.arange(0, 12, 2)
    assert picture_weights(data, mine, None) == pytest.approx(np.full(6, 1 / 6))
    assert picture_weights(data, mine, tmp_path) == pytest.approx(np.full(6, 1 / 6))
    (tmp_path / "figures.json").write_text(json.dumps(SHARES))
    weights = picture_weights(data, mine, tmp_path)
    assert weights.sum() == pytest.approx(1.0)
    tables = np.array([data.scene(int(n)).kind == "table" for n in mine])
    assert tables.any() and not tables.all()
    assert weights[tables].max() / weights[~tables].max() == pytest.approx((FLOOR + 0.15) / FLOOR)


def test_the_bundle_that_ships_says_what_it_draws_wrong(tmp_path):
    found = shortfalls(json.loads((BUNDLE / "figures.json").read_text()))
    assert found and all(0.0 <= value < 1.0 for value in found.values())


def test_features_are_the_judges():
    images = torch.rand(2, 3, 128, 128)
    features, whole = Features(), load_judge(JUDGE).body[:9]
    with torch.no_grad():
        found = features(images * 2.0 - 1.0)
        torch.testing.assert_close(found[-1], whole(images * 2.0 - 1.0))
    assert [tuple(level.shape[1:]) for level in found] == [(32, 64, 64), (64, 32, 32), (128, 16, 16)]
    assert not any(parameter.requires_grad for parameter in features.parameters())


def test_softness_shows_in_the_features():
    picture = F.interpolate(torch.rand(1, 3, 32, 32), scale_factor=4)
    soft = F.interpolate(F.avg_pool2d(picture, 8), scale_factor=8, mode="bilinear")
    features = Features()
    exact, near, far = (features(p * 2.0 - 1.0) for p in (picture, torch.lerp(picture, soft, 0.2), soft))
    assert perceptual_loss(exact, exact) == 0.0
    assert 0.0 < perceptual_loss(near, exact) < perceptual_loss(far, exact)


def test_a_reversed_gradient_is_turned_round_and_scaled():
    x = torch.tensor([2.0], requires_grad=True)
    (3.0 * Reversed.apply(x, 0.1)).backward()
    assert x.grad.item() == pytest.approx(-0.3)


def test_critic_and_decoder_pull_against_each_other():
    """One step of each alone: the critic's lowers the loss of both, the decoder's raises it."""
    torch.manual_seed(0)
    critic = Critic().eval()
    drawn = [torch.randn(4, c, s, s) for c, s in ((32, 16), (64, 8), (128, 4))]
    decoded = [(0.5 * level.flip(0)).requires_grad_() for level in drawn]
    before = hinge_loss(critic, decoded, drawn, 1.0)
    before.backward()
    with torch.no_grad():
        moved = [level - 10.0 * level.grad for level in decoded]
        assert hinge_loss(critic, moved, drawn, 1.0) > before
        for parameter in critic.parameters():
            parameter -= 0.1 * parameter.grad
        assert hinge_loss(critic, decoded, drawn, 1.0) < before
