"""Text2LIVE: its losses against their formulas, the relevancy against transformers' attention, its layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.tiny import tiny_clip
from velatura.clip_guidance import edit_layer as el
from velatura.clip_guidance.augment import whole
from velatura.clip_guidance.painter import Painter
from velatura.clip_guidance.vision import relevancy, self_similarity
from velatura.companions.clip import load_encoder


class Stop(Exception):
    pass


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return load_encoder(str(tiny_clip(tmp_path_factory.mktemp("clip"))), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def picture():
    return torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(4))


def eager(clip, picture, **wanted):
    """transformers' own vision tower with its plain attention."""
    vision = clip.network.vision_model
    before = vision.config._attn_implementation
    vision.config._attn_implementation = "eager"
    try:
        return vision(pixel_values=clip.processing(picture), **wanted)
    finally:
        vision.config._attn_implementation = before


def test_the_attentions_are_those_of_transformers(clip, picture):
    vectors, attentions = clip.attentions(picture)
    torch.testing.assert_close(vectors, clip.images(picture), rtol=1e-5, atol=1e-6)
    theirs = eager(clip, picture, output_attentions=True).attentions
    assert len(theirs) == len(attentions) == 2
    for A, B in zip(attentions, theirs, strict=True):
        torch.testing.assert_close(A, B, rtol=1e-5, atol=1e-6)


def test_the_relevancy_is_that_of_chefer(clip, picture):
    text = clip.text("a hat")
    network = clip.network
    output = eager(clip, picture.clone().requires_grad_(), output_attentions=True)
    vector = F.normalize(network.visual_projection(output.pooler_output), dim=-1)
    gradients = torch.autograd.grad((vector @ text).sum(), output.attentions)
    R = torch.eye(17)
    for A, dA in zip(output.attentions, gradients, strict=True):
        R = R + torch.stack([(dA[0, h] * A[0, h]).relu() for h in range(2)]).mean(0) @ R
    map = F.interpolate(R[0, 1:].view(1, 1, 4, 4), (32, 32), mode="bilinear").detach()
    expected = (map - map.min()) / (map.max() - map.min())
    torch.testing.assert_close(relevancy(clip, picture, text), expected, rtol=1e-4, atol=1e-5)


def test_the_self_similarity_is_of_the_tokens_before_the_last_block(clip, picture):
    tokens = eager(clip, picture, output_hidden_states=True).hidden_states[1][0]
    S = torch.stack([torch.stack([F.cosine_similarity(a, b, dim=0) for b in tokens]) for a in tokens])
    torch.testing.assert_close(self_similarity(clip, picture)[0], S, rtol=1e-4, atol=1e-5)


def test_the_losses_are_those_of_the_paper(clip, picture):
    g = torch.Generator().manual_seed(5)
    layer, mask = torch.rand(1, 4, 32, 32, generator=g), torch.rand(1, 1, 32, 32, generator=g)
    wanted = el.Wanted(*(clip.text(text) for text in ("a red hat", "red", "a hat", "hat")))
    weights = el.Weights(screen=0.7, structure=1.3, sparsity=3.0)
    loss = el._loss(clip, picture, mask, layer, wanted, whole(32), weights, seed=0)
    alpha = layer[:, 3:] * mask
    x = alpha * layer[:, :3] + (1 - alpha) * picture
    green = torch.tensor([0.0, 177 / 255, 64 / 255])[None, :, None, None]
    on_green = alpha * layer[:, :3] + (1 - alpha) * green

    def far(a, b):
        return 0.5 * torch.acos(F.cosine_similarity(a, b[None])).square().mean()

    before, after = clip.images(picture), clip.images(x)
    expected = far(after, wanted.composite)
    expected += 1 - F.cosine_similarity(after - before, (wanted.composite - wanted.source)[None]).mean()
    expected += 0.7 * far(clip.images(on_green), wanted.layer)
    expected += 1.3 * (self_similarity(clip, x) - self_similarity(clip, picture)).square().mean()
    l0 = (2 * torch.sigmoid(5 * alpha) - 1).mean()
    expected += 3.0 * (0.01 * alpha.mean() + 0.01 * l0)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def paint(clip, picture, begun=None, after_step=lambda step: None, steps=4, seed=1, place=True):
    wanted = el.Wanted(clip.text("red"), clip.text("red"), None, clip.text("hat") if place else None)
    mask = torch.ones(1, 1, *picture.shape[-2:])
    return el.paint(
        clip,
        picture,
        mask,
        wanted,
        whole(32),
        seed,
        steps=steps,
        rate=0.01,
        weights=el.Weights(),
        after_step=after_step,
        begun=[] if begun is None else begun,
    )


def test_the_layer_has_the_pictures_size_and_depends_on_the_seed(clip, picture):
    wide = F.interpolate(picture, (40, 72))
    layer = paint(clip, wide, steps=2)
    assert layer.shape == (1, 4, 40, 72) and layer.min() >= 0.0 and layer.max() <= 1.0
    assert torch.equal(layer, paint(clip, wide, steps=2))
    assert not torch.equal(layer, paint(clip, wide, steps=2, seed=2))


def test_a_stopped_painter_goes_on_to_the_same_layer(clip, picture):
    def stop(step):
        if step.i == 1:
            raise Stop

    begun, seen = [], []
    with pytest.raises(Stop):
        paint(clip, picture, begun, stop)
    layer = paint(clip, picture, begun, lambda step: seen.append((step.i, step.composite().shape)))
    assert seen == [(2, picture.shape), (3, picture.shape)]
    assert torch.equal(layer, paint(clip, picture))


def test_training_lowers_the_loss(clip, picture):
    mask = torch.ones(1, 1, 32, 32)
    wanted = el.Wanted(clip.text("red"), clip.text("red"))

    def loss(layer):
        with torch.no_grad():
            return el._loss(clip, picture, mask, layer, wanted, whole(32), el.Weights(), 0).item()

    assert loss(paint(clip, picture, steps=12, place=False)) < loss(Painter(1)(picture).detach())
