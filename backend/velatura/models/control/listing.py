"""The guides on this computer, in guides.json of the state folder. Imports no torch.

A guide is a ControlNet (Zhang et al. 2023, arXiv:2302.05543) or an IP-Adapter (Ye et al. 2023,
arXiv:2308.06721). Its id is made from its content, so that a recipe finds the same file again,
under any name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from velatura.weights.json_files import read_json, read_object
from velatura_protocol.errors import VelaturaError

from .. import shelves
from ..adapters.listing import content_id, stamp
from ..headers import Header, read_header
from ..recognition import FAMILIES
from . import vision

FILE = "guides.json"
MOST = 300  #: guides that a form offers, of each kind
CONTROL, LOOK = "controlnet", "ip-adapter"
Kind = Literal["controlnet", "ip-adapter"]
_FOLDERS = frozenset(  # in small letters
    {"controlnet", "controlnets", "control_nets", "model_patches", "ipadapter", "ip-adapter", "ip_adapter"}
)
_ENDINGS = (".safetensors", ".sft")
_PLAIN = re.compile(r"(?:diffusion_pytorch_model|model)(?:[._-](?!\d+-of-)(\w+))?(?:\.safetensors)?\Z")
_SHARD = re.compile(r"-\d+-of-\d+\.")
_LONGEST_TITLE = 80
_SNAPSHOTS = "snapshots"


class GuideFile(NamedTuple):
    """A guide on the disk.

    Args:
        id: from its content, hexadecimal.
        title: the file's name without its ending; its repository's, where the file's says nothing.
        path: of the file.
        family: of the models that it was made for, a key of `recognition.FAMILIES`.
        kind: `CONTROL` or `LOOK`.
        kinds: the number of kinds of maps that a union takes, each by a number; 0 for any other.
        encoder: of an IP-Adapter, the folder or file of its image encoder.
    """

    id: str
    title: str
    path: Path
    family: str
    kind: Kind
    kinds: int = 0
    encoder: Path | None = None

    @property
    def value(self) -> str:
        """Its name in requests and recipes: the id, by which it is found, and the title for the person."""
        return f"{self.id}:{self.title}"


class Listed(NamedTuple):
    """What `listed` reads. depth: the folder of a network of transformers that estimates depth, or None."""

    guides: list[GuideFile]
    depth: Path | None = None


def refresh(state_dir: Path, shelved: Iterable[Path]) -> Listed:
    """Looks for guides in folders of models, writes their list, and returns it. One content is listed
    once."""
    shelved = [*shelved]
    paths, depth = _candidates(shelved)
    encoders = vision.encoders(shelved)
    found: dict[str, GuideFile] = {}
    for path in paths:
        one = described(path)
        if one is None or len(found) >= 2 * MOST:
            continue
        if one.kind == LOOK:
            one = one._replace(encoder=vision.fitting(read_header(path), path, encoders))
        found.setdefault(one.id, one)
    ordered = sorted(found.values(), key=lambda one: (one.title.casefold(), one.id))
    state_dir.mkdir(parents=True, exist_ok=True)
    new = state_dir / (FILE + ".new")
    written = {"guides": [_entry(one) for one in ordered], "depth": os.fspath(depth) if depth else ""}
    new.write_text(json.dumps(written, indent=1), encoding="utf-8")
    new.replace(state_dir / FILE)
    return Listed(ordered, depth)


def listed(state_dir: Path) -> Listed:
    """The guides of the list that are still there, with the ids of their content now."""
    with suppress(OSError, ValueError):
        written = read_json(state_dir / FILE)
        if isinstance(written, dict):
            entries, depth = written.get("guides"), Path(str(written.get("depth") or ""))
            kept = (_kept(entry) for entry in entries or () if isinstance(entry, dict))
            guides = list({one.id: one for one in kept if one is not None}.values())
            return Listed(guides, depth if (depth / "config.json").is_file() else None)
    return Listed([])


def described(path: Path) -> GuideFile | None:
    """The guide in a file; None for another file, and for one that was made for no family known here."""
    try:
        status = path.stat()
        return _described(path, status.st_size, status.st_mtime_ns)
    except (OSError, ValueError, VelaturaError):
        return None


@lru_cache(4 * MOST)
def _described(path: Path, size: int, changed: int) -> GuideFile | None:
    seen = shelves.look(path)
    titles: dict[str, Kind] = {"a ControlNet": CONTROL, "an IP-Adapter": LOOK}
    kind = titles.get(seen.title if seen else "")
    if kind is None:
        return None
    header = read_header(path)
    family = _family_of_control(header) if kind == CONTROL else vision.family_of(header)
    if not family:
        return None
    return GuideFile(content_id(path, size), _title(path), path, family, kind, kinds_of(header))


def _title(path: Path) -> str:
    """The file's name; where that is the one of all such files, the repository's or the folder's."""
    name = path.stem
    if plain := _PLAIN.match(name):
        hub = next((part for part in path.parts if part.startswith("models--")), "")
        name = hub.split("--")[-1] if hub else path.parent.name or name
        if hub and path.parent.parent.name != _SNAPSHOTS:
            name = f"{name} {path.parent.name}"
        if plain[1] not in (None, "fp16"):
            name = f"{name} {plain[1]}"
    return name[:_LONGEST_TITLE]


