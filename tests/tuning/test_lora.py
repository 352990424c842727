"""A LoRA adds scale B A x, changes nothing while B is 0, and leaves nothing behind."""

import pytest
import torch
import torch.nn.functional as F

from velatura.diffusion import noise
from velatura.diffusion.network import Layer
from velatura.models import adapting
from velatura.tuning import lora
from velatura.tuning.lora import LowRank


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model(tiny):
    return tiny()


def output(model):
    x = noise.standard_normal([3, 4], (4, 8, 12))
    return model.network(x, 300.0, model.encode_prompt("a hat").expand(2))


def full(model, rank=4):
    """A LoRA of attention that changes something: B is drawn too."""
    made = lora.new(lora.attention(model.layers), rank, 5)
    values = [x if i % 2 == 0 else 0.1 * normal(*x.shape, seed=i) for i, x in enumerate(lora.tensors(made))]
    return lora.with_tensors(made, values)


def test_a_layer_with_its_low_rank_part_is_the_layer_with_w_plus_ba():
    W, A, B, x = normal(5, 7), normal(3, 7, seed=1), normal(5, 3, seed=2), normal(2, 4, 7, seed=3)
    added = LowRank(A, B, 0.5)
    torch.testing.assert_close(F.linear(x, W) + added(x), F.linear(x, W + 0.5 * B @ A))


def test_a_network_with_a_lora_is_the_network_with_changed_weights(model):
    made, plain = full(model), output(model)
    with model.adapted(made):
        found = output(model)
    modules = {f"unet.{name}": module for name, module in model.unet.named_modules()}
    kept = {name: modules[name].weight.data for name in made}
    try:
        for name, part in made.items():
            modules[name].weight.data = kept[name] + part.scale * part.B @ part.A
        expected = output(model)
    finally:
        for name, weight in kept.items():
            modules[name].weight.data = weight
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (found - plain).abs().max() > 1e-3


def test_a_new_lora_changes_no_bit_and_has_the_rank_that_a_layer_allows(model):
    layers = lora.attention(model.layers)
    assert {name.rsplit(".", 1)[1] for name in layers} == {"to_q", "to_k", "to_v", "0"}
    assert all(name.startswith("unet.") and (".attn1." in name or ".attn2." in name) for name in layers)
    made = lora.new(layers, 4, 5)
    assert all(part.A.shape[0] == 4 and part.A.abs().min() > 0.0 for part in made.values())
    with model.adapted(made):
        found = output(model)
    assert torch.equal(found, output(model))
    (part,) = lora.new({"x": Layer(5, 3)}, 16, 5).values()
    assert (part.A.shape, part.B.shape) == ((3, 3), (5, 3))


def test_nothing_is_left_in_the_network_also_after_an_error(model):
    before, made = output(model), full(model)
    with pytest.raises(ZeroDivisionError), model.adapted(made), model.adapted(made):
        assert not torch.equal(output(model), before)
        raise ZeroDivisionError
    assert torch.equal(output(model), before)
    assert not any(module._forward_hooks for module in model.unet.modules())


def test_layers_that_a_network_lacks_are_refused(model):
    with pytest.raises(ValueError, match=r"no layer 'unet\.more'"), model.adapted({"unet.more": torch.relu}):
        pass
    assert not any(module._forward_hooks for module in model.unet.modules())


def test_half_precision_gets_the_product_of_float32():
    added = LowRank(normal(2, 64), 1e-6 * normal(3, 2, seed=1))
    found = added(normal(4, 64, seed=2).half())
    assert found.dtype == torch.float16 and found.abs().max() > 0.0


def test_gradients_are_the_same_where_activations_are_recomputed(model, monkeypatch):
    def gradients():
        with torch.inference_mode(False), torch.enable_grad():
            made = {
                name: LowRank(part.A.clone().requires_grad_(), part.B.clone().requires_grad_())
                for name, part in full(model).items()
            }
            c = model.encode_prompt("a hat").clone()
            with model.adapted(made, gradients=True):
                error = model.network(noise.standard_normal([3], (4, 8, 8)), 300.0, c).square().sum()
                return torch.autograd.grad(error, lora.tensors(made))

    kept = gradients()
    assert not model.unet.is_gradient_checkpointing
    monkeypatch.setattr(adapting, "CHECKPOINTED", 0)
    recomputed = gradients()
    assert not model.unet.is_gradient_checkpointing
    assert all(torch.equal(a, b) for a, b in zip(kept, recomputed, strict=True))
