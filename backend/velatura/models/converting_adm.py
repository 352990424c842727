"""Converts checkpoints of OpenAI's guided diffusion (ADM, Dhariwal & Nichol 2021) to diffusers' UNet2DModel.

The shapes are read from the weights. Published checkpoints have scale-shift norms and residual blocks that
resample; others are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from velatura_protocol.errors import VelaturaError

HEAD = 64  # channels of an attention head in every published checkpoint
_RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_FIXED = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_LINEAR = {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}
_COSINE = {"beta_schedule": "squaredcos_cap_v2"}


class _Shape(NamedTuple):
    """blocks: of a level. channels: of each level, the finest first. attends: whether each level does.

    together: whether queries, keys and values of all heads stand together, as in the 64 x 64 checkpoint only;
    else each head has its own three.
    """

    blocks: int
    channels: tuple[int, ...]
    attends: tuple[bool, ...]

    @property
    def side(self) -> int:
        """Side of its pictures: the coarsest level of every published network has 8 places."""
        return 8 * 2 ** (len(self.channels) - 1)

    @property
    def together(self) -> bool:
        return self.side == 64


def convert(
    checkpoint: Path, folder: Path, label: int | None = None, weights: Mapping[str, Tensor] | None = None
) -> None:
    """Writes a diffusers folder of a checkpoint.

    Args:
        checkpoint: a file of guided diffusion, pickled or in safetensors.
        folder: the new folder, which must not exist yet or be empty.
        label: the class that a class-conditional network is fixed to. None takes the mean of all classes'
            embeddings: no class is preferred, though the network was not trained so.
        weights: the checkpoint's, where they have been read already.

    Raises:
        VelaturaError: `unknown-model` if the checkpoint cannot be read or is no such network; `bad-request`
            for a folder with files, a checkpoint that is not there, and a class that the network does not
            know.
    """
    from diffusers.models.unets.unet_2d import UNet2DModel

    from . import pickles

    pickles.check_folder(folder)
    weights = pickles.tensors(checkpoint) if weights is None else weights
    try:
        shape = _shape(weights)
        network = UNet2DModel(**configuration(weights))
        network.load_state_dict(renamed(weights, label))
    except (IndexError, KeyError, RuntimeError, StopIteration, ValueError) as error:
        raise VelaturaError(
            "unknown-model",
            f"{checkpoint} is no network of guided diffusion that can be converted; choose another one.",
            detail=f"{type(error).__name__}: {error}"[:2000],
        ) from error
    network.save_pretrained(folder / "unet")
    scheduler = {
        "_class_name": "DDIMScheduler",
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "clip_sample": False,
        **(_COSINE if shape.side == 64 else _LINEAR),
    }
    index = {
        "_class_name": "DDPMPipeline",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    }
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler, indent=2) + "\n")
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def configuration(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of diffusers' UNet2DModel for a checkpoint's weights.

    Raises KeyError, ValueError or StopIteration for other weights.
    """
    shape = _shape(weights)
    down = ["AttnDownBlock2D" if attends else "ResnetDownsampleBlock2D" for attends in shape.attends]
    up = ["AttnUpBlock2D" if attends else "ResnetUpsampleBlock2D" for attends in reversed(shape.attends)]
    return {
        "sample_size": shape.side,
        "in_channels": weights["input_blocks.0.0.weight"].shape[1],
        "out_channels": weights["out.2.weight"].shape[0],
        "layers_per_block": shape.blocks,
        "block_out_channels": shape.channels,
        "down_block_types": tuple(down),
        "up_block_types": tuple(up),
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "resnet_time_scale_shift": "scale_shift",
        "attention_head_dim": HEAD,
        "norm_num_groups": 32,
        "attn_norm_num_groups": 32,
    }


