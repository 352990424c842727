"""The variant in which a folder's weights are read, where it has several. Imports no torch."""

from __future__ import annotations

import re
from pathlib import Path

STEMS = ("diffusion_pytorch_model", "model")
"""What the names of weights start with: those of diffusers' networks, and of transformers'."""
_VARIANTS = ("", "fp32", "bf16", "fp16")
"""In order of preference. '' are the weights without a variant; others, such as 'non_ema', come last."""
_SHARD = re.compile(r"-\d{5}-of-\d{5}")
_WEIGHTS, _INDEX = ".safetensors", ".safetensors.index."


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
        if name.startswith(_INDEX):
            found.add(name.removeprefix(_INDEX).removesuffix("json").rstrip("."))
        elif name.endswith(_WEIGHTS) and not _SHARD.search(name):
            found.add(_of(name))
    if not found or "" in found:
        return None
    return min(found, key=lambda name: (_VARIANTS.index(name) if name in _VARIANTS else len(_VARIANTS), name))


def weights(folder: Path) -> list[Path]:
    """The files of weights that a library reads of a part's folder: those of one variant."""
    files = sorted(folder.glob(f"*{_WEIGHTS}"))
    for stem in STEMS:
        if own := [file for file in files if file.name.startswith((f"{stem}.", f"{stem}-"))]:
            chosen = variant(folder, stem) or ""
            read = [file for file in own if _of(_SHARD.sub("", file.name.removeprefix(stem))) == chosen]
            return read or own
    return files


def _of(name: str) -> str:
    """The variant in a name of weights without its stem and its shard."""
    return name.removesuffix(_WEIGHTS).lstrip(".")
