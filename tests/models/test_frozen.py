"""Frozen convolutions are the convolutions that they were made of, gradients included."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.tiny_styles import tiny_model
from velatura.models.families import style_generator
from velatura.models.families.frozen_convolutions import Frozen, FrozenConv2d, frozen


def random(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def agree(found, expected, x):
    torch.testing.assert_close(found, expected)
    direction = random(*expected.shape, seed=9)
    torch.testing.assert_close(
        *(torch.autograd.grad((direction * y).sum(), x)[0] for y in (found, expected)), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("k", [1, 3, 5])
def test_a_convolution_that_keeps_the_size(k):
    x, weight, bias = random(2, 4, 6, 7).requires_grad_(), random(5, 4, k, k, seed=2), random(5, seed=3)
    made = Frozen(weight)
    agree(made.same(x, bias), F.conv2d(x, weight, bias, padding=k // 2), x)
    torch.testing.assert_close(made.squares, weight.square().sum((2, 3)))


def test_a_convolution_that_doubles_the_size():
    x, weight = random(2, 4, 5, 6).requires_grad_(), random(3, 4, 3, 3, seed=2)
    agree(Frozen(weight, up=True).doubled(x), F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), x)


def test_weights_made_in_inference_mode_can_take_part_in_a_gradient():
    with torch.inference_mode():
        made = Frozen(random(3, 3, 3, 3))
        assert made.squares.shape == made.adjoint.shape[:2]
    x = random(1, 3, 4, 4).requires_grad_()
    made.same(x).sum().backward()
    assert x.grad is not None


def test_a_network_is_copied_and_only_plain_convolutions_are_replaced():
    plain, strided = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1, stride=2)
    network = nn.Sequential(plain, nn.Sequential(nn.ReLU(), strided), nn.Conv2d(3, 3, 3, padding=0))
    network.double().requires_grad_(False)
    copy = frozen(network)
    kinds = [type(m) for m in copy.modules()]
    assert kinds.count(FrozenConv2d) == 1 and kinds.count(nn.Conv2d) == 2
    assert network[0] is plain and network[1][1] is strided
    x = random(1, 3, 9, 8).requires_grad_()
    agree(copy(x), network(x), x)


@pytest.mark.parametrize("latents", [False, True])
def test_a_model_with_frozen_weights_has_the_gradient_of_one_without(latents):
    model, other = tiny_model(latents=latents), tiny_model(latents=latents)
    other._synthesis.thaw()
    if latents:
        other._decoder = other.loaded.decoder.decoder
    ws = model.wplus(model.sample([1, 2])).clone().requires_grad_()
    found, expected = (m.synthesise(m.styles(ws)).pictures for m in (model, other))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    direction = random(*found.shape).float()
    a, b = (torch.autograd.grad((direction * y).sum(), ws)[0] for y in (found, expected))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


def test_a_search_rounds_little_and_the_generator_itself_not_at_all(monkeypatch):
    monkeypatch.setattr(style_generator, "FAST_BFLOAT16", True)
    model = tiny_model(latents=True)
    ws = model.wplus(model.sample([1, 2])).clone().requires_grad_()
    before = model.synthesise(model.styles(ws)).pictures
    search = model.for_search()
    assert search is model.for_search() and search is not model
    rounded = search.synthesise(search.styles(ws)).pictures
    assert torch.equal(model.synthesise(model.styles(ws)).pictures, before)
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, before)
    assert float((rounded - before).detach().square().mean().sqrt()) < 0.01
    direction = random(*before.shape).float()
    a, b = (torch.autograd.grad((direction * y).sum(), ws)[0].flatten() for y in (rounded, before))
    assert float(F.cosine_similarity(a, b, dim=0)) > 0.99
    tuned = model.tuned()
    assert tuned.for_search() is not search  # its synthesis is its own
    assert tiny_model().for_search().digest == tiny_model().digest  # pictures without a decoder


def test_without_the_processor_for_it_a_search_is_exact(monkeypatch):
    monkeypatch.setattr(style_generator, "FAST_BFLOAT16", False)
    model = tiny_model(latents=True)
    assert model.for_search() is model
