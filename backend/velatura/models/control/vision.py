"""The image encoder that an IP-Adapter was trained with: CLIP's vision tower. Imports no torch.

An IP-Adapter reads either the encoder's projected vector ("image_proj.proj") or the states of its last layer
but one ("image_proj.proj_in", the kind "plus"), so the width of that tensor says which encoder it needs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from velatura.weights.json_files import read_object
from velatura_protocol.errors import VelaturaError

from .. import shelves
from ..headers import Header, read_header

_ENDINGS = (".safetensors", ".sft")
_FOLDERS = ("clip_vision", "image_encoder", "ipadapter", "ip-adapter", "ip_adapter")
_CONTEXTS = {768: "sd", 1024: "sd", 2048: "sdxl", 4096: "flux1"}
_KEYS = re.compile(r"^ip_adapter\.\d+\.to_k_ip\.weight$|ip_adapter_double_stream_k_proj\.weight$")


class Encoder(NamedTuple):
    """An image encoder. projected: the width of its projected vector. hidden: that of its states."""

    path: Path
    projected: int
    hidden: int


class Read(NamedTuple):
    """What an IP-Adapter reads of the encoder: its states, or its projected vector, and of which width."""

    states: bool
    width: int


def family_of(header: Header) -> str:
    """The family of models that an IP-Adapter was made for; '' where it is of a kind that is not read."""
    if reads(header) is None:
        return ""
    widths = {shape[1] for name, shape in header.shapes.items() if _KEYS.search(name) and len(shape) > 1}
    return next((_CONTEXTS[width] for width in widths if width in _CONTEXTS), "")


def reads(header: Header) -> Read | None:
    """What an IP-Adapter reads; None for kinds that need another network, as those of faces do."""
    for start in ("image_proj.", "ip_adapter_proj_model."):
        shapes = {
            name[len(start) :]: shape for name, shape in header.shapes.items() if name.startswith(start)
        }
        if "latents" in shapes and "proj_in.weight" in shapes:
            return Read(True, shapes["proj_in.weight"][1])
        if "proj.weight" in shapes:
            return Read(False, shapes["proj.weight"][1])
    return None


def fitting(header: Header, path: Path, encoders: Iterable[Encoder]) -> Path | None:
    """The encoder for an IP-Adapter; None if there is none. The one whose folder is nearest comes first."""
    wanted = reads(header)
    if wanted is None:
        return None
    fit = [one for one in encoders if (one.hidden if wanted.states else one.projected) == wanted.width]

    def shared(one: Encoder) -> int:
        return len(os.path.commonpath([path.resolve(), one.path.resolve()]))

    return max(fit, key=shared).path if fit else None


def encoders(shelved: Iterable[Path]) -> list[Encoder]:
    """The image encoders on shelves, in transformers' folders or in single files of its layout."""
    found: dict[str, Encoder] = {}
    for shelf in shelved:
        for folder, names in shelves.files(shelf):
            inside = any(part.lower() in _FOLDERS for part in folder.parts)
            one = _of_folder(folder) if "config.json" in names else None
            if one is not None:
                found.setdefault(os.path.realpath(one.path), one)
            elif inside:
                for name in names:
                    one = of_file(folder / name) if name.lower().endswith(_ENDINGS) else None
                    if one is not None:
                        found.setdefault(os.path.realpath(one.path), one)
    return [*found.values()]


def _of_folder(folder: Path) -> Encoder | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        told: Mapping[str, object] = read_object(folder / "config.json")
        if "CLIPVisionModelWithProjection" in str(told.get("architectures")):
            return Encoder(folder, int(str(told["projection_dim"])), int(str(told["hidden_size"])))
    return None


def of_file(path: Path) -> Encoder | None:
    """The image encoder in a file; None for another file."""
    try:
        shapes = read_header(path).shapes
    except VelaturaError:
        return None
    projection = shapes.get("visual_projection.weight")
    if projection is None or "vision_model.embeddings.patch_embedding.weight" not in shapes:
        return None
    return Encoder(path, *projection)
