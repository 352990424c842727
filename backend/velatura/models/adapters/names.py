"""The names by which files of adapters call the layers of networks: diffusers' names and the authors'."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from diffusers.models.normalization import AdaLayerNormContinuous
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import nn

from ..families import authors_names
from ..families.authors_names import AuthorsNames


class Target(NamedTuple):
    """A layer of a network.

    Args:
        layer: its name.
        rows: the outputs of the named layer that are this layer's; None for all.
        is_swapped: whether this layer has the two halves of the outputs in the other order.
    """

    layer: str
    rows: tuple[int, int] | None = None
    is_swapped: bool = False


Table = Mapping[str, Sequence[Target]]
"""The layers that a name means. Points in names are written "_", as trainers do."""


def table(network: nn.Module) -> Table:
    """All names of a network's layers."""
    layers = {name: module for name, module in network.named_modules() if _can_change(module)}
    named: dict[str, list[Target]] = {plain(name): [Target(name)] for name in layers}
    if isinstance(network, UNet2DConditionModel):
        originals = _unet(network, layers)
    else:
        originals = _transformer(network, authors_names.of(type(network).__name__), layers)
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


def _transformer(
    network: nn.Module, authors: AuthorsNames, layers: Mapping[str, nn.Module]
) -> Iterator[tuple[str, list[Target]]]:
    """The authors' names of a transformer's layers."""
    numbers = range(1 + max((int(n) for name in layers for n in re.findall(r"\.(\d+)\.", name)), default=0))
    every = {pattern: (new, ("",)) for pattern, new in authors.renamed.items()} | dict(authors.split)
    for pattern, (start, ends) in every.items():
        for i in numbers if r"(\d+)" in pattern else [0]:
            ours = [(start.replace(r"\1", str(i)) + end).rstrip(".") for end in ends]
            if not all(name in layers for name in ours):
                continue
            original = pattern.replace(r"(\d+)", str(i)).replace("\\.", ".").rstrip(".")
            if len(ours) == 1:
                norm = network.get_submodule(
                    ours[0].rpartition(".")[0]
                )  # scale and shift, not shift and scale
                yield original, [Target(ours[0], is_swapped=isinstance(norm, AdaLayerNormContinuous))]
                continue
            targets, first = [], 0
            for name in ours:
                layer = layers[name]
                last = first + (layer.out_features if isinstance(layer, nn.Linear) else 0)
                targets.append(Target(name, (first, last)))
                first = last
            yield original, targets
