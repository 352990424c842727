"""The memory that a model's weights take, from the headers of its files. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from . import variants
from .headers import bits_of, read_header
from .recognition import Found

EMA = "model_ema."
"""What the names of a second set of weights in old checkpoints start with, which is not loaded."""


class Need(NamedTuple):
    """Bytes of the weights of one part.

    Args:
        loaded: in the dtype in which they are computed with; those of a GGUF file stay quantised.
        made: of those that are of another dtype in the file. They take memory of the process; the others are
            read from the file where they are needed, so the system may drop them from memory.
    """

    loaded: int
    made: int


def weights(path: Path) -> dict[str, int]:
    """Bytes of the weights that loading reads of a part, by dtype.

    Raises `unknown-model` for a file that is cut off."""
    sums: dict[str, int] = {}
    for file in [path] if path.is_file() else variants.weights(path):
        header = read_header(file)
        unused = header.weights(EMA)
        for dtype, size in header.weights().items():
            sums[dtype] = sums.get(dtype, 0) + size - unused.get(dtype, 0)
    return sums


def needs(found: Found, dtype: str) -> dict[str, Need]:
    """The memory of each part by its name; a file with several parts counts once, for the first of them.

    Args:
        found: the model.
        dtype: 'float32', 'float16' or 'bfloat16', in which its networks compute.

    Raises:
        VelaturaError: `unknown-model` for a file that is cut off.
    """
    result: dict[str, Need] = {}
    seen: set[Path] = set()
    for name, path in sorted(found.parts.items(), key=lambda part: part[0] not in ("unet", "transformer")):
        if path not in seen:
            seen.add(path)
            stays = name in ("unet", "transformer") and path.suffix.lower() == ".gguf"
            result[name] = _need(weights(path), dtype, stays=stays)
    return result


def total(needs: Mapping[str, Need]) -> Need:
    """The sums over all parts."""
    return Need(sum(need.loaded for need in needs.values()), sum(need.made for need in needs.values()))


def _need(stored: Mapping[str, int], dtype: str, *, stays: bool) -> Need:
    if stays:
        return Need(sum(stored.values()), 0)
    own, bits = _NAMES[dtype]
    sizes = {of: round(size / bits_of(of) * bits) for of, size in stored.items()}
    return Need(sum(sizes.values()), sum(size for of, size in sizes.items() if of != own))


_NAMES = {"float32": ("F32", 32), "float16": ("F16", 16), "bfloat16": ("BF16", 16)}
