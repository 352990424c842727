"""A random Krea 2 in its real formats, small enough for a test."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Krea2Pipeline,
    Krea2Transformer2DModel,
)
from torch import Tensor
from transformers import Qwen2Tokenizer, Qwen3VLConfig, Qwen3VLModel

from tests.tiny_flux2 import randomised
from tests.tiny_texts import qwen_tokenizer

SCHEDULER = {
    "use_dynamic_shifting": True,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 6400,
}
READ = (1, 2, 4)
"""The layers of the text encoder before which the states are read."""


def tiny_krea2(folder: Path, *, distilled: bool = False, read: tuple[int, ...] = READ, seed: int = 0) -> Path:
    """Writes a diffusers folder of Krea 2 and returns it. distilled: whether it is Turbo."""
    tokenizer = Qwen2Tokenizer.from_pretrained(qwen_tokenizer(folder / "tokenizer"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        Krea2Pipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(**SCHEDULER),
            vae=AutoencoderKLQwenImage(base_dim=8),
            text_encoder=qwen3_vl(layers=max(read) + 1),
            tokenizer=tokenizer,
            transformer=transformer(len(read)),
            text_encoder_select_layers=read,
            is_distilled=distilled,
        ).save_pretrained(folder)
    return folder


def transformer(layers: int) -> Krea2Transformer2DModel:
    """Four heads of queries and two of keys. layers: of states of the text encoder."""
    network = Krea2Transformer2DModel(
        in_channels=64,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=96,
        timestep_embed_dim=32,
        text_hidden_dim=16,
        num_text_layers=layers,
        text_num_attention_heads=2,
        text_num_key_value_heads=2,
        text_intermediate_size=32,
        num_layerwise_text_blocks=1,
        num_refiner_text_blocks=2,
        axes_dims_rope=(4, 6, 6),
    )
    return randomised(network, 0.6)


def qwen3_vl(layers: int) -> Qwen3VLModel:
    """A random Qwen3-VL, whose eyes are as small as they can be."""
    text = {
        "vocab_size": 1024,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "initializer_range": 0.3,
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [2, 1, 1]},
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "num_heads": 1,
        "intermediate_size": 16,
        "out_hidden_size": 16,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }
    return Qwen3VLModel(Qwen3VLConfig(text_config=text, vision_config=vision))


_AUTHORS = [
    (r"^img_in\.", "first."),
    (r"^time_embed\.linear_1\.", "tmlp.0."),
    (r"^time_embed\.linear_2\.", "tmlp.2."),
    (r"^time_mod_proj\.", "tproj.1."),
    (r"^txt_in\.norm\.weight", "txtmlp.0.scale"),
    (r"^txt_in\.linear_1\.", "txtmlp.1."),
    (r"^txt_in\.linear_2\.", "txtmlp.3."),
    (r"^text_fusion\.", "txtfusion."),
    (r"^transformer_blocks\.", "blocks."),
    (r"^final_layer\.linear\.", "last.linear."),
    (r"^final_layer\.norm\.weight", "last.norm.scale"),
    (r"^final_layer\.scale_shift_table", "last.modulation.lin"),
    (r"\.attn\.to_([qkv])\.", r".attn.w\1."),
    (r"\.attn\.to_out\.0\.", ".attn.wo."),
    (r"\.attn\.to_gate\.", ".attn.gate."),
    (r"\.attn\.norm_([qk])\.weight", r".attn.qknorm.\1norm.scale"),
    (r"\.ff\.", ".mlp."),
    (r"\.norm1\.weight", ".prenorm.scale"),
    (r"\.norm2\.weight", ".postnorm.scale"),
    (r"\.scale_shift_table", ".mod.lin"),
]


def authors_names(network: Krea2Transformer2DModel) -> dict[str, Tensor]:
    """The network's tensors in the layout of the authors' own files."""
    out: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        new = name
        for pattern, replacement in _AUTHORS:
            new = re.sub(pattern, replacement, new)
        out[new] = value.flatten() if new.endswith(".mod.lin") else value
    return out
