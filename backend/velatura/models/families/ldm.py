"""Checkpoints in the layout of Stable Diffusion's first code (LDM).

The shapes in a file's header determine the configurations that diffusers needs to convert the weights;
nothing is downloaded.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from velatura_protocol.errors import VelaturaError

from ..headers import PREDICTION, Header

_UNET = "model.diffusion_model."
_VAE = "first_stage_model."
_CLIP = "cond_stage_model.transformer.text_model."
_OPEN_CLIP = "cond_stage_model.model."
_VOCABULARY = Path(__file__).parents[1] / "clip" / "bpe_simple_vocab_16e6.txt.gz"


def write_configuration(header: Header, folder: Path) -> None:
    """Writes a diffusers folder that describes the checkpoint, without weights.

    Raises `unknown-model` unless it is a text-to-image model of Stable Diffusion 1 or 2.
    """
    _check(header)
    components = {
        "unet": ("diffusers", "UNet2DConditionModel", _unet(header)),
        "vae": ("diffusers", "AutoencoderKL", _autoencoder(header)),
        "text_encoder": ("transformers", "CLIPTextModel", _text_encoder(header)),
        "scheduler": ("diffusers", "DDIMScheduler", _scheduler(header)),
    }
    index = {name: [library, cls] for name, (library, cls, _) in components.items()}
    index |= {"_class_name": "StableDiffusionPipeline", "tokenizer": ["transformers", "CLIPTokenizer"]}
    _write(folder / "model_index.json", index)
    for name, (_, cls, config) in components.items():
        file = "scheduler_config.json" if name == "scheduler" else "config.json"
        _write(folder / name / file, {"_class_name": cls} | config)
    _write_tokenizer(folder / "tokenizer", pad="!" if _is_open_clip(header) else "<|endoftext|>")


def _check(header: Header) -> None:
    shapes = header.shapes
    if any(name.startswith("conditioner.embedders.") for name in shapes):
        raise _unsupported("is a Stable Diffusion XL checkpoint")
    if f"{_UNET}input_blocks.0.0.weight" not in shapes or f"{_UNET}label_emb.0.0.weight" in shapes:
        raise _unsupported("is not a whole Stable Diffusion 1 or 2 checkpoint")
    if shapes[f"{_UNET}input_blocks.0.0.weight"][1] != 4:
        raise _unsupported("is an inpainting or instruction checkpoint")
    if not any(name.startswith(_VAE) for name in shapes) or not (_is_open_clip(header) or _is_clip(header)):
        raise _unsupported("lacks its autoencoder or its text encoder")


def _unsupported(what: str) -> VelaturaError:
    return VelaturaError(
        "unknown-model", f"The file {what}; choose a text-to-image checkpoint of Stable Diffusion 1 or 2."
    )


def _is_clip(header: Header) -> bool:
    return f"{_CLIP}embeddings.token_embedding.weight" in header.shapes


def _is_open_clip(header: Header) -> bool:
    return f"{_OPEN_CLIP}token_embedding.weight" in header.shapes


def _unet(header: Header) -> dict[str, Any]:
    shapes = header.shapes
    blocks = [f"{_UNET}input_blocks.{i}." for i in range(header.count(rf"{_UNET}input_blocks\.(\d+)\."))]
    levels: list[list[str]] = [[]]
    for block in blocks[1:]:
        if block + "0.op.weight" in shapes:
            levels.append([])
        else:
            levels[-1].append(block)
    channels = [shapes[level[0] + "0.out_layers.3.weight"][0] for level in levels]
    attends = [level[0] + "1.norm.weight" in shapes for level in levels]
    first = next(level[0] for level, attention in zip(levels, attends, strict=True) if attention) + "1."
    return {
        "in_channels": 4,
        "out_channels": 4,
        "sample_size": 96 if _is_open_clip(header) and _prediction(header) == "v_prediction" else 64,
        "block_out_channels": channels,
        "layers_per_block": len(levels[0]),
        "down_block_types": ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends],
        "up_block_types": ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)],
        "cross_attention_dim": shapes[first + "transformer_blocks.0.attn2.to_k.weight"][1],
        # 8 heads in Stable Diffusion 1, heads of 64 channels in 2 (diffusers' name for it is historical)
        "attention_head_dim": [c // 64 for c in channels] if _is_open_clip(header) else 8,
        "use_linear_projection": len(shapes[first + "proj_in.weight"]) == 2,
    }


def _autoencoder(header: Header) -> dict[str, Any]:
    shapes = header.shapes
    downs = header.count(rf"{_VAE}encoder\.down\.(\d+)\.")
    channels = [shapes[f"{_VAE}encoder.down.{i}.block.0.conv1.weight"][0] for i in range(downs)]
    return {
        "block_out_channels": channels,
        "down_block_types": ["DownEncoderBlock2D"] * downs,
        "up_block_types": ["UpDecoderBlock2D"] * downs,
        "layers_per_block": header.count(rf"{_VAE}encoder\.down\.0\.block\.(\d+)\."),
        "latent_channels": shapes[f"{_VAE}post_quant_conv.weight"][0],
        "scaling_factor": 0.18215,
    }


def _text_encoder(header: Header) -> dict[str, Any]:
    shapes = header.shapes
    if _is_open_clip(header):
        vocabulary, hidden = shapes[f"{_OPEN_CLIP}token_embedding.weight"]
        layers = header.count(rf"{_OPEN_CLIP}transformer\.resblocks\.(\d+)\.") - 1  # the last but one is used
        inner = shapes[f"{_OPEN_CLIP}transformer.resblocks.0.mlp.c_fc.weight"][0]
        length = shapes[f"{_OPEN_CLIP}positional_embedding"][0]
        activation, pad = "gelu", 0
    else:
        vocabulary, hidden = shapes[f"{_CLIP}embeddings.token_embedding.weight"]
        layers = header.count(rf"{_CLIP}encoder\.layers\.(\d+)\.")
        inner = shapes[f"{_CLIP}encoder.layers.0.mlp.fc1.weight"][0]
        length = shapes[f"{_CLIP}embeddings.position_embedding.weight"][0]
        activation, pad = "quick_gelu", vocabulary - 1
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "max_position_embeddings": length,
        "hidden_act": activation,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": pad,
    }


def _scheduler(header: Header) -> dict[str, Any]:
    return {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "prediction_type": _prediction(header),
        "rescale_betas_zero_snr": "ztsnr" in header.shapes,
        "steps_offset": 1,
        "clip_sample": False,
    }


def _prediction(header: Header) -> str:
    """The prediction type, from the checkpoint's metadata or marker tensors, else that of the published
    models.

    For Stable Diffusion 2 that is v, as in the 768-pixel model; its 512-pixel base needs the diffusers
    folder.
    """
    noted = header.metadata.get(PREDICTION, "").lower()
    if noted:
        return "v_prediction" if noted.startswith("v") else "epsilon"
    return "v_prediction" if "v_pred" in header.shapes or _is_open_clip(header) else "epsilon"


def _write_tokenizer(folder: Path, pad: str) -> None:
    """CLIP's vocabulary: 256 bytes, 256 bytes at the end of a word, one token a merge, and two marks."""
    lines = gzip.decompress(_VOCABULARY.read_bytes()).decode("utf-8").split("\n")
    merges = lines[1 : 49152 - 256 - 2 + 1]
    letters = [chr(b) for b in (*range(33, 127), *range(161, 173), *range(174, 256))]
    letters += [chr(256 + i) for i in range(256 - len(letters))]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(m.split()) for m in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    _write(folder / "vocab.json", {token: i for i, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": pad} | special
    _write(folder / "tokenizer_config.json", config)
    _write(folder / "special_tokens_map.json", special | {"pad_token": pad})


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
