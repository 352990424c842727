"""Writes a diffusers model as one file in the layout of Stable Diffusion's first code (LDM).

Written from the names in published checkpoints, and not from diffusers' converter, which it serves to test.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

_RESNET = [
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("conv_shortcut", "skip_connection"),
]


def write(
    path: Path,
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    text: CLIPTextModel,
    *,
    open_clip=False,
    **notes,
) -> Path:
    """notes: entries of the header's metadata."""
    tensors = {f"model.diffusion_model.{k}": v for k, v in _unet(unet).items()}
    tensors |= {f"first_stage_model.{k}": v for k, v in autoencoder(vae).items()}
    tensors |= _open_clip(text) if open_clip else _clip(text)
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, path, metadata=notes or None)
    return path


def write_xl(
    path: Path,
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    text: CLIPTextModel,
    second: CLIPTextModelWithProjection,
    markers: tuple[str, ...] = (),
) -> Path:
    """As Stable Diffusion XL's code. markers: names of further tensors, which say something of the model."""
    tensors = {f"model.diffusion_model.{k}": v for k, v in _unet(unet).items()}
    tensors |= {f"first_stage_model.{k}": v for k, v in autoencoder(vae).items()}
    tensors |= {f"conditioner.embedders.0.{k.split('.', 1)[1]}": v for k, v in _clip(text).items()}
    tensors |= second_xl(second) | {name: torch.zeros(0) for name in markers}
    return save(path, tensors)


def parts_xl(
    folder: Path,
    unet: UNet2DConditionModel,
    vae: AutoencoderKL,
    text: CLIPTextModel,
    second: CLIPTextModelWithProjection,
) -> dict[str, Path]:
    """Each network in a file of its own, as ComfyUI's folders have them; their places."""
    first = {f"text_model.{k.removeprefix('text_model.')}": v for k, v in text.state_dict().items()}
    return {
        "unet": save(folder / "unet.safetensors", _unet(unet)),
        "vae": save(folder / "vae.safetensors", autoencoder(vae)),
        "text_encoder": save(folder / "clip_l.safetensors", first),
        "text_encoder_2": save(folder / "clip_g.safetensors", second.state_dict()),
    }


def save(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """Writes the tensors; the path."""
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, path)
    return path


def second_xl(second: CLIPTextModelWithProjection) -> dict[str, torch.Tensor]:
    """The second text encoder, whose last layer is stored and not used for the states."""
    inner = _open_clip(second.text_model, more=0)
    inner["cond_stage_model.model.text_projection"] = second.text_projection.weight.T
    return {key.replace("cond_stage_model.", "conditioner.embedders.1."): x for key, x in inner.items()}


