"""One loader for every form of a model: a folder, a single file, a hub id, or a form of another package.

Weights are read from .safetensors and GGUF files only; code of a model is never run.
"""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path

import torch

from velatura.generators import kinds
from velatura.generators.protocol import Generator
from velatura.weights.digests import Digests, contents
from velatura.weights.out_of_memory import is_out_of_memory
from velatura_protocol.errors import VelaturaError

from . import hub, model_files, pixels
from .catalogue import ModelEntry
from .recognition import FAMILIES, Found


@torch.inference_mode(False)  # weights made in inference mode can take part in no gradient, even if frozen
def load(entry: ModelEntry, device: torch.device, dtype: torch.dtype, digests: Digests) -> Generator:
    """Loads a model onto a device. Raises `unknown-model`, with a sentence that names the fault.

    Args:
        entry: the model.
        device: for its networks.
        dtype: of its networks; latents are float32 throughout.
        digests: computes the digests of files, and caches them.
    """
    if entry.fault:
        raise VelaturaError("unknown-model", entry.fault)
    try:
        if loader := kinds.loader(entry.kind):
            path = Path(entry.path)
            digest = digests.of(*contents(path))
            return loader.load(path, entry.id, digest, device, dtype)
        if entry.kind == "pixels":
            folder = Path(entry.path)
            return pixels.load(folder, entry.id, digests.of(_files(folder), folder), device, dtype)
        found = entry.found or _found(entry)
        family = import_module(FAMILIES[found.family].module)
        return family.load(found, entry.id, _digest(found, digests), device, dtype)
    except Exception as error:  # the libraries that read these files raise errors of all types
        if isinstance(error, VelaturaError) or is_out_of_memory(error):
            raise
        raise VelaturaError(
            "unknown-model",
            f"The model {entry.title!r} cannot be read from {entry.path}; fetch it again or remove it.",
            detail=f"{type(error).__name__}: {error}",
        ) from error


def _found(entry: ModelEntry) -> Found:
    """The files of an entry that names only a path, fetched where it is a name at a hub."""
    path = hub.folder_of(entry.path) if entry.kind == "hub" else Path(entry.path)
    found = model_files.found({}, path)
    if found.missing:
        raise VelaturaError("unknown-model", model_files.lacking(found, entry.title))
    return found


def digest_of(entry: ModelEntry, digests: Digests) -> str:
    """The digest that a model of files here will have; '' for others."""
    return _digest(entry.found, digests) if entry.found else ""


def _digest(found: Found, digests: Digests) -> str:
    """Over the model's own files, its parts in other places and the person's choices."""
    inside = _files(found.path) if found.path.is_dir() else [found.path]
    own = digests.of(inside, found.path if found.path.is_dir() else None)
    others = [path for path in found.parts.values() if path != found.path and found.path not in path.parents]
    files = [file for path in dict.fromkeys(others) for file in contents(path)[0]]
    if not files and found.clip_skip is None and not found.chosen:
        return own
    choices = f"{own}\n{digests.of(files)}\n{found.prediction}\n{found.clip_skip}"
    return f"blake2b:{hashlib.blake2b(choices.encode(), digest_size=32).hexdigest()}"


def _files(folder: Path) -> list[Path]:
    """The files that a model's output depends on."""
    patterns = ("model_index.json", "*/*.json", "*/*.txt", "*/*.safetensors")
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
