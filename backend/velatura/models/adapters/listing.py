"""The adapters on this computer, in adapters.json of the state folder. Imports no torch.

An adapter's id is made from its content, so that a recipe finds the same file again, under any name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from velatura.weights.json_files import read_json
from velatura_protocol.errors import VelaturaError

from .. import header_cache, shelves
from ..headers import Header, read_header
from ..recognition import FAMILIES
from . import inversions

FILE = "adapters.json"
MOST = 500  #: adapters that a form offers
MOST_WORN = 8  #: adapters of one edit
_FOLDERS = frozenset({"lora", "loras", "lycoris"})  # in small letters
_WORDS = frozenset({"embedding", "embeddings", "textual_inversion"})
_HUB = "learned_embeds"  # the name of a textual inversion's file at the hub
_ENDINGS = (".safetensors", ".sft")
_BLOCK, _BLOCKS = 4096, 256
_LONGEST_TITLE = 80


class AdapterFile(NamedTuple):
    """An adapter on the disk.

    Args:
        id: from its content, hexadecimal.
        title: the file's name without its ending.
        path: of the file.
        family: of the models that it was made for, a key of `recognition.FAMILIES`.
        word: of a textual inversion, as a prompt has it (`inversions.Inversion`); '' for other adapters.
        width: of the first text encoder that a textual inversion is for; else 0.
    """

    id: str
    title: str
    path: Path
    family: str
    word: str = ""
    width: int = 0

    @property
    def value(self) -> str:
        """Its name in requests and recipes: the id, by which it is found, and the title for the person."""
        return f"{self.id}:{self.title}"


class Worn(NamedTuple):
    """An adapter in use.

    Args:
        title: of its file.
        digest: over the whole file.
        strength: 1 as trained.
        unread: the number of its tensors that the model lacks.
        word: see `AdapterFile`.
    """

    title: str
    digest: str
    strength: float
    unread: int
    word: str = ""


def refresh(state_dir: Path, shelved: Iterable[Path]) -> list[AdapterFile]:
    """Looks for adapters in folders of models, writes their list, and returns it. One content is listed
    once. A file of the last list that has not changed is not read again."""
    last = _last(state_dir)
    found: dict[str, AdapterFile] = {}
    for path in _files(shelved):
        entry = last.get(os.fspath(path))
        one = _kept(entry) if entry else described(path)
        if one is not None and len(found) < MOST:
            found.setdefault(one.id, one)
    ordered = sorted(found.values(), key=lambda one: (one.title.casefold(), one.id))
    state_dir.mkdir(parents=True, exist_ok=True)
    new = state_dir / (FILE + ".new")
    new.write_text(json.dumps([_entry(one) for one in ordered], indent=1), encoding="utf-8")
    new.replace(state_dir / FILE)
    return ordered


def _last(state_dir: Path) -> dict[str, Mapping[str, Any]]:
    """The entries of the list by their paths, those that were made by the rules of now."""
    entries: Any = None
    with suppress(OSError, ValueError):
        entries = read_json(state_dir / FILE)
    listed: list[Any] = entries if isinstance(entries, list) else []
    return {
        str(entry.get("path")): entry
        for entry in listed
        if isinstance(entry, dict) and entry.get("rules") == _rules()
    }


@lru_cache(1)
def _rules() -> str:
    """A digest of the code that describes adapters."""
    files = (Path(__file__), Path(inversions.__file__))
    return (
        header_cache.rules()
        + hashlib.blake2b(b"".join(file.read_bytes() for file in files), digest_size=16).hexdigest()
    )


def listed(state_dir: Path) -> list[AdapterFile]:
    """The adapters of the list that are still there, with the ids of their content now."""
    with suppress(OSError, ValueError):
        entries = read_json(state_dir / FILE)
        if isinstance(entries, list):
            kept = (_kept(entry) for entry in entries[:MOST] if isinstance(entry, dict))
            return list({one.id: one for one in kept if one is not None}.values())
    return []


def _entry(one: AdapterFile) -> dict[str, str | int]:
    return {**one._asdict(), "path": os.fspath(one.path), "stamp": stamp(one.path), "rules": _rules()}


def stamp(path: Path) -> str:
    """Size and time of change: text, since the time is too large a number for JSON."""
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"


def _kept(entry: Mapping[str, Any]) -> AdapterFile | None:
    """The adapter of an entry of the list. A file that has changed since is read again."""
    with suppress(OSError, KeyError, TypeError, ValueError):
        path = Path(entry["path"])
        if stamp(path) != entry["stamp"]:
            return described(path)
        if entry["family"] in FAMILIES:
            word, width = str(entry.get("word", "")), int(entry.get("width", 0))
            return AdapterFile(str(entry["id"]), str(entry["title"]), path, entry["family"], word, width)
    return None


def described(path: Path) -> AdapterFile | None:
    """The adapter in a file; None for another file, and for one that was made for no family known here."""
    try:
        status = path.stat()
        return _described(path, status.st_size, status.st_mtime_ns)
    except (OSError, ValueError, VelaturaError):
        return None


@lru_cache(4 * MOST)
def _described(path: Path, size: int, changed: int) -> AdapterFile | None:
    title = path.stem[:_LONGEST_TITLE]
    seen = None if path.suffix.lower() in inversions.PICKLED else shelves.look(path)
    if seen is not None and "LoRA" in seen.title:
        family = family_of(read_header(path))
        return AdapterFile(content_id(path, size), title, path, family) if family else None
    if not _has_words(path):
        return None
    word = inversions.described(path)
    if word is None or not word.family:
        return None
    title = word.word if path.stem.startswith(_HUB) else title
    return AdapterFile(content_id(path, size), title, path, word.family, word.word, word.widths[0])


def _files(shelved: Iterable[Path]) -> Iterable[Path]:
    """Files in the folders of adapters on shelves, and in the shelves that are such folders themselves."""
    for shelf in shelved:
        for folder, names in shelves.files(shelf):
            held = any(part.lower() in _FOLDERS for part in folder.parts)
            for path in (folder / name for name in names):
                ending = path.suffix.lower()
                if (held and ending in _ENDINGS) or (
                    ending in (*_ENDINGS, *inversions.PICKLED) and _has_words(path)
                ):
                    yield path


def _has_words(path: Path) -> bool:
    """Whether a file is where textual inversions are kept."""
    return path.stem.startswith(_HUB) or any(part.lower() in _WORDS for part in path.parent.parts)


def content_id(path: Path, size: int) -> str:
    """A digest of the file's size, of its beginning, and of blocks spread evenly over it.

    A file of gigabytes takes a moment only. Training changes every tensor, and so some of these blocks.
    """
    digest = hashlib.blake2b(str(size).encode(), digest_size=16)
    with path.open("rb") as stream:
        for i in range(_BLOCKS):
            stream.seek(i * max(0, size - _BLOCK) // (_BLOCKS - 1))
            digest.update(stream.read(_BLOCK))
    return digest.hexdigest()


_NAMES: Sequence[tuple[str, str]] = (  # families, and names of layers that only they have, with "_" for "."
    ("qwen-image", r"(^|_)transformer_blocks_\d+_(img|txt)_(mlp|mod)_"),
    ("z-image", r"(^|_)(layers|context_refiner|noise_refiner)_\d+_(attention|feed_forward|adaLN)_"),
    ("sd3", r"(^|_)joint_blocks_\d+_"),
    ("flux2", r"single_transformer_blocks_\d+_attn_to_(qkv_mlp_proj|out)_|double_stream_modulation"),
    ("flux1", r"(double_blocks|single_blocks|single_transformer_blocks)_\d+_"),
    ("joint", r"(^|_)transformer_blocks_\d+_attn_(add|to_add)_"),
    ("sdxl", r"attentions_\d+_transformer_blocks_[1-9]_"),
    ("sdxl", r"(input|output)_blocks_\d+_1_transformer_blocks_[1-9]_"),
    ("sd", r"down_blocks_0_attentions_|up_blocks_3_attentions_|(input|output)_blocks_(1|2|9|10|11)_1_"),
)
_BASES: Sequence[tuple[str, str]] = (  # families, and words of a trainer's notes on the base model
    ("sdxl", r"sdxl|stable-diffusion-xl|illustrious|pony|noob"),
    ("sd", r"sd_v1|sd_v2|stable-diffusion-v[12]|sd_1|sd_2|sd1|sd2"),
    ("sd3", r"sd3|stable-diffusion-3"),
    ("flux2", r"flux[-_. ]?2"),
    ("flux1", r"flux"),
    ("z-image", r"z[-_ ]?image"),
    ("qwen-image", r"qwen"),
)
_CONTEXTS = {320: "sd", 768: "sd", 1024: "sd", 2048: "sdxl"}  # features that attention to the prompt reads
_CROSS = re.compile(r"attn2_to_k_.*(lora_A|lora_down|hada_w1_b)")
_SINGLE = re.compile(r"single_blocks_\d+_linear1_.*(lora_B|lora_up)")
_FLUX2_ROWS = 9  # of FLUX.2's first single layer, in widths of the network; FLUX.1's has 7


def family_of(header: Header) -> str:
    """The family of models that an adapter was made for; '' where it cannot be told."""
    names = {name.replace(".", "_"): shape for name, shape in header.shapes.items()}
    text = "\n".join(names)
    if noted := _noted(header, "ss_base_model_version", "modelspec.architecture"):
        return noted
    inputs = {shape[1] for name, shape in names.items() if _CROSS.search(name) and len(shape) > 1}
    for features in inputs:
        if features in _CONTEXTS:
            return _CONTEXTS[features]
    for family, pattern in _NAMES:
        if re.search(pattern, text, re.MULTILINE):
            return _flux(names) if family == "flux1" else _joint(names) if family == "joint" else family
    return _noted(header, "ss_sd_model_name")


def _noted(header: Header, *notes: str) -> str:
    """The family that a trainer has noted; '' for none."""
    text = " ".join(header.metadata.get(note, "") for note in notes).lower()
    return next((family for family, words in _BASES if re.search(words, text)), "")


_MOST_BLOCKS = 38  # of a Stable Diffusion 3; Qwen-Image has 60, FLUX.1 19
_FLUX_WIDTH = 3072


def _joint(names: dict[str, tuple[int, ...]]) -> str:
    """FLUX.1, Qwen-Image or Stable Diffusion 3, whose attentions share their names in diffusers' layout."""
    numbers = [int(number) for name in names for number in re.findall(r"transformer_blocks_(\d+)_", name)]
    if max(numbers, default=0) >= _MOST_BLOCKS:
        return "qwen-image"
    down = re.compile(r"_attn_to_q.*(lora_A|lora_down)")
    widths = {shape[1] for name, shape in names.items() if down.search(name) and len(shape) > 1}
    return "flux1" if widths == {_FLUX_WIDTH} else "sd3"


def _flux(names: dict[str, tuple[int, ...]]) -> str:
    """FLUX.1 or FLUX.2, whose layers share their names in the authors' layout."""
    for name, shape in names.items():
        if _SINGLE.search(name):
            width = _width(names)
            return "flux2" if width and shape[0] == _FLUX2_ROWS * width else "flux1"
    return "flux1"


def _width(names: dict[str, tuple[int, ...]]) -> int:
    pattern = re.compile(r"single_blocks_\d+_linear1_.*(lora_A|lora_down)")
    return next((shape[1] for name, shape in names.items() if pattern.search(name)), 0)
