"""One loader for every form of a model: a diffusers folder, a single .safetensors file, a hub id, or a form
that another package loads.

Weights are read from .safetensors only; code of a model is never run.
"""

from __future__ import annotations

from pathlib import Path

import torch
from huggingface_hub import snapshot_download

from velatura.generators import kinds
from velatura.generators.protocol import Generator
from velatura.weights.digests import Digests, contents
from velatura.weights.out_of_memory import is_out_of_memory
from velatura_protocol.errors import VelaturaError

from . import pixels
from .catalogue import ModelEntry
from .families import sd, sdxl
from .recognition import Found
from .single_file import read_header

_NETWORKS = ("unet", "vae", "text_encoder", "text_encoder_2")
_HUB_FILES = ["model_index.json", "*/*.json", "*/*.txt", *(f"{part}/*.safetensors" for part in _NETWORKS)]


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
        if entry.kind == "file":
            path = Path(entry.path)
            xl = any("conditioner.embedders." in name for name in read_header(path).shapes)
            found, digest = Found("sdxl" if xl else "sd", "file", path, entry.size), digests.of([path])
        else:
            path = Path(entry.path) if entry.kind == "diffusers" else _from_hub(entry.path)
            xl = (path / "text_encoder_2").is_dir()
            found = Found("sdxl" if xl else "sd", "folder", path, entry.size)
            digest = digests.of(_files(path), path)
        family = sdxl if found.family == "sdxl" else sd
        return family.load(found, entry.id, digest, device, dtype)
    except Exception as error:  # the libraries that read these files raise errors of all types
        if isinstance(error, VelaturaError) or is_out_of_memory(error):
            raise
        raise VelaturaError(
            "unknown-model",
            f"The model {entry.title!r} cannot be read from {entry.path}; fetch it again or remove it.",
            detail=f"{type(error).__name__}: {error}",
        ) from error


def _from_hub(name: str) -> Path:
    """The folder of a hub model in the local cache, downloaded if necessary."""
    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except Exception as error:  # the hub's client raises many kinds, of several libraries
        raise VelaturaError(
            "unknown-model",
            f"The model {name} could not be fetched; check name and connection, or give a local folder.",
            retryable=True,
            detail=f"{type(error).__name__}: {error}",
        ) from error


def _files(folder: Path) -> list[Path]:
    """The files that a model's output depends on."""
    patterns = ("model_index.json", "*/*.json", "*/*.txt", "*/*.safetensors")
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
