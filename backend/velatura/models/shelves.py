"""Parts of models in the folders in which people keep them. Imports no torch; nothing is copied or moved."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from velatura_protocol.errors import VelaturaError

from . import folder_configurations, header_cache
from .traits import PACKED, SCALED_FP8, Contents, Part

_DEEPEST = 6  # folders below a shelf
_MOST = 20_000  # folders of a shelf
ENDINGS = (".safetensors", ".sft", ".gguf")
_WITHOUT_PARTS = frozenset(  # folders that hold no text encoder, autoencoder or tokenizer, in small letters
    {
        *("loras", "lora", "lycoris", "embeddings", "controlnet", "upscale_models", "esrgan", "realesrgan"),
        *("hypernetworks", "checkpoints", "stable-diffusion", "diffusion_models", "unet", "transformer"),
        *("clip_vision", "ipadapter", "custom_nodes", "node_modules", ".git", "__pycache__", "blobs"),
        *("venv", ".venv", "site-packages", "input", "output", "temp"),
    }
)


_BUNDLES = ("velatura", "bundles")  # the package with the models that ship


class _Part(NamedTuple):
    """A part on a shelf. rank: smaller is preferred."""

    path: Path
    part: Part
    rank: int


class Shelves(tuple[Path, ...]):
    """Folders of models, which are read once for each such object."""

    def parts(self, shelf: Path) -> list[_Part]:
        """The parts on a shelf, the preferred ones first."""
        return self._known(shelf, _DEEPEST if shelf in self else 0)

    @cached_property
    def _known(self) -> Callable[[Path, int], list[_Part]]:
        return cache(_parts)


def take(wants: Mapping[str, Part], path: Path, shelves: Sequence[Path]) -> dict[str, Path]:
    """Where each wanted part is, of those that are there.

    Args:
        wants: by their names.
        path: the model's file or folder; parts beside it are preferred, then the shelves in their order.
        shelves: folders of models.
    """
    shelves = shelves if isinstance(shelves, Shelves) else Shelves(shelves)
    places = [path.parent, *shelves] if path.is_file() else [*shelves]
    found: dict[str, Path] = {}
    for place in dict.fromkeys(places):
        if all(name in found for name in wants):
            break
        parts = shelves.parts(place)
        for name, want in wants.items():
            here = (one.path for one in parts if fits(one.part, want))
            if name not in found and (first := next(here, None)):
                found[name] = first
    return found


def fits(part: Part, want: Part) -> bool:
    """Whether a part is the wanted one, as far as its header says."""
    same_width = part.width == want.width or 0 in (part.width, want.width)
    return part.kind == want.kind and same_width and (part.of == want.of or not (part.of and want.of))


def files(
    shelf: Path, without: frozenset[str] = frozenset(), deepest: int = _DEEPEST
) -> Iterator[tuple[Path, list[str]]]:
    """Folders in a shelf and the names of their files, links followed, each folder once.

    The models that ship with Velatura are left out, in a checkout too."""
    seen: set[str] = set()
    level = [shelf]
    for _ in range(deepest + 1):
        below: list[Path] = []
        for folder in level:
            real = os.path.realpath(folder)
            if real in seen or len(seen) > _MOST:
                continue
            seen.add(real)
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                continue
            if folder.parts[-2:] == _BUNDLES and any(entry.name == "__init__.py" for entry in entries):
                continue
            yield folder, [entry.name for entry in entries if not _is_dir(entry)]
            below += [folder / e.name for e in entries if _is_dir(e) and e.name.lower() not in without]
        level = below


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _parts(shelf: Path, deepest: int) -> list[_Part]:
    parts: list[_Part] = []
    for folder, names in files(shelf, _WITHOUT_PARTS, deepest):
        whole = "tokenizer_config.json" in names or any(name.endswith(".safetensors") for name in names)
        part = folder_configurations.part(folder) if whole else None
        if part:
            parts.append(_Part(folder, part, 0))
            continue
        for name in names:
            if not name.lower().endswith(ENDINGS):
                continue
            seen = look(folder / name)
            if seen is None or seen.family or PACKED in seen.traits:
                continue
            rank = 1 + (SCALED_FP8 in seen.traits) + 2 * name.lower().endswith(".gguf")
            parts += [_Part(folder / name, part, rank) for part in seen.parts.values()]
    return sorted(parts, key=lambda one: one.rank)


def look(path: Path) -> Contents | None:
    """What a file holds; None for one that is unknown or cannot be read."""
    try:
        return header_cache.look(path).contents
    except VelaturaError:
        return None
