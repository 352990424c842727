"""Transformers of five families are held by one code: plain calls are diffusers' own to the bit, and what
stands in the place of attention gets Q, K and V."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from diffusers import (
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    ZImageTransformer2DModel,
)

from velatura.models.families.joint import pack, positions, unpack
from velatura.models.families.joint_attention import Held

H, W, TEXT = 4, 6, 5  # tokens of the picture and of the text
IMAGE = H * W


def sd3():
    network = SD3Transformer2DModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=12,
        caption_projection_dim=16,
        pooled_projection_dim=10,
        pos_embed_max_size=16,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )
    args = {
        "hidden_states": torch.randn(2, 4, 2 * H, 2 * W),
        "encoder_hidden_states": torch.randn(2, TEXT, 12),
        "pooled_projections": torch.randn(2, 10),
        "timestep": torch.tensor([300.0, 700.0]),
    }
    return network, args, {"own": (".attn2",)}, (IMAGE, IMAGE + TEXT), (0, IMAGE)


def flux():
    network = FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=12,
        pooled_projection_dim=10,
        guidance_embeds=True,
        axes_dims_rope=(4, 2, 2),
    )
    args = {
        "hidden_states": torch.randn(2, IMAGE, 16),
        "encoder_hidden_states": torch.randn(2, TEXT, 12),
        "pooled_projections": torch.randn(2, 10),
        "timestep": torch.tensor([0.3, 0.7]),
        "guidance": torch.tensor([3.5, 3.5]),
        "img_ids": positions(H, W),
        "txt_ids": torch.zeros(TEXT, 3),
    }
    return network, args, {}, (0, TEXT), (TEXT, TEXT + IMAGE)


def flux2():
    network = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=12,
        axes_dims_rope=(2, 2, 2, 2),
    )
    args = {
        "hidden_states": torch.randn(2, IMAGE, 16),
        "encoder_hidden_states": torch.randn(2, TEXT, 12),
        "timestep": torch.tensor([0.3, 0.7]),
        "guidance": torch.tensor([3.5, 3.5]),
        "img_ids": positions(H, W, axes=4),
        "txt_ids": torch.zeros(TEXT, 4),
    }
    return network, args, {}, (0, TEXT), (TEXT, TEXT + IMAGE)


def qwen():
    network = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=12,
        axes_dims_rope=(4, 2, 2),
    )
    valid = torch.ones(2, TEXT, dtype=torch.bool)
    valid[1, 3:] = False  # a shorter prompt beside a longer one
    args = {
        "hidden_states": torch.randn(2, IMAGE, 16),
        "encoder_hidden_states": torch.randn(2, TEXT, 12),
        "encoder_hidden_states_mask": valid,
        "timestep": torch.tensor([0.3, 0.7]),
        "img_shapes": [[(1, H, W)]] * 2,
    }
    return network, args, {}, (0, TEXT), (TEXT, TEXT + IMAGE)


def z_image():
    network = ZImageTransformer2DModel(
        in_channels=4,
        dim=16,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=12,
        axes_dims=[4, 2, 2],
        axes_lens=[128, 16, 16],
    )
    for name, weight in network.named_parameters():
        if "pad_token" in name:
            torch.nn.init.normal_(weight)
    args = {
        "x": [torch.randn(4, 1, 2 * H, 2 * W) for _ in range(2)],
        "t": torch.tensor([0.3, 0.7]),
        "cap_feats": [torch.randn(TEXT, 12), torch.randn(40, 12)],  # padded to 32 and 64: a mask
    }
    return network, args, {"own": ("noise_refiner",), "plain": ("context_refiner",)}, (32, 37), (0, IMAGE)


FAMILIES = {f.__name__: f for f in (sd3, flux, flux2, qwen, z_image)}


def outcome(network, args):
    with torch.no_grad():
        out = network(**args, return_dict=False)[0]
    return torch.stack(list(out)) if isinstance(out, list) else out


def explicit(place, q, k, v):
    return (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v


@pytest.fixture(params=FAMILIES)
def family(request):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network, args, names, text, image = FAMILIES[request.param]()
        for weight in network.parameters():  # the modulations start at 0
            if not weight.any():
                torch.nn.init.normal_(weight, std=0.3)
    network.eval()
    plain = outcome(copy.deepcopy(network), args)
    return network, args, plain, Held(network, 1, **names), text, image


def test_plain_calls_are_diffusers_own_to_the_bit(family):
    network, args, plain, held, text, image = family
    assert held.names
    assert outcome(network, args).equal(plain)
    with held.by(explicit, text, image):
        outcome(network, args)
    assert outcome(network, args).equal(plain)  # nothing has to be put back


def test_attention_by_explicit_maps_agrees(family):
    network, args, plain, held, text, image = family
    places = {}

    def recorded(place, q, k, v):
        places[place.name] = place, q.shape
        return explicit(place, q, k, v)

    with held.by(recorded, text, image):
        assert (outcome(network, args) - plain).abs().max() < 1e-5
    assert list(places) == held.names  # every one, in the order of the pass
    for place, (rows, heads, length, _) in places.values():
        assert rows == 2 and heads == 2 and place.level == 1
        assert place.kind in ("joint", "self")
        if place.kind == "joint":
            assert (place.text, place.image) == (text, image) and length >= IMAGE + TEXT
        else:
            assert place.text is None and place.image == (0, IMAGE)


def test_the_rows_are_those_of_the_text(family):
    """A change of the text's values alone is the change that `attend` gets in these rows alone."""
    network, args, _, held, text, image = family
    seen = []

    def recorded(place, q, k, v):
        if place.kind == "joint" and not seen:
            seen.append(v)
        return explicit(place, q, k, v)

    with held.by(recorded, text, image):
        outcome(network, args)
        first = seen.pop()
        name = "cap_feats" if "cap_feats" in args else "encoder_hidden_states"
        other = [x + 1.0 for x in args[name]]
        outcome(network, args | {name: other if name == "cap_feats" else torch.stack(other)})
    changed = (seen.pop() - first)[0].abs().amax((0, 2)) > 1e-6
    rows = torch.zeros(len(changed), dtype=torch.bool)
    rows[slice(*text)] = True
    if name == "cap_feats":  # its padding has been refined together with the text
        rows[text[1] : 64] = changed[text[1] : 64]
    assert changed.equal(rows)


