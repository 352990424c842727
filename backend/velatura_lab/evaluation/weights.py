"""Digests of the networks that a figure depends on: the model's companions and the measures' encoders."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from velatura.companions.table import COMPANIONS
from velatura.models.catalogue import ModelEntry
from velatura.weights.digests import Digests

_FILES = ("*.json", "*.txt", "*.safetensors")


def of_companions(entry: ModelEntry) -> dict[str, str]:
    """companion -> digest of its files; '' where the model has none.

    A companion with a hub id that is not in the local cache has its id as digest, so that nothing is fetched
    that the edits may not need. Results from before and after the download are not shared.
    """
    return {name: _of_place(entry.companions.get(name, "")) for name in COMPANIONS}


def _of_place(place: str) -> str:
    if not place:
        return ""
    folder = Path(place) if Path(place).is_dir() else _cached(place)
    if folder is None:
        return f"not here: {place}"
    files = sorted({path for pattern in _FILES for path in folder.glob(pattern) if path.is_file()})
    return Digests().of(files, folder)


def _cached(id: str) -> Path | None:
    from huggingface_hub import snapshot_download  # slow to import
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(id, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None


def of_network(part: Any) -> str:
    """`blake2b:` and 64 digits over the layers and weights of a network, or of all that an object holds."""
    found = hashlib.blake2b(digest_size=32)
    for network in _networks(part):
        found.update(repr(network).encode())
        for name, tensor in network.state_dict().items():
            found.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
            found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return f"blake2b:{found.hexdigest()}"


def _networks(part: Any) -> list[torch.nn.Module]:
    if isinstance(part, torch.nn.Module):
        return [part]
    return [value for value in vars(part).values() if isinstance(value, torch.nn.Module)]
