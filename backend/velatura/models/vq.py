"""Loads VQ models (VQ-VAE, VQGAN) that diffusers' `VQModel` has written. Imports no torch.

A folder has config.json and weights in .safetensors. `velatura.models.converting_taming` writes such a folder
from the checkpoints of taming-transformers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from velatura.generators.codes import VQ
from velatura.generators.protocol import Generator
from velatura.weights.json_files import check_files, check_sizes, read_object
from velatura_protocol.rasters import MAX_SIDE

if TYPE_CHECKING:
    import torch

KIND, TITLE = VQ, "a VQ model"
_CLASS = "VQModel"
_PUBLISHED = 256  # side of the pictures of all published VQGANs
_NOT_STATED = 32  # diffusers' default, which is the side of no published model


def recognise(path: Path) -> int | None:
    """The side of the pictures of the model in a folder; None for other folders and for files.

    The networks take pictures of any size, so a side that cannot be stands for that of the published ones.
    """
    try:
        config = read_object(path / "config.json")
    except (OSError, ValueError):
        return None
    if config.get("_class_name") != _CLASS:
        return None
    side = config.get("sample_size")
    return side if type(side) is int and _NOT_STATED < side <= MAX_SIDE else _PUBLISHED


def load(path: Path, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> Generator:
    """See `velatura.generators.kinds.Loader`. Raises ValueError for a model with other than three colours."""
    from diffusers.models.autoencoders.vq_model import VQModel

    from .vq_model import Quantised

    check_files(path)
    config: dict[str, Any] = read_object(path / "config.json")
    check_sizes(config)
    if config.get("in_channels", 3) != 3 or config.get("out_channels", 3) != 3:
        raise ValueError("its pictures have other than three colours")
    network = VQModel.from_pretrained(
        path, low_cpu_mem_usage=False, local_files_only=True, use_safetensors=True, torch_dtype=dtype
    )
    return Quantised(id, digest, network, recognise(path) or _PUBLISHED, device, dtype)
