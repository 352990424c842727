"""Other files of the same model, with weights of fewer bits. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .catalogue import ModelEntry
from .headers import bits_of
from .needs import weights
from .recognition import Found

_PRECISION = re.compile(  # words of names that tell how weights are stored
    r"(?:^|[-_.])(?:i?q\d(?:_[0-9a-z]{1,2})*|bf16|fp?16|fp?32|fp8|e4m3fn?|e5m2|scaled|gguf|ema[-_]?only|pruned)"
    r"(?=$|[-_.])"
)


def siblings(entry: ModelEntry, entries: Iterable[ModelEntry]) -> list[ModelEntry]:
    """The usable GGUF files of a model, those of more bits first.

    They are of the same family, kind and name, but for the words that tell how weights are stored: FLUX.1-dev
    has flux1-dev-Q8_0.gguf, and not flux1-schnell-Q8_0.gguf. Other trainings of a model have the same
    tensors, so a name alone tells them apart.
    """
    own = entry.found
    if own is None or own.form == "gguf":
        return []
    fitting = [
        (bits(found), other)
        for other in entries
        if (found := other.found) is not None
        and found.form == "gguf"
        and not other.fault
        and not found.missing
        and (found.family, found.traits, found.size) == (own.family, own.traits, own.size)
        and _stem(found) == _stem(own)
    ]
    return [other for _, other in sorted(fitting, key=lambda one: -one[0])]


def bits(found: Found) -> float:
    """The mean bits of a weight of the network that denoises."""
    path = found.parts.get("transformer") or found.parts["unet"]
    stored = weights(path)
    values = sum(size / bits_of(dtype) for dtype, size in stored.items())
    return sum(stored.values()) / values if values else 0.0


def _stem(found: Found) -> str:
    """A model's name without its precision, in small letters and digits."""
    path = found.path
    hub = next((part for part in path.parts if part.startswith("models--")), "")
    name = hub.split("--")[-1] if hub and path.is_dir() else path.name if path.is_dir() else path.stem
    return re.sub(r"[^a-z0-9]", "", _PRECISION.sub("", name.lower()))
