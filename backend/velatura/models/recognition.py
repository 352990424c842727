"""What each family of models looks like on the disk, and which of its parts are there. Imports no torch.

The broker and the command line use it: it reads headers and configurations, never weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from velatura_protocol.errors import VelaturaError

from . import folder_configurations, header_cache, shelves
from .known_families import FAMILIES, Family
from .traits import EMBEDDED_GUIDANCE, JOINT, NO_GUIDANCE, Contents, Part, words


@dataclass(frozen=True)
class Found:
    """A model on the disk.

    Args:
        family: a key of `FAMILIES`.
        form: a diffusers folder, a single .safetensors file, or a GGUF file.
        path: that folder or file.
        size: side of its pictures in pixels.
        traits: constants of `velatura.models.traits`.
        parts: where each part is, by its name in diffusers' pipeline: a folder, a .safetensors file (`path`
            itself for parts in the checkpoint) or a .gguf file.
        missing: parts that were found nowhere. CLIP's tokenizer is never among them: Velatura has its own.
        prediction: 'epsilon', 'v_prediction', 'sample' or 'flow'; '' where neither files nor person say it.
        chosen: whether the person said the prediction, so that notes of the files do not count.
        clip_skip: the last layers of the CLIP text encoders that are left out; None: as the family has it.
    """

    family: str
    form: Literal["folder", "file", "gguf"]
    path: Path
    size: int
    traits: frozenset[str] = frozenset()
    parts: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    missing: tuple[str, ...] = ()
    prediction: str = ""
    chosen: bool = False
    clip_skip: int | None = None

    def has(self, trait: str) -> bool:
        """Whether it has a trait of `traits.NEEDED`."""
        return trait in self.traits or (trait == JOINT and FAMILIES[self.family].joint)

    @property
    def reads_words(self) -> bool:
        """See `Family`."""
        return FAMILIES[self.family].reads_words

    @property
    def takes_guidance(self) -> bool:
        """See `LatentDiffusion`."""
        return NO_GUIDANCE not in self.traits

    @property
    def reads_negative(self) -> bool:
        """Whether a negative prompt means anything to it."""
        return self.takes_guidance and EMBEDDED_GUIDANCE not in self.traits


def recognise(path: Path, shelves: Sequence[Path] = ()) -> Found | None:
    """The model in a folder or a file; None if it is of no family that Velatura knows.

    Args:
        path: a folder in diffusers' form (also one of the hub's cache), a .safetensors file or a GGUF file.
        shelves: folders of models in which missing parts are looked for.

    Raises:
        VelaturaError: `unknown-model` for a file that is neither form, or is cut off.
        ValueError: a folder's configuration is not JSON, or has values that no model can have.
    """
    return _folder(resolved(path), shelves) if path.is_dir() else _file(path, shelves)


def resolved(folder: Path) -> Path:
    """The newest snapshot of a repository's folder in the hub's cache; any other folder unchanged."""
    snapshots = folder / "snapshots"
    if not folder.name.startswith("models--") or not snapshots.is_dir():
        return folder
    try:
        main = snapshots / (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        main = snapshots / "none"
    others = sorted(snapshots.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True)
    return main if main.is_dir() else next(iter(others), folder)


def _file(path: Path, places: Sequence[Path]) -> Found | None:
    seen, kind = header_cache.look(path)
    if seen is None or not seen.family:
        return None
    parts = dict.fromkeys(seen.parts, path)
    form: Literal["file", "gguf"] = "gguf" if kind == "gguf" else "file"
    return _completed(seen, form, path, parts, places)


def _folder(folder: Path, places: Sequence[Path]) -> Found | None:
    try:
        seen = folder_configurations.contents(folder, words(folder))
    except OSError:
        return None
    if seen is None:
        return None
    parts: dict[str, Path] = {}
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and (_is_text_only(inner.name) or any(inner.glob("*.safetensors"))):
            parts[inner.name] = inner
    return _completed(seen, "folder", folder, parts, places)


def _is_text_only(name: str) -> bool:
    return name.startswith(("tokenizer", "scheduler", "processor", "feature_extractor"))


def _completed(
    seen: Contents,
    form: Literal["folder", "file", "gguf"],
    path: Path,
    own: dict[str, Path],
    places: Sequence[Path],
) -> Found:
    """With the parts that it lacks, from where they are, and the names of those that are nowhere."""
    family = FAMILIES[seen.family]
    lacking = [name for name in (*family.parts, *family.optional) if name not in own]
    wants = {name: want for name in lacking if (want := _want(family, seen, name))}
    parts = {**own, **shelves.take(wants, path, places)} if wants else own
    missing = tuple(name for name in family.parts if name not in parts)
    return Found(
        seen.family, form, path, seen.size, seen.traits, MappingProxyType(parts), missing, seen.prediction
    )


def _want(family: Family, seen: Contents, name: str) -> Part | None:
    if name in family.tokenizers:
        encoder = seen.wants.get("text_encoder")
        of = "mistral" if encoder and encoder.kind == "mistral" else family.tokenizers[name]
        return Part("tokenizer", of=of)
    return seen.wants.get(name)


def named(found: Found) -> str:
    """The parts that are nowhere, in words; '' where nothing is missing."""
    titles = FAMILIES[found.family].parts
    return " and ".join(titles[name] for name in found.missing)


def parts_at(path: Path) -> list[Part]:
    """The single parts in a file or a part's folder; none where it is nothing of the kind."""
    if path.is_dir():
        part = folder_configurations.part(path)
        return [part] if part else []
    seen = shelves.look(path)
    return [*seen.parts.values()] if seen and not seen.family else []


def width(found: Found, name: str) -> int:
    """The features of a model's text encoder, as its files say; 0 where they do not."""
    path = found.parts.get(name)
    if path is None:
        return 0
    if path.is_dir():
        part = folder_configurations.part(path)
    else:
        seen = shelves.look(path)
        part = seen and (seen.wants.get(name) if seen.family else next(iter(seen.parts.values()), None))
    return part.width if part else 0


UNKNOWN = "of a kind that Velatura does not know"


def title(path: Path) -> str:
    """What a file or folder is, in words, also where it is no model; raises nothing."""
    try:
        seen = (
            folder_configurations.contents(path, words(path))
            if path.is_dir()
            else header_cache.look(path).contents
        )
    except VelaturaError as error:
        return str(error)
    except (OSError, ValueError):
        seen = None
    return seen.title if seen else UNKNOWN
