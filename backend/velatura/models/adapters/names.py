"""The names by which files of adapters call the layers of networks: diffusers' names and the authors'."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn

from ..families import flux1_names


class Target(NamedTuple):
    """A layer of a network. rows: the outputs of the named layer that are this layer's; None for all."""

    layer: str
    rows: tuple[int, int] | None = None


Table = Mapping[str, Sequence[Target]]
"""The layers that a name means. Points in names are written "_", as trainers do."""


def table(network: nn.Module) -> Table:
    """All names of a network's layers."""
    layers = {name: module for name, module in network.named_modules() if _can_change(module)}
    named: dict[str, list[Target]] = {plain(name): [Target(name)] for name in layers}
    if isinstance(network, UNet2DConditionModel):
        originals = _unet(network, layers)
    else:
        split, renamed = _TRANSFORMERS.get(type(network).__name__, ({}, {}))
        originals = _transformer(split, renamed, layers)
    for original, targets in originals:
        named.setdefault(plain(original), targets)
    for name in layers:  # text encoders, whose outermost part is not in the names of every library's version
        other = name.removeprefix("text_model.") if name.startswith("text_model.") else f"text_model.{name}"
        named.setdefault(plain(other), [Target(name)])
    return named


def plain(name: str) -> str:
    """A name with "_" for each point."""
    return name.replace(".", "_")


def _can_change(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | nn.Conv2d)


_RESNET = {
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_AROUND = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.2": "conv_out",
}