def test_gradients_are_those_of_the_replaced_call_under_checkpointing_too(family):
    network, args, _, held, text, image = family
    name = next(n for n in ("hidden_states", "x") if n in args)

    def half(place, q, k, v):
        return 0.5 * explicit(place, q, k, v)

    def gradient():
        leaf = args[name]
        leaf = leaf.clone() if isinstance(leaf, torch.Tensor) else torch.stack(leaf)
        leaf.requires_grad_(True)
        given = leaf if name == "hidden_states" else list(leaf)
        with held.by(half, text, image):
            out = network(**args | {name: given}, return_dict=False)[0]
        out = torch.stack(list(out)) if isinstance(out, list) else out
        out.square().mean().backward()
        return leaf.grad

    expected = gradient()
    network.enable_gradient_checkpointing()
    assert gradient().equal(expected)
    assert network.is_gradient_checkpointing


def test_a_backend_of_other_kernels_does_not_take_the_replaced_call(family):
    """Fast kernels do not go through scaled_dot_product_attention; a replaced call must."""
    network, args, plain, held, text, image = family
    count = 0

    def counted(place, q, k, v):
        nonlocal count
        count += 1
        return F.scaled_dot_product_attention(q, k, v)

    for name in held.names:
        processor = network.get_submodule(name).processor
        if hasattr(processor, "_attention_backend"):
            processor._attention_backend = "flash"  # not installed: a call of it would fail
    with held.by(counted, text, image):
        assert (outcome(network, args) - plain).abs().max() < 1e-5
    assert count == len(held.names)


def test_packing_is_undone():
    x = torch.randn(2, 3, 4, 6)
    assert pack(x).shape == (2, 6, 12)
    assert unpack(pack(x), 4, 6).equal(x)
    assert pack(x)[0, 1].reshape(3, 2, 2).equal(x[0, :, 0:2, 2:4])  # the second token is beside the first
    assert pack(x, 1).equal(x.flatten(2).transpose(1, 2))
    assert positions(2, 3, first=1).tolist()[4] == [1.0, 1.0, 1.0]
