"""Converts VQGAN checkpoints of taming-transformers (Esser et al. 2021) to diffusers' VQModel.

The shapes are read from the weights, so no configuration is needed beside a checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from velatura_protocol.errors import VelaturaError

from . import pickles

CODES = "quantize.embedding.weight"
SIDE = 256  # of the pictures of all published ones
_LEVEL = re.compile(r"encoder\.down\.(\d+)\.")
_BLOCK = re.compile(r"encoder\.down\.0\.block\.(\d+)\.")
_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}


def convert(checkpoint: Path, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
    """Writes a diffusers folder of a checkpoint.

    Args:
        checkpoint: a file of taming-transformers, pickled or in safetensors.
        folder: the new folder, which must not exist yet or be empty.
        weights: the checkpoint's, where they have been read already.

    Raises:
        VelaturaError: `unknown-model` if the checkpoint cannot be read or is no VQGAN; `bad-request` if the
            folder has files or there is no checkpoint.
    """
    from diffusers.models.autoencoders.vq_model import VQModel

    pickles.check_folder(folder)
    weights = pickles.tensors(checkpoint) if weights is None else weights
    try:
        network = VQModel(**configuration(weights))
        network.load_state_dict(renamed(weights))
    except (KeyError, RuntimeError, ValueError) as error:
        raise VelaturaError(
            "unknown-model",
            f"{checkpoint} is no VQGAN of taming-transformers that can be converted; choose another one.",
            detail=f"{type(error).__name__}: {error}"[:2000],
        ) from error
    network.save_pretrained(folder)


def configuration(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of diffusers' VQModel for a checkpoint's weights. Raises KeyError for other weights, and
    ValueError for a VQGAN whose attention differs from block to block."""
    levels = 1 + max((int(found[1]) for name in weights if (found := _LEVEL.match(name))), default=0)
    blocks = 1 + max((int(found[1]) for name in weights if (found := _BLOCK.match(name))), default=0)
    channels = [weights[f"encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in range(levels)]
    attends = [f"encoder.down.{i}.attn.0.q.weight" in weights for i in range(levels)]
    if attends != [f"decoder.up.{i}.attn.0.q.weight" in weights for i in range(levels)]:
        raise ValueError("the encoder attends at other levels than the decoder")
    kinds = ["AttnDownEncoderBlock2D" if attend else "DownEncoderBlock2D" for attend in attends]
    codes, width = weights[CODES].shape
    return {
        "in_channels": weights["encoder.conv_in.weight"].shape[1],
        "out_channels": weights["decoder.conv_out.weight"].shape[0],
        "down_block_types": tuple(kinds),
        "up_block_types": tuple(kind.replace("DownEncoder", "UpDecoder") for kind in reversed(kinds)),
        "block_out_channels": tuple(channels),
        "layers_per_block": blocks,
        "latent_channels": weights["encoder.conv_out.weight"].shape[0],
        "sample_size": SIDE,
        "num_vq_embeddings": codes,
        "vq_embed_dim": width,
        "mid_block_add_attention": "encoder.mid.attn_1.q.weight" in weights,
    }


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names of diffusers; those of losses and critics are left out."""
    levels = 1 + max((int(found[1]) for name in weights if (found := _LEVEL.match(name))), default=0)
    parts = ("encoder.", "decoder.", "quantize.", "quant_conv.", "post_quant_conv.")
    result: dict[str, Tensor] = {}
    for name, value in weights.items():
        if name.startswith(parts):
            new = _name(name, levels)
            if re.search(r"\.to_(q|k|v|out\.0)\.weight$", new):
                value = value.flatten(1)  # a convolution of 1 x 1 as a matrix
            result[new] = value
    return result


def _name(name: str, levels: int) -> str:
    name = re.sub(r"^(encoder|decoder)\.norm_out\.", r"\1.conv_norm_out.", name)
    name = re.sub(r"\.mid\.block_(\d)\.", lambda m: f".mid_block.resnets.{int(m[1]) - 1}.", name)
    name = re.sub(r"\.mid\.attn_1\.", ".mid_block.attentions.0.", name)
    name = re.sub(r"\.down\.(\d+)\.downsample\.", r".down_blocks.\1.downsamplers.0.", name)
    name = re.sub(r"\.down\.(\d+)\.block\.", r".down_blocks.\1.resnets.", name)
    name = re.sub(r"\.down\.(\d+)\.attn\.", r".down_blocks.\1.attentions.", name)
    name = re.sub(  # taming counts the decoder's levels from the picture's side, diffusers from the latent's
        r"\.up\.(\d+)\.(upsample|block|attn)\.",
        lambda m: f".up_blocks.{levels - 1 - int(m[1])}.{_UP[m[2]]}.",
        name,
    )
    name = name.replace(".nin_shortcut.", ".conv_shortcut.")
    return re.sub(
        r"(\.attentions\.\d+)\.(\w+)\.(weight|bias)$", lambda m: f"{m[1]}.{_ATTENTION[m[2]]}.{m[3]}", name
    )


_UP = {"upsample": "upsamplers.0", "block": "resnets", "attn": "attentions"}
