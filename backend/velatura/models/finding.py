"""Finds the models that other programs keep on this computer. Imports no torch; nothing is copied or moved.

The list is found.json in the state folder: models that can edit as they are. The panels offer them after the
person's own models and the embedded ones.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

from velatura.weights.json_files import read_json
from velatura_protocol.errors import VelaturaError

from . import catalogue, header_cache, model_files, other_programs, recognition, shelves
from .adapters import listing
from .control import listing as guides
from .model_list import FOUND, MOST, Item, write
from .recognition import FAMILIES, Found

FOLDERS = "folders.json"
_WITHOUT_MODELS = frozenset(  # folders that hold no whole model, in small letters
    {
        *("loras", "lora", "lycoris", "embeddings", "controlnet", "upscale_models", "esrgan", "realesrgan"),
        *("hypernetworks", "clip", "clip_vision", "text_encoder", "text_encoders", "vae", "vae_approx"),
        *("ipadapter", "custom_nodes", "node_modules", ".git", "__pycache__", "blobs", "venv", ".venv"),
        *("site-packages", "input", "output", "temp", "gligen", "style_models", "model_patches"),
    }
)
_SHARD = re.compile(r"-\d+-of-\d+\.")
_MOST_FOLDERS = 50


class Seen(NamedTuple):
    """A model on the disk. id: for the list. note: why it cannot edit, in a sentence, or ''."""

    id: str
    found: Found
    note: str


def refresh(state_dir: Path, more: Sequence[str] = (), *, forget: bool = False) -> list[Seen]:
    """Looks through all known folders, and writes the list of models that can edit.

    The person's own models get the parts that they lacked, where these are there now.

    Args:
        state_dir: the folder of models.json.
        more: further folders, which are looked through from now on.
        forget: looks through no folder that was named before.

    Raises:
        VelaturaError: `bad-request` if one of them is no folder.
    """
    for folder in more:
        if not Path(folder).expanduser().is_dir():
            raise VelaturaError("bad-request", f"There is no folder {folder}; check the path.")
    named = [] if forget else _named(state_dir)
    named = [*dict.fromkeys([*named, *(str(Path(folder).expanduser().resolve()) for folder in more)])]
    _write_named(state_dir, named[-_MOST_FOLDERS:])
    shelved = shelves.Shelves(all_shelves(state_dir))
    with header_cache.kept_in(state_dir):
        seen = [*_listed(_models(shelved), shelved)]
        able = [one for one in seen if not one.note]
        write(state_dir, [_item(one) for one in able][:MOST], FOUND)
        catalogue.complete(state_dir, shelved)
        listing.refresh(state_dir, shelved)
        guides.refresh(state_dir, shelved)
    return seen


def all_shelves(state_dir: Path) -> list[Path]:
    """The folders of models at known places, and those that the person named."""
    own = [shelf for folder in _named(state_dir) for shelf in other_programs.shelves_of(Path(folder))]
    return [*dict.fromkeys([*own, *other_programs.known()])]


def _named(state_dir: Path) -> list[str]:
    with suppress(OSError, ValueError):
        folders = read_json(state_dir / FOLDERS)
        if isinstance(folders, list):
            return [folder for folder in folders if isinstance(folder, str) and "\0" not in folder]
    return []


def _write_named(state_dir: Path, folders: list[str]) -> None:
    state_dir.mkdir(parents=True, exist_ok=True)
    (state_dir / FOLDERS).write_text(json.dumps(folders, indent=1), encoding="utf-8")


def _models(shelved: Iterable[Path]) -> Iterator[Path]:
    """Folders and files that may be models, each once, in the order of the shelves."""
    known: set[str] = set()
    for shelf in shelved:
        whole: set[Path] = set()
        for folder, names in shelves.files(shelf, _WITHOUT_MODELS):
            if any(parent in whole for parent in folder.parents):
                continue
            if "model_index.json" in names:
                whole.add(folder)
                candidates = [folder] if _is_newest(folder) else []
            else:
                files = (folder / name for name in names if name.lower().endswith(shelves.ENDINGS))
                candidates = [file for file in files if not _SHARD.search(file.name)]
            for path in candidates:
                real = os.path.realpath(path)
                if real not in known:
                    known.add(real)
                    yield path


def _is_newest(folder: Path) -> bool:
    """Whether a folder is the newest snapshot of its repository, or of no repository of the hub's cache."""
    repository = folder.parent.parent
    return folder.parent.name != "snapshots" or recognition.resolved(repository) == folder


def _listed(paths: Iterable[Path], shelved: Sequence[Path]) -> Iterator[Seen]:
    ids: set[str] = set(catalogue.EMBEDDED)
    for path in paths:
        try:
            found = recognition.recognise(path, shelved)
        except (VelaturaError, ValueError, OSError):
            continue  # `velatura models add` says what is wrong with it
        if found is None:
            continue
        id = _id(path, ids)
        ids.add(id)
        note = model_files.unusable(found) or model_files.lacking(found, id)
        yield Seen(id, found, note)


def _id(path: Path, taken: set[str]) -> str:
    """A name for a model that is not taken: its file's, or its repository's at the hub."""
    hub = next((part for part in path.parts if part.startswith("models--")), "")
    name = hub.split("--")[-1] if hub and path.is_dir() else path.stem if path.is_file() else path.name
    plain = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII)[:70] or "model"
    numbered = chain([plain], (f"{plain}-{i}" for i in count(2)))
    return next(id for id in numbered if id not in taken)


def _item(one: Seen) -> Item:
    outside = {
        name: str(path)
        for name, path in one.found.parts.items()
        if path != one.found.path and one.found.path not in path.parents
    }
    place = {"path": str(one.found.path), "parts": outside}
    return {"id": one.id, "title": one.id, "guidance": catalogue.scale(one.found), **place}


def listed(seen: Sequence[Seen]) -> list[str]:
    """The found models in lines for the person."""
    lines: list[str] = []
    for one in seen:
        lines.append(f"{one.id:40} {FAMILIES[one.found.family].title}, {one.found.size} px")
        lines.append(f"{'':8}{one.found.path}")
        lines += [f"{'':8}{one.note}"] if one.note else []
    return lines
