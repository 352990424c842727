"""Adapters against peft's own and against weights that are summed by the formula."""

from __future__ import annotations

import copy
import json

import peft
import pytest
import torch
from diffusers import UNet2DConditionModel
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from tests import tiny_flux1, tiny_flux2, tiny_sd3, tiny_z_image
from tests.adapters.files import RANK, kohya, random
from tests.tiny_flux1 import transformer
from tests.tiny_sdxl import unet_xl
from velatura.models.adapters import reading
from velatura.models.adapters.names import table
from velatura.models.adapting import adapted
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(120)
Q = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
KOHYA = f"lora_unet_{Q.replace('.', '_')}."
CONV = "down_blocks.0.resnets.0.conv1"


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return unet_xl().eval().requires_grad_(False)


def output(unet):
    extra = {"text_embeds": random(1, 32), "time_ids": torch.ones(1, 6)}
    with torch.no_grad():
        return unet(random(1, 4, 8, 8, size=1.0), 7, random(1, 5, 192), added_cond_kwargs=extra).sample


def worn(network, path, strength=1.0, name="unet", run=output):
    networks = {name: network}
    loaded = reading.read(path, "test", networks, name)
    made = reading.adapter([(loaded, strength)], networks, torch.device("cpu"))
    with adapted(networks, name, made, gradients=False):
        return run(network)


def summed(unet, changes, strength=1.0):
    """The output of a copy whose weights are W + strength * change."""
    other = copy.deepcopy(unet)
    for name, change in changes.items():
        weight = other.get_submodule(name).weight
        weight += strength * change.reshape(weight.shape)
    return output(other)


@pytest.mark.parametrize("prefix", ["unet.", "base_model.model."])
def test_a_lora_is_the_same_as_with_peft(unet, tmp_path, prefix):
    config = peft.LoraConfig(
        r=RANK, lora_alpha=RANK, init_lora_weights=False, target_modules=["to_q", "to_out.0", "conv1"]
    )
    torch.manual_seed(1)
    wrapped = peft.get_peft_model(copy.deepcopy(unet), config)
    names = get_peft_model_state_dict(wrapped)
    path = tmp_path / "lora.safetensors"
    save_file({key.replace("base_model.model.", prefix): x for key, x in names.items()}, path)
    expected = output(wrapped.base_model.model)
    assert not torch.allclose(expected, output(unet), atol=1e-2)
    assert torch.allclose(worn(unet, path), expected, atol=1e-5)


@pytest.fixture(scope="module")
def biased(unet):
    """The network with biases that matter."""
    other = copy.deepcopy(unet)
    for i, module in enumerate(other.modules()):
        if getattr(module, "bias", None) is not None:
            module.bias.copy_(random(*module.bias.shape, seed=i))
    return other


@pytest.mark.parametrize("strength", [1.0, -0.5])
def test_kohyas_file_adds_alpha_over_rank_times_the_product_at_a_signed_strength(unet, tmp_path, strength):
    layers = {name: unet.get_submodule(name) for name in (Q, CONV)}
    path = kohya(
        tmp_path / "a.safetensors", {f"lora_unet_{k.replace('.', '_')}": v for k, v in layers.items()}
    )
    changes = {}
    for i, (name, layer) in enumerate(layers.items()):
        A = random(RANK, layer.weight[0].numel(), seed=2 * i)
        B = random(len(layer.weight), RANK, seed=2 * i + 1)
        changes[name] = B @ A / RANK
    assert torch.allclose(worn(unet, path, strength), summed(unet, changes, strength), atol=1e-5)


def test_the_first_codes_names_mean_the_same_layers(unet, tmp_path):
    ours = {
        f"lora_unet_{Q.replace('.', '_')}": unet.get_submodule(Q),
        "lora_unet_up_blocks_0_upsamplers_0_conv": unet.get_submodule("up_blocks.0.upsamplers.0.conv"),
        "lora_unet_mid_block_resnets_1_conv2": unet.get_submodule("mid_block.resnets.1.conv2"),
    }
    theirs = (
        "lora_unet_input_blocks_3_1_transformer_blocks_0_attn1_to_q",
        "lora_unet_output_blocks_1_2_conv",
        "lora_unet_middle_block_2_out_layers_3",
    )
    one = kohya(tmp_path / "ours.safetensors", ours)
    other = kohya(tmp_path / "theirs.safetensors", dict(zip(theirs, ours.values(), strict=True)))
    assert torch.equal(worn(unet, one), worn(unet, other))


