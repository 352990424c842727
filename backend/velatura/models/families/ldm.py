"""Checkpoints in the layout of Stable Diffusion's first code (LDM), and single parts in the files of others.

The shapes in a file's header determine the configurations that diffusers needs to convert the weights;
nothing is downloaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from velatura_protocol.errors import VelaturaError

from ..headers import PREDICTION, Header, read_header
from . import clip_and_t5, parts

_UNETS = ("model.diffusion_model.", "diffusion_model.", "")
_VAES = ("first_stage_model.", "vae.", "")
_CLIP = {  # prefixes of text encoders by the names of the parts, in transformers' layout and in OpenCLIP's
    "text_encoder": (
        ("cond_stage_model.transformer.", "conditioner.embedders.0.transformer.", ""),
        ("cond_stage_model.model.", ""),
    ),
    "text_encoder_2": (("",), ("conditioner.embedders.1.model.", "")),
}
_SCALE, _SCALE_XL = 0.18215, 0.13025  # of the autoencoders' latents
_TIMES = 6  # numbers of Stable Diffusion XL's sizes


def configurations(header: Header) -> dict[str, dict[str, Any]]:
    """The configurations of the networks in a file, by their names in diffusers' pipeline."""
    found: dict[str, dict[str, Any]] = {}
    prefix = _prefix(header, _UNETS, "input_blocks.0.0.weight")
    if prefix is not None:
        found["unet"] = _unet(header, prefix)
    prefix = _prefix(header, _VAES, "decoder.conv_in.weight")
    if prefix is not None:
        is_xl = "unet" not in found or "addition_embed_type" in found["unet"]
        found["vae"] = _autoencoder(header, prefix, _SCALE_XL if is_xl else _SCALE)
    for name in _CLIP:
        if encoder := _text_encoder(header, name):
            found[name] = encoder
    if "unet" in found and "text_encoder_2" in found:
        fit_sizes(found["unet"], found["text_encoder_2"])
    return found


def fit_sizes(unet: dict[str, Any], second: Mapping[str, Any]) -> None:
    """Gives Stable Diffusion XL's sizes the features that the second text encoder's pooled vector leaves to
    them: 256 each, for the published networks.

    unet, second: configurations; the first one changes.
    """
    added = unet.get("projection_class_embeddings_input_dim", 0) - second.get("projection_dim", 0)
    if added > 0:
        unet["addition_time_embed_dim"] = added // _TIMES


def check(header: Header, *, is_xl: bool) -> None:
    """Raises `unknown-model` unless a UNet of Stable Diffusion, or of XL, is in the file."""
    prefix = _prefix(header, _UNETS, "input_blocks.0.0.weight")
    if prefix is None or f"{prefix}out.2.weight" not in header.shapes:
        raise _unsupported("is not a whole checkpoint of Stable Diffusion")
    if f"{prefix}time_embed.cond_proj.weight" in header.shapes:  # diffusers' converter would leave it out
        raise _unsupported("has a latent consistency model, which is read from a diffusers folder only")
    if (f"{prefix}label_emb.0.0.weight" in header.shapes) != is_xl:
        raise _unsupported("has a network with further inputs, or lacks some")
    seen, made = header.shapes[f"{prefix}input_blocks.0.0.weight"][1], _out(header, prefix)
    if seen not in (made, 2 * made, 2 * made + 1):
        raise _unsupported(f"has a network of {seen} channels, such as for depth or enlarging")


def is_open_clip(header: Header) -> bool:
    """Whether the (first) text encoder is in OpenCLIP's layout, as in Stable Diffusion 2."""
    return _prefix(header, _CLIP["text_encoder"][1], "token_embedding.weight") is not None


def scheduler(header: Header) -> dict[str, Any]:
    """The configuration of a scheduler.

    The prediction is the noted one, else that of the published models. For Stable Diffusion 2 that is v, as
    in the 768-pixel model; its 512-pixel base is told apart by `measuring`.
    """
    return {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "prediction_type": noted_prediction(header) or ("v_prediction" if _is_sd2(header) else "epsilon"),
        "rescale_betas_zero_snr": "ztsnr" in header.shapes,
    }


def noted_prediction(header: Header) -> str:
    """The prediction type from the checkpoint's metadata or its marker tensors; '' if they say nothing."""
    noted = header.metadata.get(PREDICTION, "").lower()
    if noted:
        return "v_prediction" if noted.startswith("v") else "sample" if noted in _SAMPLE else "epsilon"
    return "v_prediction" if "v_pred" in header.shapes else ""


_SAMPLE = ("sample", "x0")


def _prefix(header: Header, prefixes: tuple[str, ...], name: str) -> str | None:
    return next((prefix for prefix in prefixes if prefix + name in header.shapes), None)


def _is_sd2(header: Header) -> bool:
    """Whether the UNet reads the 1024 features of Stable Diffusion 2's text encoder, or comes with it."""
    return is_open_clip(header) or any(
        name.endswith("attn2.to_k.weight") and shape[1] == 1024 for name, shape in header.shapes.items()
    )


def _unsupported(what: str) -> VelaturaError:
    return VelaturaError(
        "unknown-model", f"The file {what}; choose a checkpoint of Stable Diffusion 1, 2 or XL."
    )


def _out(header: Header, prefix: str) -> int:
    """The channels of a UNet's result."""
    return header.shapes[f"{prefix}out.2.weight"][0]


