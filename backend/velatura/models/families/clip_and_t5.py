"""CLIP and T5, the text encoders of Stable Diffusion 3 and FLUX.1, in the forms in which people have them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from velatura.diffusion.network import Tokenized
from velatura.models.clip_tokens import tokenized
from velatura.models.vocabulary import write_tokenizer

from . import parts

CLIP_L = ("text_encoders.clip_l.transformer.", "conditioner.embedders.0.transformer.", "")
"""What the names of CLIP-L start with in a checkpoint, and in a file of its own; likewise for the others."""
CLIP_G = ("text_encoders.clip_g.transformer.", "")
T5 = ("text_encoders.t5xxl.transformer.", "")
_HEAD = 64  # channels of a head of CLIP
_BIG = 1024  # wider text encoders of CLIP are OpenCLIP's, with another activation and padding


def clip(cls: Any, path: Path, dtype: torch.dtype, prefixes: Sequence[str]) -> Any:
    """A text encoder of CLIP.

    Args:
        cls: CLIPTextModel or CLIPTextModelWithProjection.
        path: a folder, or a .safetensors file.
        dtype: of the network.
        prefixes: `CLIP_L` or `CLIP_G`.
    """
    if path.is_dir():
        return parts.language_model(cls, path, dtype)
    found = parts.tensors(path, prefixes, dtype)
    table = found["text_model.embeddings.token_embedding.weight"]
    if prefixes is CLIP_L:  # Stable Diffusion 3 takes its pooled vector as it is
        found["text_projection.weight"] = torch.eye(table.shape[1], dtype=table.dtype)
    config = clip_configuration({name: tuple(value.shape) for name, value in found.items()})
    if cls.__name__ == "CLIPTextModel":
        found.pop("text_projection.weight", None)
    return cls.from_pretrained(None, config=CLIPTextConfig(**config), state_dict=found, dtype=dtype)


def clip_configuration(
    shapes: Mapping[str, tuple[int, ...]], *, is_open: bool | None = None
) -> dict[str, Any]:
    """transformers' configuration of a text encoder of CLIP.

    Args:
        shapes: of its tensors, by transformers' names or by OpenCLIP's, without a prefix.
        is_open: whether it is OpenCLIP's, with another activation and padding; None: if it is wide.
    """
    names = next(names for names in (_NAMES, _OPEN_NAMES) if names[0] in shapes)
    table, places, layers, inner, projection = names
    vocabulary, hidden = shapes[table]
    is_open = hidden >= _BIG if is_open is None else is_open
    projected = shapes.get(projection, (hidden, hidden))
    return {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": shapes[f"{layers}0.{inner}"][0],
        "num_hidden_layers": parts.count(shapes, layers),
        "num_attention_heads": hidden // _HEAD,
        "max_position_embeddings": shapes[places][0],
        "projection_dim": projected[0] if names is _NAMES else projected[1],
        "hidden_act": "gelu" if is_open else "quick_gelu",
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": 0 if is_open else vocabulary - 1,
    }


_NAMES = (  # the tables of tokens and of positions, the layers, a layer's inner matrix, the projection
    "text_model.embeddings.token_embedding.weight",
    "text_model.embeddings.position_embedding.weight",
    "text_model.encoder.layers.",
    "mlp.fc1.weight",
    "text_projection.weight",
)
_OPEN_NAMES = (
    "token_embedding.weight",
    "positional_embedding",
    "transformer.resblocks.",
    "mlp.c_fc.weight",
    "text_projection",
)


def t5(path: Path, dtype: torch.dtype) -> T5EncoderModel:
    """The encoder of T5 v1.1.

    path: a folder, a .safetensors file, or a .gguf file, whose weights are read into `dtype`.
    """
    if path.is_dir():
        return parts.language_model(T5EncoderModel, path, dtype)
    if path.suffix.lower() == ".gguf":
        return T5EncoderModel.from_pretrained(
            str(path.parent), gguf_file=path.name, dtype=dtype, local_files_only=True
        )
    found = parts.tensors(path, T5, dtype)
    config = T5Config(**t5_configuration({name: tuple(value.shape) for name, value in found.items()}))
    found.pop("encoder.embed_tokens.weight", None)  # `shared` once more
    return T5EncoderModel.from_pretrained(None, config=config, state_dict=found, dtype=dtype)


def t5_configuration(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """transformers' configuration of an encoder of T5 v1.1 with tensors of these shapes."""
    attention = "encoder.block.0.layer.0.SelfAttention."
    vocabulary, width = shapes["shared.weight"]
    buckets, heads = shapes[f"{attention}relative_attention_bias.weight"]
    return {
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": shapes[f"{attention}q.weight"][0] // heads,
        "d_ff": shapes["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"][0],
        "num_layers": parts.count(shapes, "encoder.block."),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu",
        "is_encoder_decoder": False,
        "tie_word_embeddings": False,
    }


def clip_tokenizer(folder: Path | None, *, is_open: bool = False) -> CLIPTokenizer:
    """CLIP's tokenizer from a folder; without one, from the vocabulary that ships.

    is_open: whether it is OpenCLIP's, which pads with another token.
    """
    if folder is not None:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    with tempfile.TemporaryDirectory(prefix="velatura-") as temporary:
        write_tokenizer(Path(temporary), pad="!" if is_open else "<|endoftext|>")
        return CLIPTokenizer.from_pretrained(temporary, local_files_only=True)


def t5_tokenizer(folder: Path) -> T5Tokenizer:
    """T5's tokenizer from a folder, with its tokenizer.json or its spiece.model."""
    return T5Tokenizer.from_pretrained(folder, local_files_only=True)


def clip_ids(tokenizer: CLIPTokenizer, prompt: str, length: int) -> Tensor:
    """The prompt as CLIP reads it, int64 [1, length]: cut where it is longer."""
    return tokenizer(
        prompt, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids


def t5_ids(tokenizer: T5Tokenizer, prompt: str, length: int) -> Tensor:
    """The prompt as T5 reads it, int64 [1, length]. T5 attends to its padding too, as in training."""
    return tokenizer(prompt, padding="max_length", max_length=length, return_tensors="pt").input_ids


def t5_tokens(tokenizer: T5Tokenizer, prompt: str) -> int:
    """The number of the prompt's tokens, with the end mark."""
    return len(tokenizer(prompt, verbose=False).input_ids)


def t5_tokenized(tokenizer: T5Tokenizer, prompt: str, length: int) -> Tokenized:
    """The prompt as T5 reads it: its content from the first token on, the end mark, and padding."""
    read = tokenizer(prompt, padding="max_length", max_length=length, return_offsets_mapping=True)
    return Tokenized(read["input_ids"], read["offset_mapping"], range(sum(read["attention_mask"]) - 1))


def clip_tokenized(tokenizer: CLIPTokenizer, prompt: str, length: int) -> Tokenized:
    """The prompt as CLIP reads it, cut where it is longer."""
    ids = clip_ids(tokenizer, prompt, length)[0].tolist()
    if len(tokenizer(prompt, verbose=False).input_ids) <= length:
        return tokenized(tokenizer, prompt, length)
    read = tokenizer(prompt, max_length=length, truncation=True, return_offsets_mapping=True)
    return Tokenized(ids, read["offset_mapping"], range(1, length - 1))