def test_the_first_codes_names_are_those_of_diffusers_converter():
    """The published SDXL's blocks, as diffusers' single-file converter names them."""
    network = UNet2DConditionModel(
        block_out_channels=(32, 32, 32),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=8,
        attention_head_dim=4,
    )
    names = table(network)
    for theirs, ours in {
        "input_blocks_4_1_proj_in": "down_blocks.1.attentions.0.proj_in",
        "input_blocks_6_0_op": "down_blocks.1.downsamplers.0.conv",
        "output_blocks_2_2_conv": "up_blocks.0.upsamplers.0.conv",
        "output_blocks_5_1_transformer_blocks_0_attn2_to_k": (
            "up_blocks.1.attentions.2.transformer_blocks.0.attn2.to_k"
        ),
        "output_blocks_8_0_skip_connection": "up_blocks.2.resnets.2.conv_shortcut",
        "time_embed_2": "time_embedding.linear_2",
        "out_2": "conv_out",
    }.items():
        assert names[theirs][0].layer == ours


def lycoris(unet, kind):
    """Tensors of a LyCORIS file for two layers, and the change of each by the formula."""
    tensors, changes = {}, {}
    for i, name in enumerate((Q, CONV)):
        weight = unet.get_submodule(name).weight
        rows, columns = len(weight), weight[0].numel()
        key = f"lora_unet_{name.replace('.', '_')}"
        if kind == "loha":
            parts = [random(a, b, seed=10 * i + j) for j, (a, b) in enumerate([(rows, 2), (2, columns)] * 2)]
            names = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
            tensors |= {f"{key}.{n}": x for n, x in zip(names, parts, strict=True)}
            tensors[f"{key}.alpha"] = torch.tensor(1.0)
            changes[name] = 0.5 * (parts[0] @ parts[1]) * (parts[2] @ parts[3])
        elif kind == "lokr":
            C = random(2, 4, seed=i)
            D_a, D_b = random(rows // 2, 2, seed=10 + i), random(2, columns // 4, seed=20 + i)
            tensors |= {f"{key}.lokr_w1": C, f"{key}.lokr_w2_a": D_a, f"{key}.lokr_w2_b": D_b}
            tensors[f"{key}.alpha"] = torch.tensor(1.0)
            D = (D_a @ D_b).reshape(rows // 2, -1, *weight.shape[2:])
            changes[name] = 0.5 * torch.kron(C.reshape(2, 4, *[1] * (D.ndim - 2)), D)
        else:
            changes[name] = tensors[f"{key}.diff"] = random(*weight.shape, seed=i)
    return tensors, changes


@pytest.mark.parametrize("kind", ["loha", "lokr", "full"])
def test_lycoris_forms_add_their_products(unet, tmp_path, kind):
    tensors, changes = lycoris(unet, kind)
    path = tmp_path / "a.safetensors"
    save_file(tensors, path)
    assert torch.allclose(worn(unet, path, 0.7), summed(unet, changes, 0.7), atol=1e-4)


def test_dora_is_the_same_as_with_peft(biased, tmp_path):
    torch.manual_seed(1)
    config = peft.LoraConfig(
        r=RANK,
        lora_alpha=3,
        use_dora=True,
        init_lora_weights=False,
        target_modules=["to_q", "to_out.0", "conv1", "net.2"],
    )
    wrapped = peft.get_peft_model(copy.deepcopy(biased), config)
    for name, parameter in wrapped.named_parameters():
        if "magnitude" in name:
            parameter.data *= 1.0 + random(*parameter.shape, seed=3)
    names = get_peft_model_state_dict(wrapped)
    notes = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 3, "unet.r": RANK})}
    path = tmp_path / "dora.safetensors"
    save_file({key.replace("base_model.model.", "unet."): x for key, x in names.items()}, path, notes)
    expected = output(wrapped.base_model.model)
    assert not torch.allclose(expected, output(biased), atol=1e-2)
    torch.testing.assert_close(worn(biased, path), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("of_inputs", [False, True])
@pytest.mark.parametrize("kind", ["lora", "loha", "lokr"])
def test_dora_of_lycoris_scales_rows_or_columns_of_any_form(biased, tmp_path, kind, of_inputs):
    if kind == "lora":
        layers = {f"lora_unet_{name.replace('.', '_')}": biased.get_submodule(name) for name in (Q, CONV)}
        tensors, changes = load_file(kohya(tmp_path / "a.safetensors", layers)), {}
        for name, key in zip((Q, CONV), layers, strict=True):
            A, B = tensors[f"{key}.lora_down.weight"], tensors[f"{key}.lora_up.weight"]
            changes[name] = B.flatten(1) @ A.flatten(1) / RANK
    else:
        tensors, changes = lycoris(biased, kind)
    for name in (Q, CONV):
        W = biased.get_submodule(name).weight
        changed = W + changes[name].reshape(W.shape)
        dims = (0, *range(2, W.ndim)) if of_inputs else tuple(range(1, W.ndim))
        norms = torch.linalg.vector_norm(changed, dim=dims, keepdim=True)
        m = norms * (1.0 + random(W.shape[int(of_inputs)], seed=5)).reshape(
            [-1 if i == int(of_inputs) else 1 for i in range(W.ndim)]
        )
        tensors[f"lora_unet_{name.replace('.', '_')}.dora_scale"] = m
        changes[name] = m * changed / norms - W
    path = tmp_path / "dora.safetensors"
    save_file(tensors, path)
    for strength in (1.0, -0.5):
        expected = summed(biased, changes, strength)
        torch.testing.assert_close(worn(biased, path, strength), expected, rtol=1e-4, atol=1e-4)


def test_ia3_is_the_same_as_with_peft(biased, tmp_path):
    torch.manual_seed(1)
    config = peft.IA3Config(
        target_modules=["to_k", "to_v", "to_out.0", "net.2"], feedforward_modules=["net.2"]
    )
    wrapped = peft.get_peft_model(copy.deepcopy(biased), config)
    for i, parameter in enumerate(p for name, p in wrapped.named_parameters() if "ia3_l" in name):
        parameter.data += random(*parameter.shape, seed=i)
    path = tmp_path / "ia3.safetensors"
    save_file(get_peft_model_state_dict(wrapped), path)
    expected = output(wrapped.base_model.model)
    assert not torch.allclose(expected, output(biased), atol=1e-2)
    torch.testing.assert_close(worn(biased, path), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("on_input", [False, True])
def test_ia3_of_lycoris_scales_the_weight_by_one_more(biased, tmp_path, on_input):
    tensors, changes = {}, {}
    for name in (Q, CONV):
        W = biased.get_submodule(name).weight
        scales = random(W.shape[int(on_input)], seed=7)
        shape = [1, -1, 1, 1] if W.ndim == 4 else [-1]
        key = f"lycoris_{name.replace('.', '_')}"
        tensors |= {f"{key}.weight": scales.reshape(shape), f"{key}.on_input": torch.tensor(int(on_input))}
        changes[name] = W * scales.reshape([-1 if i == int(on_input) else 1 for i in range(W.ndim)])
    path = tmp_path / "ia3.safetensors"
    save_file(tensors, path)
    expected = summed(biased, changes, 0.7)
    torch.testing.assert_close(worn(biased, path, 0.7), expected, rtol=1e-4, atol=1e-4)


def test_several_adapters_add_up(unet, tmp_path):
    networks = {"unet": unet}
    made, changes = [], {}
    for kind, strength in (("loha", 0.5), ("lokr", -0.25)):
        tensors, own = lycoris(unet, kind)
        save_file(tensors, tmp_path / kind)
        made.append((reading.read(tmp_path / kind, kind, networks, "unet"), strength))
        changes = {name: changes.get(name, 0.0) + strength * x.flatten(1) for name, x in own.items()}
    both = reading.adapter(made, networks, torch.device("cpu"))
    with adapted(networks, "unet", both, gradients=False):
        together = output(unet)
    assert torch.allclose(together, summed(unet, changes), atol=1e-4)


def flux(network):
    with torch.no_grad():
        return network(
            hidden_states=random(1, 16, 64),
            encoder_hidden_states=random(1, 5, network.config["joint_attention_dim"]),
            pooled_projections=random(1, network.config["pooled_projection_dim"]),
            timestep=torch.tensor([0.5]),
            img_ids=torch.zeros(16, 3),
            txt_ids=torch.zeros(5, 3),
            guidance=torch.tensor([3.5]),
        ).sample


def test_the_fused_projections_of_flux_are_split(tmp_path):
    network = transformer().eval().requires_grad_(False)
    width = network.config["num_attention_heads"] * network.config["attention_head_dim"]
    A, B = random(RANK, width), random(7 * width, RANK, seed=1)
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    key = "lora_unet_single_blocks_0_linear1"
    save_file({f"{key}.lora_down.weight": A, f"{key}.lora_up.weight": B}, theirs)
    split = {}
    parts = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
    for name, rows in zip(parts, B.split([width] * 3 + [4 * width]), strict=True):
        start = f"transformer.single_transformer_blocks.0.{name}"
        split |= {f"{start}.lora_A.weight": A.clone(), f"{start}.lora_B.weight": rows.clone()}
    save_file(split, ours)
    results = [worn(network, path, name="transformer", run=flux) for path in (theirs, ours)]
    assert torch.equal(*results)
    assert not torch.allclose(results[0], flux(network), atol=1e-3)


AUTHORS = {
    "flux1": (
        tiny_flux1.transformer,
        lambda network: tiny_flux1.authors_names(network.state_dict()),
    ),
    "flux2": (lambda: tiny_flux2.flux2_transformer(64, guidance=True), tiny_flux2.authors_names),
    "sd3": (tiny_sd3.transformer, tiny_sd3.authors_names),
    "z-image": (tiny_z_image.z_image_transformer, tiny_z_image.authors_names),
}


@pytest.mark.parametrize("family", AUTHORS)
def test_the_authors_names_mean_the_layers_of_their_weights(family, tmp_path):
    make, authors_names = AUTHORS[family]
    network = make().requires_grad_(False)
    matrices = {
        name.removesuffix(".weight"): weight
        for name, weight in authors_names(network).items()
        if name.endswith(".weight") and weight.ndim == 2 and "pad_token" not in name
    }
    path = tmp_path / "full.safetensors"
    save_file({f"diffusion_model.{name}.diff": W.clone() for name, W in matrices.items()}, path)
    loaded = reading.read(path, "full", {"transformer": network}, "transformer")
    assert loaded.unread == 0
    for name, change in loaded.changes.items():
        weight = network.get_submodule(name.removeprefix("transformer.")).weight
        assert torch.equal(change.W, weight), name
    scaled = tmp_path / "scaled.safetensors"  # by DoRA: of magnitudes 2 ||W|| and no other change
    tensors = {}
    for name, W in matrices.items():
        start = f"diffusion_model.{name}"
        tensors |= {
            f"{start}.lora_A.weight": torch.zeros(1, W.shape[1]),
            f"{start}.lora_B.weight": W[:, :1].clone(),
        }
        tensors[f"{start}.dora_scale"] = 2.0 * W.norm(dim=1, keepdim=True)
    save_file(tensors, scaled)
    for change in reading.read(scaled, "scaled", {"transformer": network}, "transformer").changes.values():
        torch.testing.assert_close(change.g, torch.full_like(change.g, 2.0))
    linear = {f"transformer.{n}" for n, m in network.named_modules() if isinstance(m, torch.nn.Linear)}
    assert loaded.changes.keys() == linear


@pytest.mark.parametrize("widths", [5, 8])
def test_a_fused_layer_of_another_size_is_refused(tmp_path, widths):
    network = transformer()
    width = network.config["num_attention_heads"] * network.config["attention_head_dim"]
    path, key = tmp_path / "a.safetensors", "lora_unet_single_blocks_0_linear1"
    up = random(widths * width, RANK)
    save_file({f"{key}.lora_down.weight": random(RANK, width), f"{key}.lora_up.weight": up}, path)
    with pytest.raises(VelaturaError, match="made for another model"):
        worn(network, path, name="transformer", run=flux)


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"lora_unet_mystery.lora_down.weight": random(2, 3)}, "made for another model"),
        (
            {
                f"unet.{Q}.lora_A.weight": random(2, 3),
                f"unet.{Q}.lora_B.weight": random(4, 2),
            },
            "made for another model",
        ),
        ({f"unet.{Q}.lora_A.weight": random(2, 3)}, "made for another model"),
        ({f"unet.{Q}.lora_magnitude_vector": random(2)}, "made for another model"),
        ({f"unet.{Q}.ia3_l": random(3, 1)}, "made for another model"),
        ({f"unet.{Q}.weight": random(3)}, "made for another model"),
        *(  # parts that do not fit each other: no rank, another rank, numbers without a shape
            (
                {KOHYA + "lora_down.weight": A, KOHYA + "lora_up.weight": B, KOHYA + "alpha": alpha},
                "another model",
            )
            for A, B, alpha in (
                (random(0, 64), random(64, 0), torch.tensor(1.0)),
                (random(2, 64), random(64, 1), torch.tensor(1.0)),
                (random(2, 64), torch.tensor(1.0), torch.tensor(1.0)),
            )
        ),
        ({KOHYA + "diff": random(0)}, "made for another model"),
        ({KOHYA + "lokr_w1": torch.tensor(1.0), KOHYA + "lokr_w2": random(64, 64)}, "made for another model"),
        ({KOHYA + "diff": torch.full((64, 64), float("nan"))}, "cannot be read"),
    ],
)
def test_a_file_for_other_layers_or_of_another_form_is_refused(unet, tmp_path, tensors, sentence):
    path = tmp_path / "a.safetensors"
    save_file(tensors, path)
    with pytest.raises(VelaturaError, match=sentence):
        worn(unet, path)


def test_a_damaged_file_is_refused(unet, tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    with pytest.raises(VelaturaError, match="cannot be read"):
        worn(unet, path)


def test_nothing_is_left_in_the_network(unet, tmp_path):
    before, weights = output(unet), copy.deepcopy(unet.state_dict())
    path = kohya(tmp_path / "a.safetensors", {f"lora_unet_{Q.replace('.', '_')}": unet.get_submodule(Q)})
    first = worn(unet, path)
    assert torch.equal(output(unet), before) and torch.equal(worn(unet, path), first)
    assert all(torch.equal(x, weights[name]) for name, x in unet.state_dict().items())
