"""A random Qwen-Image and its editors in their real formats, small enough for a test."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, QwenImageTransformer2DModel
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.tiny_flux2 import randomised
from tests.tiny_texts import qwen_tokenizer

SCHEDULER = {
    "base_shift": 0.5,
    "max_shift": 0.9,
    "base_image_seq_len": 256,
    "max_image_seq_len": 8192,
    "shift_terminal": 0.02,
    "use_dynamic_shifting": True,
    "time_shift_type": "exponential",
}


def tiny_qwen_image(folder: Path, kind: str = "QwenImagePipeline", *, seed: int = 0) -> Path:
    """Writes a diffusers folder and returns it. kind: the pipeline's class, of the generator or an editor."""
    qwen_tokenizer(folder / "tokenizer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        qwen_transformer(zero_cond_t="Plus" in kind).save_pretrained(folder / "transformer")
        AutoencoderKLQwenImage(base_dim=8).save_pretrained(folder / "vae")
        qwen_vision(folder).save_pretrained(folder / "text_encoder")
    FlowMatchEulerDiscreteScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")
    parts = {
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"],
        "tokenizer": ["transformers", "Qwen2Tokenizer"],
        "transformer": ["diffusers", "QwenImageTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLQwenImage"],
    }
    if "Edit" in kind:
        Qwen2VLImageProcessorPil().save_pretrained(folder / "processor")
        parts["processor"] = ["transformers", "Qwen2VLProcessor"]
    (folder / "model_index.json").write_text(json.dumps({"_class_name": kind, **parts}), encoding="utf-8")
    return folder


def qwen_transformer(*, zero_cond_t: bool = False) -> QwenImageTransformer2DModel:
    """A random network. zero_cond_t: whether it modulates reference pictures as clean ones."""
    network = QwenImageTransformer2DModel(
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=128,
        axes_dims_rope=(4, 6, 6),
        zero_cond_t=zero_cond_t,
    )
    return randomised(network, 0.6)


def qwen_vision(folder: Path) -> Qwen2_5_VLForConditionalGeneration:
    """A random Qwen2.5-VL that reads the tokenizer in the folder."""
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer.from_pretrained(folder / "tokenizer")
    names = {"image_token_id": "image_pad", "video_token_id": "video_pad"}
    names |= {"vision_start_token_id": "vision_start", "vision_end_token_id": "vision_end"}
    marks = {name: tokenizer.convert_tokens_to_ids(f"<|{mark}|>") for name, mark in names.items()}
    text = {
        "vocab_size": 1024,
        "hidden_size": 128,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
        "initializer_range": 0.1,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    }
    vision = {
        "depth": 2,
        "hidden_size": 80,
        "num_heads": 1,
        "intermediate_size": 64,
        "out_hidden_size": 128,
        "fullatt_block_indexes": [1],
        "initializer_range": 0.1,
    }
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(text_config=text, vision_config=vision, **marks)
    )


def wan_names(vae: AutoencoderKLQwenImage) -> dict[str, torch.Tensor]:
    """The autoencoder's tensors in the layout of Wan's, in which its single files are."""
    inner = {"norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6"}
    inner["conv_shortcut"] = "shortcut"
    patterns = [
        (r"^quant_conv", "conv1"),
        (r"^post_quant_conv", "conv2"),
        (r"coder\.conv_in", "coder.conv1"),
        (r"norm_out", "head.0"),
        (r"conv_out", "head.2"),
        (r"mid_block\.attentions\.0", "middle.1"),
        (r"mid_block\.resnets\.(\d)", lambda m: f"middle.{2 * int(m[1])}"),
        (r"down_blocks", "downsamples"),
        (r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"upsamples.{4 * int(m[1]) + int(m[2])}"),
        (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"upsamples.{4 * int(m[1]) + 3}"),
    ]
    out = {}
    for name, value in vae.state_dict().items():
        new = re.sub(r"\.(norm1|norm2|conv1|conv2|conv_shortcut)\.", lambda m: f".{inner[m[1]]}.", name)
        for pattern, replacement in patterns:
            new = re.sub(pattern, replacement, new)
        out[new] = value
    return out
