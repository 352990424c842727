"""The losses that guide, against their formulas written out."""

import math

import pytest
import torch
import torch.nn.functional as F

from tests.tiny import tiny_clip
from velatura.clip_guidance import augment, loss
from velatura.companions.clip import load_encoder
from velatura_protocol.errors import VelaturaError


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tiny_clip(tmp_path_factory.mktemp("clip"))
    return load_encoder(str(folder), torch.device("cpu"), torch.float32)


def pictures(n=2, side=24):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0


def test_distances_are_those_of_the_angle():
    for angle in (0.1, 1.0, 2.5):
        a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([math.cos(angle), math.sin(angle)])
        assert float(loss.cosine_distance(a, b)) == pytest.approx(1.0 - math.cos(angle), abs=1e-6)
        assert float(loss.spherical_distance(a, b)) == pytest.approx(angle**2 / 2.0, rel=1e-4)


def test_the_loss_is_the_mean_distance_of_the_views_of_the_masked_picture(encoder):
    x, mask = pictures(), torch.zeros(1, 1, 24, 24)
    mask[..., 4:20, 6:18] = 1.0
    side = encoder.processing.side
    text = loss.wanted(encoder, "a hat")
    clip_loss = loss.ClipLoss(encoder, text, augment.warps(3, side), mask)
    got = clip_loss(x, augment.generators([1, 2]))
    for i, seed in enumerate((1, 2)):
        seen = augment.warps(3, side)((x[i : i + 1] * mask + 1.0) / 2.0, augment.generators([seed]))[0]
        cosines = encoder.similarity(seen, ["a hat"])[:, 0]
        assert float(got[i]) == pytest.approx(float((1.0 - cosines).mean()), abs=1e-6)


def test_a_step_down_the_gradient_brings_the_picture_nearer_to_the_words(encoder):
    x = pictures(1).requires_grad_()
    clip_loss = loss.ClipLoss(encoder, loss.wanted(encoder, "a hat"), augment.whole(encoder.processing.side))
    before = clip_loss(x, [])
    (grad,) = torch.autograd.grad(before.sum(), x)
    after = clip_loss(x.detach() - 0.01 * grad / grad.abs().max(), [])
    assert float(after) < before.item()


def test_a_text_that_clip_does_not_read_to_its_end_is_refused(encoder):
    with pytest.raises(VelaturaError, match="shorten"):
        loss.wanted(encoder, "hat " * 200)


def test_range_and_background_losses():
    x = pictures()
    assert loss.range_loss(x).equal(torch.zeros(2))
    assert float(loss.range_loss(x * 0.0 + 1.5)[0]) == pytest.approx(0.25)
    mask = torch.zeros(1, 1, 24, 24)
    mask[..., :12] = 1.0
    changed = x[:1] + torch.cat([torch.ones(1, 3, 24, 12), torch.full((1, 3, 24, 12), 0.5)], dim=3)
    assert float(loss.background_loss(changed, x[:1], mask)) == pytest.approx(0.125)


def test_the_perceptual_loss_sees_only_the_outside_and_is_the_mean_over_layers(encoder):
    x, mask = pictures(1), torch.zeros(1, 1, 24, 24)
    mask[..., :12] = 1.0
    perceived = loss.Perceived(encoder, x, mask)
    assert float(perceived(x + mask)) == pytest.approx(0.0, abs=1e-6)
    changed = x * (1.0 - 0.5 * (1.0 - mask))
    seen = encoder.processing((torch.cat([x, changed]) * (1.0 - mask) + 1.0) / 2.0)
    layers = encoder.network.vision_model(pixel_values=seen, output_hidden_states=True).hidden_states
    wanted = [(F.normalize(y[1], dim=-1) - F.normalize(y[0], dim=-1)).square().sum(-1).mean() for y in layers]
    assert float(perceived(changed)) == pytest.approx(float(torch.stack(wanted).mean()), rel=1e-4)
    assert float(perceived(changed)) > 0.0
