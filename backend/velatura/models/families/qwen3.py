"""Qwen3 as a text encoder: of FLUX.2 klein and of Z-Image; and the language model of Qwen3-VL: of Krea 2."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Qwen3Config, Qwen3Model, Qwen3VLModel

from velatura.models.headers import read_header

from . import parts

_THETA = 1e6  # of the angles of positions
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
        encoder = parts.language_model(
            _Headless, path, dtype, _configuration(read_header(path).shapes, _THETA)
        )
    return encoder if layers is None else parts.shortened(encoder, layers)


class _HeadlessSeeing(Qwen3VLModel):
    """Files have a head too, for the words of an answer."""

    _keys_to_ignore_on_load_unexpected = [r"^lm_head"]


_SEEING_THETA = 5e6  # of the angles of Qwen3-VL's positions


def qwen3_vl(path: Path, dtype: torch.dtype, layers: int) -> nn.Module:
    """The language model of Qwen3-VL without its head. It sees no pictures; for text alone it is a Qwen3.

    Args:
        path: a folder or a .safetensors file.
        dtype: of the network.
        layers: the last layer whose states are read. See `parts.shortened`.
    """
    if path.is_dir():
        encoder = parts.language_model(_HeadlessSeeing, path, dtype).language_model
        return parts.shortened(encoder, layers)
    found = {_renamed(name): value for name, value in parts.tensors(path, dtype=dtype).items()}
    found = {name: value for name, value in found.items() if not name.startswith(_NO_TEXT)}
    shapes = {f"model.{name}": tuple(value.shape) for name, value in found.items()}
    config = _configuration(shapes, _SEEING_THETA)
    encoder = Qwen3Model.from_pretrained(None, config=config, state_dict=found, dtype=dtype)
    return parts.shortened(encoder, layers)


_NO_TEXT = ("visual.", "lm_head.")


def _renamed(name: str) -> str:
    """The tensor's name in the language model, from the names of Qwen3-VL with and without its head."""
    return name.removeprefix("model.").removeprefix("language_model.").removeprefix("model.")


def _configuration(shapes: Mapping[str, tuple[int, ...]], theta: float) -> Qwen3Config:
    """transformers' configuration of a Qwen3 with tensors of these shapes, with the published models'
    constants. theta: of the angles of its positions."""
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
        rope_parameters={"rope_type": "default", "rope_theta": theta},
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
