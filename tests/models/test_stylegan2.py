"""The networks of StyleGAN2 against their formulas written out plainly."""

from __future__ import annotations

import pytest
import torch

from tests.models import style_reference as plain
from velatura.models.families.stylegan2 import Shape, StyleGAN2

LR = 0.1


def network(**more):
    shape = Shape(
        **{"z_dim": 12, "c_dim": 0, "w_dim": 10, "channels": (8, 7, 6, 5), "mapping_layers": 3} | more
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = StyleGAN2(shape).double()
        for name, value in made.named_parameters():
            if name.endswith(("bias", "noise_strength")):
                value.data.add_(0.3 * torch.randn_like(value))
        made.mapping.w_avg.copy_(torch.randn(shape.w_dim))
    return made


def random(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("clamp", [None, 0.7])
@pytest.mark.parametrize("colours", [3, 4])
def test_pictures_of_styles_are_those_of_the_formulas(clamp, colours):
    made = network(clamp=clamp, img_channels=colours)
    ws = random(3, made.shape.num_ws, 10)
    with torch.no_grad():
        result = made.synthesis(made.synthesis.styles(ws))
        expected = plain.synthesis(made.state_dict(), ws, blocks=4, clamp=clamp)
    assert result.picture.shape == (3, colours, 32, 32)
    assert [tuple(x.shape[1:]) for x in result.features] == [(8, 4, 4), (7, 8, 8), (6, 16, 16), (5, 32, 32)]
    torch.testing.assert_close(result.picture, expected, rtol=1e-9, atol=1e-9)


def test_in_single_precision_they_agree_to_a_hundred_thousandth():
    made = network().float()
    ws = random(2, made.shape.num_ws, 10).float()
    with torch.no_grad():
        expected = plain.synthesis(made.state_dict(), ws, blocks=4)
        result = made.synthesis(made.synthesis.styles(ws)).picture
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)


def test_the_gradient_takes_the_same_path():
    made = network()
    ws, direction = random(2, made.shape.num_ws, 10).requires_grad_(), random(2, 3, 32, 32, seed=2)
    names, weights = zip(*made.synthesis.named_parameters(prefix="synthesis"), strict=True)
    table = dict(made.state_dict()) | dict(zip(names, weights, strict=True))
    found = made.synthesis(made.synthesis.styles(ws)).picture
    expected = plain.synthesis(table, ws, blocks=4)
    for a, b in zip(
        torch.autograd.grad((found * direction).sum(), [ws, *weights]),
        torch.autograd.grad((expected * direction).sum(), [ws, *weights]),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("z_dim,c_dim", [(12, 0), (12, 5), (0, 5)])
def test_w_is_that_of_the_formulas_with_and_without_labels(z_dim, c_dim):
    made = network(z_dim=z_dim, c_dim=c_dim, lr_multiplier=LR)
    z = random(4, z_dim) if z_dim else None
    c = random(4, c_dim, seed=3) if c_dim else None
    expected = plain.mapping(made.state_dict(), z, c, layers=3, lr=LR)
    with torch.no_grad():
        torch.testing.assert_close(made.mapping(z, c), expected, rtol=1e-9, atol=1e-9)
        mean = made.mapping.w_avg
        w = mean + 0.7 * (expected - mean)
        torch.testing.assert_close(made.mapping.truncated(expected, 0.7), w)
        ws = w[:, None].expand(-1, made.shape.num_ws, -1)
        pictures = plain.synthesis(made.state_dict(), ws, blocks=4)
        torch.testing.assert_close(made(z, c, psi=0.7), pictures, rtol=1e-9, atol=1e-9)


def test_a_noise_of_ones_own_replaces_the_stored_one():
    made = network()
    ws = random(1, made.shape.num_ws, 10)
    sides = [4, 8, 8, 16, 16, 32, 32]
    noises = [random(side, side, seed=side + i) for i, side in enumerate(sides)]
    table = dict(made.state_dict())
    at = [f"b{side}.conv{0 if i % 2 and side > 4 else 1}" for i, side in enumerate(sides)]
    table |= {f"synthesis.{name}.noise_const": noise for name, noise in zip(at, noises, strict=True)}
    with torch.no_grad():
        expected = plain.synthesis(table, ws, blocks=4)
        found = made.synthesis(made.synthesis.styles(ws), noises).picture
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_finite_where_weights_and_styles_are_large(dtype):
    made = network().float()
    with torch.no_grad():
        for name, value in made.synthesis.named_parameters():
            if name.endswith((".conv0.weight", ".conv1.weight")):
                value.mul_(3e4)  # demodulation takes any factor out
        styles = [
            s * (1e3 if i in (0, 2, 3, 5, 6, 8, 9) else 1.0)
            for i, s in enumerate(made.synthesis.styles(random(2, made.shape.num_ws, 10).float()))
        ]
        expected = made.synthesis(styles).picture
        found = made.synthesis(styles, dtype=dtype)
    assert found.picture.dtype == torch.float32 and found.features[-1].dtype == dtype
    assert found.picture.isfinite().all()
    scale = expected.std()
    assert (found.picture - expected).square().mean().sqrt() < (
        0.005 if dtype == torch.float16 else 0.05
    ) * scale
