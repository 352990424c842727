"""Qwen3 as a text encoder: of FLUX.2 klein and of Z-Image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Qwen3Config, Qwen3Model

from velatura.models.headers import read_header

from . import parts

_THOUGHTLESS = "<think>\n\n</think>\n\n"


class _Headless(Qwen3Model):
    """Files have a head too, for the words of an answer."""

    _keys_to_ignore_on_load_unexpected = [r"^lm_head"]


def qwen3(path: Path, dtype: torch.dtype, layers: int | None = None) -> nn.Module:
    """The language model without its head.

    Args:
        path: a folder, a .safetensors file or a .gguf file, whose weights are read into `dtype`.
        dtype: of the network.
        layers: the last layer whose states are read; None: all. See `parts.shortened`.
    """
    if path.suffix.lower() == ".gguf":
        encoder = _Headless.from_pretrained(
            str(path.parent), gguf_file=path.name, dtype=dtype, local_files_only=True
        )
    elif path.is_dir():
        encoder = parts.language_model(_Headless, path, dtype)
    else:
        encoder = parts.language_model(_Headless, path, dtype, _configuration(path))
    return encoder if layers is None else parts.shortened(encoder, layers)


def _configuration(path: Path) -> Qwen3Config:
    """transformers' configuration of a Qwen3 in a file, with the published models' constants."""
    shapes = read_header(path).shapes
    sizes = parts.sizes(shapes, "model.layers.")
    head = shapes["model.layers.0.self_attn.q_norm.weight"][0]
    return Qwen3Config(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.hidden,
        intermediate_size=sizes.inner,
        num_hidden_layers=sizes.layers,
        head_dim=head,
        num_attention_heads=sizes.query // head,
        num_key_value_heads=sizes.key // head,
        max_position_embeddings=40960,
        rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
    )


def chat(tokenizer: Any, *, thinking: bool) -> Callable[[str], str]:
    """The text of a prompt as a person's message, up to the answer's start.

    Args:
        tokenizer: of Qwen3. Its own template is taken, where it has one.
        thinking: whether the answer may start with thoughts; if not, it starts with empty ones.
    """

    def text(prompt: str) -> str:
        if tokenizer.chat_template:
            message = [{"role": "user", "content": prompt}]
            return tokenizer.apply_chat_template(
                message, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
            )
        end = "" if thinking else _THOUGHTLESS
        return f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n{end}"

    return text
