"""Reads the networks of a diffusers folder, in whichever variant it has their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.utils.import_utils import is_accelerate_available

from velatura.models.variants import STEMS, variant
from velatura.weights.json_files import read_object

_DIFFUSERS, _TRANSFORMERS = STEMS


def config(folder: Path, name: str, file: str = "config.json") -> dict[str, Any]:
    """The configuration of a part. Raises OSError where there is none, ValueError where it makes no sense."""
    return read_object(folder / name / file)


def network(cls: Any, folder: Path, dtype: torch.dtype) -> Any:
    """The network of a class of diffusers in `folder`, in this dtype."""
    return cls.from_pretrained(
        folder,
        variant=variant(folder, _DIFFUSERS),
        low_cpu_mem_usage=is_accelerate_available(),
        local_files_only=True,
        use_safetensors=True,
        torch_dtype=dtype,
    )


def encoder(cls: Any, folder: Path, dtype: torch.dtype) -> Any:
    """The network of a class of transformers in `folder`, in this dtype."""
    return cls.from_pretrained(
        folder,
        variant=variant(folder, _TRANSFORMERS),
        dtype=dtype,
        local_files_only=True,
        use_safetensors=True,
    )
