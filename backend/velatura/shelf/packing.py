"""The file of a dial: safetensors, with the description as JSON in the metadata."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from safetensors.torch import load, save
from torch import Tensor

from velatura.cache.keys import tensor_digest
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import canonical, digest

from .dial import FORMAT, ID_DIGITS, LARGEST, LARGEST_DESCRIPTION, Dial, Entry, Kind


def content_id(kind: Kind, generator: str, tensors: Mapping[str, Tensor]) -> str:
    """The id of a dial, from what it does: it is the same on every machine, and after renaming."""
    named = {name: tensor_digest(x) for name, x in tensors.items()}
    return digest(canonical([kind, generator, named])).removeprefix("blake2b:")[:ID_DIGITS]


def pack(dial: Dial) -> bytes:
    """The file of a dial. Raises `bad-request` for one that is too large or that JSON cannot describe."""
    tensors = {
        name: x.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, x in dial.tensors.items()
    }
    about = {"format": FORMAT, "id": dial.id, "title": dial.title, "generator": dial.generator}
    text = canonical(about | {"kind": dial.kind, "recipe": dict(dial.recipe)}).decode()
    data = save(tensors, {"velatura": text})
    if len(data) > LARGEST or len(text) > LARGEST_DESCRIPTION:
        raise VelaturaError(
            "bad-request",
            f"The slider {dial.title!r} is larger than {LARGEST // 2**20} MiB and cannot be kept.",
        )
    return data


def read(entry: Entry) -> Dial:
    """The dial of an entry, on the CPU. Raises OSError, ValueError, and safetensors' own error."""
    data = entry.path.read_bytes()
    with torch.inference_mode(False):
        tensors = load(data)
    if content_id(entry.kind, entry.generator, tensors) != entry.id:
        raise ValueError("it is damaged")
    if not all(bool(x.isfinite().all()) for x in tensors.values()):
        raise ValueError("it has numbers that are not finite")
    return Dial(entry.id, entry.title, entry.generator, entry.kind, tensors, entry.recipe)
