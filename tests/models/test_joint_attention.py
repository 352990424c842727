"""Transformers of five families are held by one code: plain calls are diffusers' own to the bit, and what
stands in the place of attention gets Q, K and V."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from tests import tiny_flux1, tiny_flux2, tiny_qwen_image, tiny_sd3, tiny_z_image
from velatura.models.families.joint import pack, positions, unpack
from velatura.models.families.joint_attention import Held

H, W, TEXT = 4, 6, 5  # tokens of the picture and of the text
IMAGE = H * W


def sd3():
    args = {
        "hidden_states": torch.randn(2, 16, 2 * H, 2 * W),
        "encoder_hidden_states": torch.randn(2, TEXT, 128),
        "pooled_projections": torch.randn(2, 128),
        "timestep": torch.tensor([300.0, 700.0]),
    }
    return tiny_sd3.transformer(), args, {"own": (".attn2",)}, (IMAGE, IMAGE + TEXT), (0, IMAGE)


def flux():
    args = {
        "hidden_states": torch.randn(2, IMAGE, 64),
        "encoder_hidden_states": torch.randn(2, TEXT, 128),
        "pooled_projections": torch.randn(2, 64),
        "timestep": torch.tensor([0.3, 0.7]),
        "guidance": torch.tensor([3.5, 3.5]),
        "img_ids": positions(H, W),
        "txt_ids": torch.zeros(TEXT, 3),
    }
    return tiny_flux1.transformer(), args, {}, (0, TEXT), (TEXT, TEXT + IMAGE)


def flux2():
    args = {
        "hidden_states": torch.randn(2, IMAGE, 16),
        "encoder_hidden_states": torch.randn(2, TEXT, 12),
        "timestep": torch.tensor([0.3, 0.7]),
        "guidance": torch.tensor([3.5, 3.5]),
        "img_ids": positions(H, W, axes=4),
        "txt_ids": torch.zeros(TEXT, 4),
    }
    return tiny_flux2.flux2_transformer(12, guidance=True), args, {}, (0, TEXT), (TEXT, TEXT + IMAGE)


def qwen():
    valid = torch.ones(2, TEXT, dtype=torch.bool)
    valid[1, 3:] = False  # a shorter prompt beside a longer one
    args = {
        "hidden_states": torch.randn(2, IMAGE, 64),
        "encoder_hidden_states": torch.randn(2, TEXT, 128),
        "encoder_hidden_states_mask": valid,
        "timestep": torch.tensor([0.3, 0.7]),
        "img_shapes": [[(1, H, W)]] * 2,
    }
    return tiny_qwen_image.qwen_transformer(), args, {}, (0, TEXT), (TEXT, TEXT + IMAGE)


def z_image():
    network = tiny_z_image.z_image_transformer()
    args = {
        "x": [torch.randn(16, 1, 2 * H, 2 * W) for _ in range(2)],
        "t": torch.tensor([0.3, 0.7]),
        "cap_feats": [torch.randn(TEXT, 16), torch.randn(40, 16)],  # padded to 32 and 64: a mask
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