def _unet(unet: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    layers = unet.config.layers_per_block
    levels = len(unet.config.block_out_channels)
    attends = [kind.startswith("Cross") for kind in unet.config.down_block_types]
    names = [
        (r"time_embedding\.linear_1", "time_embed.0"),
        (r"time_embedding\.linear_2", "time_embed.2"),
        (r"add_embedding\.linear_1", "label_emb.0.0"),
        (r"add_embedding\.linear_2", "label_emb.0.2"),
        (r"conv_in", "input_blocks.0.0"),
        (r"conv_norm_out", "out.0"),
        (r"conv_out", "out.2"),
        (r"mid_block\.resnets\.0", "middle_block.0"),
        (r"mid_block\.attentions\.0", "middle_block.1"),
        (r"mid_block\.resnets\.1", "middle_block.2"),
    ]
    for level in range(levels):
        for layer in range(layers):
            block = 1 + level * (layers + 1) + layer
            names.append((rf"down_blocks\.{level}\.resnets\.{layer}", f"input_blocks.{block}.0"))
            names.append((rf"down_blocks\.{level}\.attentions\.{layer}", f"input_blocks.{block}.1"))
        names.append(
            (
                rf"down_blocks\.{level}\.downsamplers\.0\.conv",
                f"input_blocks.{(level + 1) * (layers + 1)}.0.op",
            )
        )
        for layer in range(layers + 1):
            block = level * (layers + 1) + layer
            names.append((rf"up_blocks\.{level}\.resnets\.{layer}", f"output_blocks.{block}.0"))
            names.append((rf"up_blocks\.{level}\.attentions\.{layer}", f"output_blocks.{block}.1"))
        after = 2 if attends[levels - 1 - level] else 1
        names.append((rf"up_blocks\.{level}\.upsamplers\.0\.conv", f"output_blocks.{block}.{after}.conv"))
    renamed = {}
    for key, value in unet.state_dict().items():
        new = _renamed(key, names)
        if "resnets" in key:
            new = _renamed(new, [(rf"(?<=\.){a}", b) for a, b in _RESNET], whole=False)
        renamed[new] = value
    return renamed


def autoencoder(vae: AutoencoderKL) -> dict[str, torch.Tensor]:
    levels = len(vae.config.block_out_channels)
    names = []
    for level in range(levels):
        up = levels - 1 - level
        names += [
            (rf"encoder\.down_blocks\.{level}\.resnets\.(\d+)", rf"encoder.down.{level}.block.\1"),
            (rf"encoder\.down_blocks\.{level}\.downsamplers\.0", f"encoder.down.{level}.downsample"),
            (rf"decoder\.up_blocks\.{level}\.resnets\.(\d+)", rf"decoder.up.{up}.block.\1"),
            (rf"decoder\.up_blocks\.{level}\.upsamplers\.0", f"decoder.up.{up}.upsample"),
        ]
    for coder in ("encoder", "decoder"):
        names += [
            (rf"{coder}\.mid_block\.resnets\.0", f"{coder}.mid.block_1"),
            (rf"{coder}\.mid_block\.attentions\.0", f"{coder}.mid.attn_1"),
            (rf"{coder}\.mid_block\.resnets\.1", f"{coder}.mid.block_2"),
            (rf"{coder}\.conv_norm_out", f"{coder}.norm_out"),
        ]
    inner = [("conv_shortcut", "nin_shortcut"), ("group_norm", "norm"), ("to_q", "q"), ("to_k", "k")]
    inner += [("to_v", "v"), (r"to_out\.0", "proj_out")]
    renamed = {}
    for key, value in vae.state_dict().items():
        new = _renamed(_renamed(key, names), inner, whole=False)
        is_projection = re.search(r"attn_1\.(q|k|v|proj_out)\.weight", new)
        renamed[new] = value[:, :, None, None] if is_projection else value  # a 1x1 convolution there
    return renamed


def _clip(text: CLIPTextModel) -> dict[str, torch.Tensor]:
    state = {key.removeprefix("text_model."): value for key, value in text.state_dict().items()}
    return {f"cond_stage_model.transformer.text_model.{key}": value for key, value in state.items()}


def _open_clip(text: CLIPTextModel, more: int = 1) -> dict[str, torch.Tensor]:
    """With the one layer more that published files have and that is not used."""
    state = {key.removeprefix("text_model."): value for key, value in text.state_dict().items()}
    layers = text.config.num_hidden_layers
    out = {
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
        "text_projection": torch.eye(text.config.hidden_size),
    }
    parts = [
        ("layer_norm1", "ln_1"),
        ("layer_norm2", "ln_2"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    ]
    parts += [("self_attn.out_proj", "attn.out_proj")]
    for layer in range(layers + more):
        theirs = f"encoder.layers.{min(layer, layers - 1)}."
        ours = f"transformer.resblocks.{layer}."
        for kind in ("weight", "bias"):
            for a, b in parts:
                out[f"{ours}{b}.{kind}"] = state[f"{theirs}{a}.{kind}"]
            out[f"{ours}attn.in_proj_{kind}"] = torch.cat(
                [state[f"{theirs}self_attn.{p}_proj.{kind}"] for p in "qkv"]
            )
    return {f"cond_stage_model.model.{key}": value for key, value in out.items()}


def _renamed(key: str, names: list[tuple[str, str]], *, whole: bool = True) -> str:
    for pattern, replacement in names:
        new, hits = re.subn(rf"^{pattern}(?=\.)" if whole else rf"{pattern}(?=\.)", replacement, key)
        if hits:
            return new
    return key