def _unet(
    network: UNet2DConditionModel, layers: Mapping[str, nn.Module]
) -> Iterator[tuple[str, list[Target]]]:
    """The names of Stable Diffusion's first code, in which blocks are numbered through."""
    blocks: dict[str, str] = {}
    number = 1
    for i, down in enumerate(network.down_blocks):
        for j in range(len(cast(nn.ModuleList, down.resnets))):
            blocks[f"down_blocks.{i}.resnets.{j}"] = f"input_blocks.{number}.0"
            blocks[f"down_blocks.{i}.attentions.{j}"] = f"input_blocks.{number}.1"
            number += 1
        if getattr(down, "downsamplers", None):
            blocks[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
            number += 1
    number = 0
    for i, up in enumerate(network.up_blocks):
        for j in range(len(cast(nn.ModuleList, up.resnets))):
            blocks[f"up_blocks.{i}.resnets.{j}"] = f"output_blocks.{number}.0"
            blocks[f"up_blocks.{i}.attentions.{j}"] = f"output_blocks.{number}.1"
            number += 1
        place = 2 if hasattr(up, "attentions") else 1
        blocks[f"up_blocks.{i}.upsamplers.0.conv"] = f"output_blocks.{number - 1}.{place}.conv"
    blocks |= {
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    inner = {ours: theirs for theirs, ours in _RESNET.items()}
    around = {ours: theirs for theirs, ours in _AROUND.items()}
    for name in layers:
        if name in around:
            yield around[name], [Target(name)]
        block = next((one for one in blocks if name == one or name.startswith(one + ".")), None)
        if block is not None:
            rest = name[len(block) + 1 :]
            theirs = inner.get(rest, rest) if ".resnets." in block else rest
            yield f"{blocks[block]}.{theirs}" if rest else blocks[block], [Target(name)]


_Split = Mapping[str, tuple[str, Sequence[str]]]
_SD3: tuple[_Split, Mapping[str, str]] = (
    {
        r"joint_blocks\.(\d+)\.x_block\.attn\.qkv\.": (
            r"transformer_blocks.\1.attn.",
            ("to_q.", "to_k.", "to_v."),
        ),
        r"joint_blocks\.(\d+)\.x_block\.attn2\.qkv\.": (
            r"transformer_blocks.\1.attn2.",
            ("to_q.", "to_k.", "to_v."),
        ),
        r"joint_blocks\.(\d+)\.context_block\.attn\.qkv\.": (
            r"transformer_blocks.\1.attn.",
            ("add_q_proj.", "add_k_proj.", "add_v_proj."),
        ),
    },
    {
        r"joint_blocks\.(\d+)\.x_block\.attn\.proj\.": r"transformer_blocks.\1.attn.to_out.0.",
        r"joint_blocks\.(\d+)\.x_block\.attn2\.proj\.": r"transformer_blocks.\1.attn2.to_out.0.",
        r"joint_blocks\.(\d+)\.context_block\.attn\.proj\.": r"transformer_blocks.\1.attn.to_add_out.",
        r"joint_blocks\.(\d+)\.x_block\.mlp\.fc1\.": r"transformer_blocks.\1.ff.net.0.proj.",
        r"joint_blocks\.(\d+)\.x_block\.mlp\.fc2\.": r"transformer_blocks.\1.ff.net.2.",
        r"joint_blocks\.(\d+)\.context_block\.mlp\.fc1\.": r"transformer_blocks.\1.ff_context.net.0.proj.",
        r"joint_blocks\.(\d+)\.context_block\.mlp\.fc2\.": r"transformer_blocks.\1.ff_context.net.2.",
        r"joint_blocks\.(\d+)\.x_block\.adaLN_modulation\.1\.": r"transformer_blocks.\1.norm1.linear.",
        r"joint_blocks\.(\d+)\.context_block\.adaLN_modulation\.1\.": (
            r"transformer_blocks.\1.norm1_context.linear."
        ),
    },
)
_FLUX2: tuple[_Split, Mapping[str, str]] = (
    {
        r"double_blocks\.(\d+)\.img_attn\.qkv\.": (
            r"transformer_blocks.\1.attn.",
            ("to_q.", "to_k.", "to_v."),
        ),
        r"double_blocks\.(\d+)\.txt_attn\.qkv\.": (
            r"transformer_blocks.\1.attn.",
            ("add_q_proj.", "add_k_proj.", "add_v_proj."),
        ),
    },
    {
        r"double_blocks\.(\d+)\.img_attn\.proj\.": r"transformer_blocks.\1.attn.to_out.0.",
        r"double_blocks\.(\d+)\.txt_attn\.proj\.": r"transformer_blocks.\1.attn.to_add_out.",
        r"double_blocks\.(\d+)\.img_mlp\.0\.": r"transformer_blocks.\1.ff.linear_in.",
        r"double_blocks\.(\d+)\.img_mlp\.2\.": r"transformer_blocks.\1.ff.linear_out.",
        r"double_blocks\.(\d+)\.txt_mlp\.0\.": r"transformer_blocks.\1.ff_context.linear_in.",
        r"double_blocks\.(\d+)\.txt_mlp\.2\.": r"transformer_blocks.\1.ff_context.linear_out.",
        r"single_blocks\.(\d+)\.linear1\.": r"single_transformer_blocks.\1.attn.to_qkv_mlp_proj.",
        r"single_blocks\.(\d+)\.linear2\.": r"single_transformer_blocks.\1.attn.to_out.",
        r"img_in\.": "x_embedder.",
        r"txt_in\.": "context_embedder.",
        r"double_stream_modulation_img\.lin\.": "double_stream_modulation_img.linear.",
        r"double_stream_modulation_txt\.lin\.": "double_stream_modulation_txt.linear.",
        r"single_stream_modulation\.lin\.": "single_stream_modulation.linear.",
    },
)
_Z_IMAGE: tuple[_Split, Mapping[str, str]] = (
    {
        rf"{part}\.(\d+)\.attention\.qkv\.": (rf"{part}.\1.attention.", ("to_q.", "to_k.", "to_v."))
        for part in ("layers", "context_refiner", "noise_refiner")
    },
    {
        rf"{part}\.(\d+)\.attention\.out\.": rf"{part}.\1.attention.to_out.0."
        for part in ("layers", "context_refiner", "noise_refiner")
    },
)
_FLUX1_RENAMED = {  # the last modulation has its halves in another order in diffusers, so no adapter serves
    pattern: new for pattern, new in flux1_names.RENAMED.items() if "adaLN" not in pattern
}
_TRANSFORMERS: Mapping[str, tuple[_Split, Mapping[str, str]]] = {
    "FluxTransformer2DModel": (flux1_names.SPLIT, _FLUX1_RENAMED),
    "ChromaTransformer2DModel": (flux1_names.SPLIT, _FLUX1_RENAMED),
    "Flux2Transformer2DModel": _FLUX2,
    "SD3Transformer2DModel": _SD3,
    "ZImageTransformer2DModel": _Z_IMAGE,
}


def _transformer(
    split: _Split, renamed: Mapping[str, str], layers: Mapping[str, nn.Module]
) -> Iterator[tuple[str, list[Target]]]:
    """The authors' names, by patterns of their beginnings and what diffusers has in their place."""
    numbers = range(1 + max((int(n) for name in layers for n in re.findall(r"\.(\d+)\.", name)), default=0))
    every = {pattern: (new, ("",)) for pattern, new in renamed.items()} | dict(split)
    for pattern, (start, ends) in every.items():
        for i in numbers if r"(\d+)" in pattern else [0]:
            ours = [(start.replace(r"\1", str(i)) + end).rstrip(".") for end in ends]
            if not all(name in layers for name in ours):
                continue
            original = pattern.replace(r"(\d+)", str(i)).replace("\\.", ".").rstrip(".")
            if len(ours) == 1:
                yield original, [Target(ours[0])]
                continue
            targets, first = [], 0
            for name in ours:
                layer = layers[name]
                last = first + (layer.out_features if isinstance(layer, nn.Linear) else 0)
                targets.append(Target(name, (first, last)))
                first = last
            yield original, targets