def _unet(header: Header, prefix: str) -> dict[str, Any]:
    shapes = header.shapes
    numbers = header.count(rf"{re.escape(prefix)}input_blocks\.(\d+)\.")
    blocks = [f"{prefix}input_blocks.{i}." for i in range(numbers)]
    levels: list[list[str]] = [[]]
    for block in blocks[1:]:
        if block + "0.op.weight" in shapes:
            levels.append([])
        else:
            levels[-1].append(block)
    channels = [shapes[level[0] + "0.out_layers.3.weight"][0] for level in levels]
    depths = [
        header.count(rf"{re.escape(level[0])}1\.transformer_blocks\.(\d+)\.") for level in levels
    ]  # 0 without attention
    first = next(level[0] for level, depth in zip(levels, depths, strict=True) if depth) + "1."
    context = shapes[first + "transformer_blocks.0.attn2.to_k.weight"][1]
    is_linear = len(shapes[first + "proj_in.weight"]) == 2
    config: dict[str, Any] = {
        "_class_name": "UNet2DConditionModel",
        "in_channels": shapes[f"{prefix}input_blocks.0.0.weight"][1],
        "out_channels": _out(header, prefix),
        "sample_size": 64,
        "block_out_channels": channels,
        "layers_per_block": len(levels[0]),
        "down_block_types": ["CrossAttnDownBlock2D" if d else "DownBlock2D" for d in depths],
        "up_block_types": ["CrossAttnUpBlock2D" if d else "UpBlock2D" for d in reversed(depths)],
        "transformer_layers_per_block": [max(1, depth) for depth in depths],
        "cross_attention_dim": context,
        # 8 heads in Stable Diffusion 1, heads of 64 channels in 2 and XL (diffusers' name is historical)
        "attention_head_dim": [c // 64 for c in channels] if is_linear else 8,
        "use_linear_projection": is_linear,
    }
    if f"{prefix}label_emb.0.0.weight" in shapes:
        added = shapes[f"{prefix}label_emb.0.0.weight"][1]
        config |= {
            "sample_size": 128,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": added,
        }
    elif is_open_clip(header) and noted_prediction(header) != "epsilon":
        config["sample_size"] = 96
    return config


def _autoencoder(header: Header, prefix: str, scale: float) -> dict[str, Any]:
    shapes = header.shapes
    downs = header.count(rf"{re.escape(prefix)}encoder\.down\.(\d+)\.")
    channels = [shapes[f"{prefix}encoder.down.{i}.block.0.conv1.weight"][0] for i in range(downs)]
    return {
        "_class_name": "AutoencoderKL",
        "block_out_channels": channels,
        "down_block_types": ["DownEncoderBlock2D"] * downs,
        "up_block_types": ["UpDecoderBlock2D"] * downs,
        "layers_per_block": header.count(rf"{re.escape(prefix)}encoder\.down\.0\.block\.(\d+)\."),
        "latent_channels": shapes[f"{prefix}post_quant_conv.weight"][0],
        "scaling_factor": scale,
    }


def _text_encoder(header: Header, name: str) -> dict[str, Any] | None:
    """The configuration of a text encoder; None if the file has none of this name."""
    plain, open_clip = _CLIP[name]
    prefix = _prefix(header, plain, "text_model.embeddings.token_embedding.weight")
    is_plain = prefix is not None
    if prefix is None:
        prefix = _prefix(header, open_clip, "token_embedding.weight")
    if prefix is None:
        return None
    is_first = name == "text_encoder"
    shapes = {key[len(prefix) :]: shape for key, shape in header.shapes.items() if key.startswith(prefix)}
    config = clip_and_t5.clip_configuration(shapes, is_open=not (is_plain and is_first))
    if is_first and not is_plain:  # Stable Diffusion 2 uses the last layer but one, and XL leaves it out
        config["num_hidden_layers"] -= 1
    cls = "CLIPTextModel" if is_first else "CLIPTextModelWithProjection"
    return {"architectures": [cls], "model_type": "clip_text_model", **config}


def text_encoder(
    cls: Any, file: Path, name: str, config: dict[str, Any], dtype: torch.dtype, scratch: Path
) -> Any:
    """The text encoder in a file, of a class of transformers, converted by diffusers.

    Args:
        cls: the class.
        file: a checkpoint, or a file with this encoder alone.
        name: 'text_encoder' or 'text_encoder_2'.
        config: its configuration.
        dtype: of the network.
        scratch: a folder for the configuration.
    """
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm  # slow to import

    write(scratch / name / "config.json", config)
    model = create_diffusers_clip_model_from_ldm(
        cls,
        weights(file, name, dtype),
        subfolder=name,
        config=str(scratch),
        torch_dtype=dtype,
        local_files_only=True,
    )
    return model.to(dtype)


_LAYOUTS = {  # the prefixes that a part may have, with the name of one of its tensors
    "unet": [(_UNETS, "input_blocks.0.0.weight")],
    "vae": [(_VAES, "decoder.conv_in.weight")],
    **{
        name: [
            (plain, "text_model.embeddings.token_embedding.weight"),
            (open_clip, "token_embedding.weight"),
        ]
        for name, (plain, open_clip) in _CLIP.items()
    },
}


def weights(file: Path, name: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors of a part, by their names in a checkpoint: diffusers knows parts by their prefixes there.
    dtype: see `parts.tensors`.

    Raises ValueError if the file has none.
    """
    prefix, canonical = _named(read_header(file).shapes, name)
    return {canonical + key: value for key, value in parts.tensors(file, (prefix,), dtype).items()}


def _named(keys: Collection[str], name: str) -> tuple[str, str]:
    """The prefix of a part in a file, and that by which diffusers knows the part. Raises ValueError."""
    for prefixes, known in _LAYOUTS[name]:
        for prefix in prefixes:
            if prefix + known in keys:
                return prefix, prefixes[0] or _CLIP["text_encoder"][0][0]
    raise ValueError(f"the file has no {name}")


def write(path: Path, value: object) -> None:
    """Writes a JSON value, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