def renamed(weights: Mapping[str, Tensor], label: int | None = None) -> dict[str, Tensor]:
    """The weights by diffusers' names, with the class of a class-conditional network folded in.

    Raises KeyError or StopIteration for other weights, and VelaturaError `bad-request` for an unknown class.
    """
    shape, result = _shape(weights), {}

    def take(old: str, new: str) -> None:
        for kind in ("weight", "bias"):
            if f"{old}.{kind}" in weights:
                result[f"{new}.{kind}"] = weights[f"{old}.{kind}"]

    def block(old: str, new: str) -> None:
        for theirs, ours in _RESNET.items():
            take(f"{old}.{theirs}", f"{new}.{ours}")

    def attention(old: str, new: str) -> None:
        take(f"{old}.norm", f"{new}.group_norm")
        for name, part in zip("qkv", _heads(weights, old, shape.together), strict=True):
            result[f"{new}.to_{name}.weight"], result[f"{new}.to_{name}.bias"] = part
        result[f"{new}.to_out.0.weight"] = weights[f"{old}.proj_out.weight"].squeeze(-1)
        result[f"{new}.to_out.0.bias"] = weights[f"{old}.proj_out.bias"]

    for old, new in _FIXED.items():
        take(old, new)
    levels, n = len(shape.channels), shape.blocks
    for level in range(levels):
        for i in range(n):
            old, new = f"input_blocks.{1 + level * (n + 1) + i}", f"down_blocks.{level}"
            block(f"{old}.0", f"{new}.resnets.{i}")
            if shape.attends[level]:
                attention(f"{old}.1", f"{new}.attentions.{i}")
        if level < levels - 1:
            block(f"input_blocks.{(level + 1) * (n + 1)}.0", f"down_blocks.{level}.downsamplers.0")
        for i in range(n + 1):
            old, new = f"output_blocks.{level * (n + 1) + i}", f"up_blocks.{level}"
            attends = shape.attends[-1 - level]
            block(f"{old}.0", f"{new}.resnets.{i}")
            if attends:
                attention(f"{old}.1", f"{new}.attentions.{i}")
            if i == n and level < levels - 1:
                block(f"{old}.{1 + attends}", f"{new}.upsamplers.0")
    block("middle_block.0", "mid_block.resnets.0")
    attention("middle_block.1", "mid_block.attentions.0")
    block("middle_block.2", "mid_block.resnets.1")
    if "label_emb.weight" in weights:
        bias = result["time_embedding.linear_2.bias"]
        result["time_embedding.linear_2.bias"] = bias + _class(weights["label_emb.weight"], label)
    elif label is not None:
        raise VelaturaError("bad-request", "This network knows no classes; leave the class out.")
    return result


def _class(table: Tensor, label: int | None) -> Tensor:
    """The embedding of a class, which the network adds to the time's; the mean of all for None."""
    if label is None:
        return table.mean(0)
    if not 0 <= label < len(table):
        raise VelaturaError("bad-request", f"This network knows the classes 0 to {len(table) - 1}; name one.")
    return table[label]


def _shape(weights: Mapping[str, Tensor]) -> _Shape:
    """The network's shape. The first output block with a second residual block ends the coarsest level."""
    count = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("output_blocks."))

    def resamples(i: int) -> bool:
        return any(f"output_blocks.{i}.{j}.in_layers.0.weight" in weights for j in (1, 2))

    n = next(i for i in range(count) if resamples(i))
    levels = range(count // (n + 1))
    firsts = [1 + level * (n + 1) for level in levels]
    channels = tuple(weights[f"input_blocks.{i}.0.out_layers.3.weight"].shape[0] for i in firsts)
    return _Shape(n, channels, tuple(f"input_blocks.{i}.1.qkv.weight" in weights for i in firsts))


def _heads(weights: Mapping[str, Tensor], old: str, together: bool) -> list[tuple[Tensor, Tensor]]:
    """(weight [C, C], bias [C]) of queries, keys and values, all heads together in each."""
    weight, bias = weights[f"{old}.qkv.weight"].squeeze(-1), weights[f"{old}.qkv.bias"]
    if together:
        return list(zip(weight.chunk(3), bias.chunk(3), strict=True))
    own = weight.unflatten(0, (-1, 3, HEAD))  # [heads, 3, HEAD, C]
    own_bias = bias.unflatten(0, (-1, 3, HEAD))
    return [(own[:, i].flatten(0, 1).contiguous(), own_bias[:, i].flatten().contiguous()) for i in range(3)]
