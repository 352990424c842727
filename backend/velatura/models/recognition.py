"""What each family of models looks like on the disk, and which of its parts are there. Imports no torch.

The broker and the command line use it: it reads headers and configurations, never weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from velatura_protocol.errors import VelaturaError

from . import folders, shelves
from .family_settings import FEW, FLUX1_FLOW, OF_JOINT, SD3_FLOW
from .traits import (
    EMBEDDED_GUIDANCE,
    FEW_STEPS,
    INPAINTING,
    INSTRUCTS,
    JOINT,
    NO_GUIDANCE,
    Contents,
    Part,
    words,
)

U_NETS = frozenset({"sd", "sdxl"})
"""The families without joint attention."""


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
        return trait in self.traits or (trait == JOINT and self.family not in U_NETS)

    @property
    def takes_guidance(self) -> bool:
        """See `LatentDiffusion`."""
        return NO_GUIDANCE not in self.traits

    @property
    def reads_negative(self) -> bool:
        """Whether a negative prompt means anything to it."""
        return self.takes_guidance and EMBEDDED_GUIDANCE not in self.traits


@dataclass(frozen=True)
class Family:
    """A family of models.

    Args:
        id: its key in `FAMILIES`.
        title: for the person.
        module: with `load(found, id, digest, device, dtype)` and `configurations(header)`.
        parts: that it cannot do without, by their names in diffusers' pipeline, with the title of each.
        tokenizers: kinds of the tokenizers among the parts.
        optional: parts that it uses where they are there.
        settings: defaults of parameters for a trait ('' for all), a later one in place of an earlier one; the
            names are those of `velatura_protocol.schema.own_defaults`.
    """

    id: str
    title: str
    module: str
    parts: Mapping[str, str]
    tokenizers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    optional: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    settings: tuple[tuple[str, Mapping[str, float]], ...] = ()

    def defaults(self, traits: Iterable[str]) -> dict[str, float]:
        """Defaults of parameters by their names, for a model with these traits."""
        held = {"", *traits}
        return {name: value for trait, some in self.settings if trait in held for name, value in some.items()}


_T5, _CLIP_L, _CLIP_G = "the text encoder T5-XXL", "the text encoder CLIP-L", "the text encoder CLIP-G"
_VAE = {"vae": "the autoencoder (VAE)"}


def _family(
    id: str,
    title: str,
    parts: Mapping[str, str],
    settings: Sequence[tuple[str, Mapping[str, float]]],
    *,
    tokenizers: Mapping[str, str] = MappingProxyType({}),
    optional: Mapping[str, str] = MappingProxyType({}),
) -> Family:
    network = "unet" if id in U_NETS else "transformer"
    module = f"velatura.models.families.{id.replace('-', '_')}"
    needed = {network: "the network itself", **_VAE, **parts}
    own = settings if network == "unet" else [("", OF_JOINT), *settings]
    return Family(id, title, module, needed, tokenizers, optional, tuple(own))


_ALL = (
    _family(
        "sd",
        "Stable Diffusion 1 and 2",
        {"text_encoder": "the text encoder CLIP"},
        [("", {"guidance": 7.5}), (FEW_STEPS, FEW), (EMBEDDED_GUIDANCE, {"guidance": 8.5, "steps": 4})],
    ),
    _family(
        "sdxl",
        "Stable Diffusion XL",
        {"text_encoder": _CLIP_L, "text_encoder_2": _CLIP_G},
        [
            ("", {"guidance": 5.0}),
            (INSTRUCTS, {"guidance": 3.0}),
            (FEW_STEPS, FEW),
            (EMBEDDED_GUIDANCE, {"guidance": 8.0, "steps": 4}),
        ],
    ),
    _family(
        "sd3",
        "Stable Diffusion 3",
        {"text_encoder": _CLIP_L, "text_encoder_2": _CLIP_G},
        [("", {"guidance": 4.5, "steps": 28, **SD3_FLOW}), (FEW_STEPS, FEW)],
        tokenizers={"tokenizer_3": "t5"},
        optional={"text_encoder_3": _T5, "tokenizer_3": "the tokenizer of T5"},
    ),
    _family(
        "flux1",
        "FLUX.1",
        {"text_encoder": _CLIP_L, "text_encoder_2": _T5, "tokenizer_2": "the tokenizer of T5"},
        [
            ("", {"guidance": 3.5, "steps": 28, **FLUX1_FLOW}),
            (INPAINTING, {"guidance": 30.0, "steps": 50, "kv-edit.guidance": 30.0}),
            (INSTRUCTS, {"guidance": 2.5}),
            (NO_GUIDANCE, FEW | {"kv-edit.guidance": 1.0}),
        ],
        tokenizers={"tokenizer_2": "t5"},
    ),
    _family(
        "flux2",
        "FLUX.2",
        {"text_encoder": "the text encoder (Qwen3 for klein, Mistral for dev)", "tokenizer": "its tokenizer"},
        [("", {"guidance": 4.0, "steps": 50}), (NO_GUIDANCE, FEW)],
        tokenizers={"tokenizer": "qwen"},
    ),
    _family(
        "z-image",
        "Z-Image",
        {"text_encoder": "the text encoder Qwen3-4B", "tokenizer": "the tokenizer of Qwen"},
        [  # its pipeline counts guidance from 0; second thoughts of LanPaint's usual size diverge
            ("", {"guidance": 5.0, "steps": 40, "lanpaint.size": 0.1}),
            (NO_GUIDANCE, FEW | {"steps": 9}),
        ],
        tokenizers={"tokenizer": "qwen"},
    ),
    _family(
        "qwen-image",
        "Qwen-Image",
        {"text_encoder": "the text encoder Qwen2.5-VL", "tokenizer": "the tokenizer of Qwen"},
        [("", {"guidance": 4.0, "steps": 50}), (NO_GUIDANCE, FEW | {"steps": 8})],
        tokenizers={"tokenizer": "qwen"},
        optional={"processor": "the processor of Qwen2.5-VL"},
    ),
)
FAMILIES: Mapping[str, Family] = MappingProxyType({family.id: family for family in _ALL})


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
    seen, kind = shelves.looked(path)
    if seen is None or not seen.family:
        return None
    parts = dict.fromkeys(seen.parts, path)
    form: Literal["file", "gguf"] = "gguf" if kind == "gguf" else "file"
    return _completed(seen, form, path, parts, places)


def _folder(folder: Path, places: Sequence[Path]) -> Found | None:
    try:
        seen = folders.contents(folder, words(folder))
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
        part = folders.part(path)
        return [part] if part else []
    seen = shelves.look(path)
    return [*seen.parts.values()] if seen and not seen.family else []


UNKNOWN = "of a kind that Velatura does not know"


def title(path: Path) -> str:
    """What a file or folder is, in words, also where it is no model; raises nothing."""
    try:
        seen = folders.contents(path, words(path)) if path.is_dir() else shelves.looked(path)[0]
    except VelaturaError as error:
        return str(error)
    except (OSError, ValueError):
        seen = None
    return seen.title if seen else UNKNOWN