def kinds_of(header: Header) -> int:
    """The number of kinds of maps that a union takes by a number; 0 for any other ControlNet."""
    for name in ("task_embedding", "controlnet_mode_embedder.weight"):
        if name in header.shapes:
            return header.shapes[name][0]
    return 0


_CONTEXTS = {768: "sd", 1024: "sd", 2048: "sdxl"}  # features that attention to the prompt reads
_XL = ("add_embedding.linear_1.weight", "label_emb.0.0.weight", "control_model.label_emb.0.0.weight")
_CROSS = re.compile(r"attn2\.to_k\.weight$")


def _family_of_control(header: Header) -> str:
    """The family of models that a ControlNet was made for; '' where it cannot be told or is not read."""
    shapes = header.shapes
    if "control_all_x_embedder.2-1.weight" in shapes:
        return "z-image"
    if "controlnet_x_embedder.weight" in shapes:
        if "txt_norm.weight" in shapes:
            return "qwen-image"
        return "flux1" if "time_text_embed.timestep_embedder.linear_1.weight" in shapes else ""
    if "pos_embed_input.proj.weight" in shapes:
        return "sd3"
    if any(name in shapes for name in _XL):
        return "sdxl"
    inputs = {shape[1] for name, shape in shapes.items() if _CROSS.search(name) and len(shape) > 1}
    return next((_CONTEXTS[features] for features in inputs if features in _CONTEXTS), "")


def _candidates(shelved: Iterable[Path]) -> tuple[list[Path], Path | None]:
    """Files that may be guides, each once, and the first folder of a network that estimates depth."""
    paths: dict[str, Path] = {}
    depth: Path | None = None
    for shelf in shelved:
        for folder, names in shelves.files(shelf):
            told = _configuration(folder) if "config.json" in names else {}
            architectures = " ".join(map(str, told.get("architectures") or ()))
            if "ForDepthEstimation" in architectures and depth is None:
                depth = folder
            named = any(part.lower() in _FOLDERS for part in folder.parts)
            if not named and "ControlNet" not in str(told.get("_class_name", "")):
                named = any("ip-adapter" in name.lower() or "ip_adapter" in name.lower() for name in names)
                names = [name for name in names if re.search("ip[-_]adapter", name, re.IGNORECASE)]
            elif told:
                names = _variant(names)
            if named or told:
                paths |= {
                    os.path.realpath(folder / name): folder / name
                    for name in names
                    if name.lower().endswith(_ENDINGS) and not _SHARD.search(name)
                }
    return [*paths.values()], depth


def _variant(names: list[str]) -> list[str]:
    """Of a folder in diffusers' layout the file with its weights, the smaller one where there are two."""
    weights = sorted(name for name in names if name.lower().endswith(_ENDINGS))
    halves = [name for name in weights if ".fp16." in name]
    plain = [name for name in weights if _PLAIN.match(name)]
    return halves[:1] or plain or weights


def _configuration(folder: Path) -> Mapping[str, Any]:
    with suppress(OSError, ValueError):
        return read_object(folder / "config.json")
    return {}


def _entry(one: GuideFile) -> dict[str, Any]:
    encoder = os.fspath(one.encoder) if one.encoder else ""
    return {**one._asdict(), "path": os.fspath(one.path), "encoder": encoder, "stamp": stamp(one.path)}


def _kept(entry: Mapping[str, Any]) -> GuideFile | None:
    """The guide of an entry of the list. A file that has changed since is read again."""
    with suppress(OSError, KeyError, TypeError, ValueError):
        path, encoder = Path(entry["path"]), Path(entry["encoder"]) if entry["encoder"] else None
        encoder = encoder if encoder is not None and encoder.exists() else None
        if stamp(path) != entry["stamp"]:
            one = described(path)
            return one and one._replace(encoder=encoder)
        if entry["family"] in FAMILIES and entry["kind"] in (CONTROL, LOOK):
            kind: Kind = entry["kind"]
            named = str(entry["id"]), str(entry["title"]), path, str(entry["family"])
            return GuideFile(*named, kind, int(entry["kinds"]), encoder)
    return None
