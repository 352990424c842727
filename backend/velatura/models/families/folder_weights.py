"""Reads the networks of a diffusers folder, in whichever variant it has their weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from diffusers.utils.import_utils import is_accelerate_available

from velatura.weights.json_files import read_object

_VARIANTS = ("", "fp32", "bf16", "fp16")
"""In order of preference. '' are the weights without a variant; others, such as 'non_ema', come last."""
_SHARD = re.compile(r"-\d{5}-of-\d{5}")


def config(folder: Path, name: str, file: str = "config.json") -> dict[str, Any]:
    """The configuration of a part. Raises OSError where there is none, ValueError where it makes no sense."""
    return read_object(folder / name / file)


def network(cls: Any, folder: Path, dtype: torch.dtype) -> Any:
    """The network of a class of diffusers in `folder`, in this dtype."""
    return cls.from_pretrained(
        folder,
        variant=variant(folder, "diffusion_pytorch_model"),
        low_cpu_mem_usage=is_accelerate_available(),
        local_files_only=True,
        use_safetensors=True,
        torch_dtype=dtype,
    )


def encoder(cls: Any, folder: Path, dtype: torch.dtype) -> Any:
    """The network of a class of transformers in `folder`, in this dtype."""
    return cls.from_pretrained(
        folder, variant=variant(folder, "model"), dtype=dtype, local_files_only=True, use_safetensors=True
    )


def variant(folder: Path, stem: str) -> str | None:
    """The variant of the weights that a library is to load; None for those without a variant, or where there
    are none.

    Names are stem.safetensors or stem.fp16.safetensors. With shards they are
    stem.fp16-00001-of-00002.safetensors or stem-00001-of-00002.fp16.safetensors, and an index is
    stem.safetensors.index.fp16.json.
    """
    found = set[str]()
    for path in folder.glob(f"{stem}*"):
        name = path.name.removeprefix(stem)
        if name.startswith(".safetensors.index."):
            found.add(name.removeprefix(".safetensors.index.").removesuffix("json").rstrip("."))
        elif name.endswith(".safetensors") and not _SHARD.search(name):
            found.add(name.removesuffix(".safetensors").lstrip("."))
    if not found or "" in found:
        return None
    return min(found, key=lambda name: (_VARIANTS.index(name) if name in _VARIANTS else len(_VARIANTS), name))
