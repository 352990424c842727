"""The available models: the embedded ones, and those the user has named. Imports no torch."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from velatura.bundles import BUNDLES
from velatura.companions.table import COMPANIONS
from velatura.generators import kinds
from velatura.generators.protocol import DIFFUSION, PIXEL_DIFFUSION
from velatura_protocol.errors import VelaturaError

from . import header_cache, hub, model_files, picture_side, pixel_files
from .model_list import MOST, Item, is_whole, read, read_found, write
from .recognition import FAMILIES, Found

EMBEDDED_ID = "velatura-mini"
EMBEDDED_PATH = BUNDLES / EMBEDDED_ID
EMBEDDED_PIXELS_ID = "velatura-pixels"
EMBEDDED_PIXELS_PATH = BUNDLES / EMBEDDED_PIXELS_ID
EMBEDDED_VQ_ID = "velatura-vq"
EMBEDDED_FACE_ID = "velatura-face"
EMBEDDED: Mapping[str, Path] = MappingProxyType(
    {
        EMBEDDED_ID: EMBEDDED_PATH,
        EMBEDDED_PIXELS_ID: EMBEDDED_PIXELS_PATH,
        EMBEDDED_VQ_ID: BUNDLES / EMBEDDED_VQ_ID,
        EMBEDDED_FACE_ID: BUNDLES / EMBEDDED_FACE_ID,
    }
)
"""The embedded models in their order: one that makes pictures from words, and one for each other kind."""
EMBEDDED_COMPANIONS = {
    "clip": BUNDLES / "velatura-clip",
    "captioner": BUNDLES / "velatura-judge",
    "segmenter": BUNDLES / "velatura-segmenter",
    "identity": BUNDLES / "velatura-identity",
    "enlarger": BUNDLES / "velatura-enlarge",
}
"""The companions of the embedded models, which know only the pictures of these models."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_DEFAULT_SIZE = 512
STABLE_DIFFUSION_GUIDANCE = 7.5  #: the scale in its authors' scripts
_OWN_DEFAULTS = {EMBEDDED_ID: {"guidance": 3.0}}


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be requested.

    Args:
        kind: 'diffusers' (a local folder), 'file' (a single .safetensors file), 'hub' (owner/name), 'missing'
            (nothing is at the path any more), or the name under which another package offers to load it
            (`velatura.generators.kinds`). 'pixels' is a local folder too, of a model of pixel space.
        path: a folder, a file or a hub id.
        size: the side in pixels of the pictures it was trained on, as far as is known without loading it.
        companions: by their names in `velatura.companions.table`, each a folder or a hub id; those that it
            lacks are left out.
        guidance: its own scale, or None for the method's default.
        fault: a sentence for the person that says why it cannot be used, or ''.
        generator: its kind of generator, which methods ask for.
        dtype: of its networks, as the person wants it: 'float32', 'float16' or 'bfloat16'; '' for the
            device's.
        found: its files, of a family that Velatura loads; None for other forms, and for a model at a hub that
            is not here.
        is_size_known: whether `size` is certain; else the usual one stands for it.
    """

    id: str
    title: str
    kind: str
    path: str
    size: int
    companions: Mapping[str, str] = field(default_factory=dict)
    guidance: float | None = None
    fault: str = ""
    generator: str = DIFFUSION
    dtype: str = ""
    found: Found | None = None
    is_size_known: bool = True

    @property
    def defaults(self) -> dict[str, float]:
        """Defaults of parameters by their names, which replace the methods': its family's, and its scale."""
        family = FAMILIES[self.found.family].defaults(self.found.traits) if self.found else {}
        usual = family.pop("guidance", None)  # `add` wrote it into the entry, where a person may change it
        if self.guidance is None:
            return family
        if self.guidance != usual:  # then it holds for every method
            family = {name: value for name, value in family.items() if not name.endswith(".guidance")}
        return family | {"guidance": self.guidance}

    @property
    def lacks_parts(self) -> bool:
        """Whether a part of it is nowhere, so that it cannot edit yet."""
        return self.found is not None and bool(self.found.missing)


def entries(state_dir: Path | str) -> list[ModelEntry]:
    """The user's models in their order, the embedded ones, and those that were found on this computer.

    The first is the default.

    A model whose files are missing or invalid stays in the list, with its `fault`. A request for it is
    refused; no other model silently takes its place. One that lacks a part since it was added has never been
    the default, and is the last. Raises `unknown-model` if models.json cannot be read, and `unavailable`
    while the process may open no further file.
    """
    folder = Path(state_dir)
    with header_cache.kept_in(folder):
        return _entries(folder)


def _entries(folder: Path) -> list[ModelEntry]:
    users = [_entry(item, _kind(item["path"]) or "missing") for item in read(folder)]
    named = {entry.id for entry in users}
    embedded = [
        _entry({"id": id, "title": id, "path": str(path), **_OWN_DEFAULTS.get(id, {})}, "diffusers")
        for id, path in EMBEDDED.items()
        if id not in named and path.is_dir()
    ]
    places = {entry.path for entry in users}
    offered = [
        _entry(item, _kind(item["path"]) or "missing") for item in read_found(folder)[: MOST - len(users)]
    ]
    offered = [entry for entry in offered if entry.path not in places and entry.id not in named]
    able = [entry for entry in users if not entry.lacks_parts]
    unable = [entry for entry in users if entry.lacks_parts]
    return [*able, *embedded, *(entry for entry in offered if not entry.fault), *unable]


def entry_of(
    models: Sequence[ModelEntry], id: str, suits: Callable[[ModelEntry], bool] = lambda _: True
) -> ModelEntry:
    """The model of this id; for '' the first that suits, or where none does the first, which is the default.

    Raises `unknown-model`.
    """
    named = [model for model in models if id in ("", model.id)]
    if not named:
        raise VelaturaError("unknown-model", f"The daemon has no model {id!r:.60}; choose another one.")
    return named[0] if id else next(filter(suits, named), named[0])


def _entry(item: Item, kind: str) -> ModelEntry:
    path, title, size, fault, generator = item["path"], item["title"], 0, "", DIFFUSION
    found: Found | None = None
    places = {name: item.get(name) or _own_companion(path, name) for name in COMPANIONS}
    companions = {name: place for name, place in places.items() if place}
    if kind == "missing":
        fault = f"The files of the model {title!r} are gone from {path}; put them back or remove it."
    try:
        if offered := _offered(path, kind):
            kind, generator, size = offered
        elif kind == "diffusers" and (side := pixel_files.recognise(Path(path))):
            kind, generator, size = "pixels", PIXEL_DIFFUSION, side
        elif kind != "missing":
            size = picture_side.size(path)
            found = _files(item, kind)
    except VelaturaError as error:
        if error.retryable:  # a fault of the moment, and not the model's
            raise
        fault = error.message
    except ValueError as error:
        fault = f"The model {title!r} at {path} cannot be used ({error}); fetch it again or remove it."
    if found is not None:
        size, fault = (
            (size if found.family in ("sd", "sdxl") and size else found.size),
            model_files.lacking(found, title),
        )
    return ModelEntry(
        item["id"],
        title,
        kind,
        path,
        size or _DEFAULT_SIZE,
        companions,
        item.get("guidance"),
        fault,
        generator,
        item.get("dtype") or "",
        found,
        bool(size),
    )


def _files(item: Item, kind: str) -> Found | None:
    """The files of a model of our own families; None for one at a hub that is not here. Raises as
    `disk.found`."""
    path = hub.local(item["path"]) if kind == "hub" else Path(item["path"])
    return model_files.found(item, path) if path else None


def _offered(path: str, kind: str) -> kinds.Recognised | None:
    """The form of the model at the path if a package offers to load it; None for the embedded diffusion
    models."""
    if kind not in ("diffusers", "file") or path in (str(EMBEDDED_PATH), str(EMBEDDED_PIXELS_PATH)):
        return None
    return kinds.recognised(Path(path))


def _own_companion(path: str, name: str) -> str:
    """The companion that comes with a model: an embedded one's, or the subfolder of this name; else ''."""
    folder = EMBEDDED_COMPANIONS.get(name) if _is_embedded(path) else Path(path, name)
    if folder is None:
        return ""
    return str(folder) if (folder / "config.json").is_file() else ""


def _is_embedded(path: str) -> bool:
    return path in map(str, EMBEDDED.values())


def add(
    state_dir: Path | str,
    id: str,
    path: str,
    title: str = "",
    *,
    companions: Mapping[str, str] = MappingProxyType({}),
    shelves: Sequence[Path] = (),
    **settings: Any,
) -> ModelEntry:
    """Adds a model and returns its entry.

    It gets the first place, so that it is the default; the last one where it lacks a part and cannot edit.

    Args:
        state_dir: the folder of models.json.
        id: the model's name, which is not in use yet.
        path: a folder, a file or a hub id.
        title: for the person; '' for the id.
        companions: paths by the companions' names; '' means none.
        shelves: folders of models, in which parts that it lacks are looked for.
        settings: see `_settings`.

    Raises:
        VelaturaError: `unknown-model` if nothing is at a path, or what is there cannot edit or is damaged;
            `bad-request` for an id that is in use or not allowed, for settings that its family does not have,
            and for the embedded model's companions, which know only its own pictures.
    """
    if not re.fullmatch(r"[\w.-]{1,80}", id):
        raise VelaturaError("bad-request", "A model's name has letters, digits, points and hyphens only.")
    items = read(Path(state_dir))
    if any(item["id"] == id for item in items) or id in EMBEDDED:
        raise VelaturaError("bad-request", f"There is a model {id!r} already; remove it or choose a name.")
    path = _absolute(path)
    kind = kind_of(path)
    beside = {name: _companion(name, place, path) for name, place in companions.items()}
    item: Item = {"id": id, "title": title or id, "path": path, **beside, **_settings(settings)}
    entry = _checked(item, kind, shelves)
    if "guidance" not in item:
        item["guidance"] = scale(entry.found)
        entry = replace(entry, guidance=item["guidance"])
    if len(items) >= MOST or not is_whole(item):
        raise VelaturaError(
            "bad-request", f"There are {MOST} models already, or a name is too long; remove or shorten one."
        )
    write(Path(state_dir), [*items, item] if entry.fault else [item, *items])
    return entry


def scale(found: Found | None) -> float:
    """The scale of guidance that suits a model."""
    family = FAMILIES[found.family].defaults(found.traits) if found else {}
    return family.get("guidance", STABLE_DIFFUSION_GUIDANCE)


def _settings(settings: Mapping[str, Any]) -> Item:
    """The settings of a model that a person has given; None for those that stay as they are.

    They are `guidance` (its own scale), `vae` (a path), `prediction`, `clip_skip` and `dtype`; '' takes one
    back. See `velatura.models.model_list`.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    if given.get("vae"):
        given["vae"] = _absolute(given["vae"])
        kind_of(given["vae"])
    return given


def _checked(item: Item, kind: str, shelves: Sequence[Path] = ()) -> ModelEntry:
    """The entry of a new or changed item, which gets the places of parts that it lacks.

    Raises `unknown-model` or `bad-request` if it cannot be used; not where it only lacks parts.
    """
    entry = _entry(item, kind)
    if entry.found is None and entry.fault:
        raise VelaturaError("unknown-model", entry.fault)
    if entry.found is not None:
        if item.get("vae"):
            model_files.check_vae(item["vae"], entry.found.family)
        model_files.weights(entry.found)  # reads each file's header, and raises for one that is cut off
        if shelves and entry.lacks_parts:
            whole = model_files.found(item, entry.found.path, shelves)
            item["parts"] = {
                name: str(path) for name, path in whole.parts.items() if name in entry.found.missing
            }
            entry = _entry(item, kind)
    return entry


def change(
    state_dir: Path | str,
    id: str,
    *,
    companions: Mapping[str, str] = MappingProxyType({}),
    first: bool = False,
    **settings: Any,
) -> None:
    """Changes the companions or the settings of a model that the user has named.

    Args:
        state_dir: the folder of models.json.
        id: the model's name.
        companions: paths by the companions' names; '' means none. Others stay unchanged.
        first: whether it becomes the default.
        settings: see `_settings`.

    Raises:
        VelaturaError: as in `add`, and `unknown-model` for an id that the user has not named.
    """
    items = read(Path(state_dir))
    place = _place(items, id)
    item = items[place]
    paths = {name: _companion(name, one, item["path"]) for name, one in companions.items()}
    changed = _settings(settings)
    item = items[place] = item | paths | changed
    if changed or first:
        entry = _checked(item, _kind(item["path"]) or "missing")
        if first and entry.fault:
            raise VelaturaError("unknown-model", entry.fault)
    if first:
        items.insert(0, items.pop(place))
    write(Path(state_dir), items)


def complete(state_dir: Path, shelves: Sequence[Path]) -> None:
    """Takes the parts that the person's models lack from folders of models, where they are there."""
    items = read(state_dir)
    for item in items:
        kind = _kind(item["path"]) or "missing"
        entry = _entry(item, kind)
        if entry.lacks_parts:
            with suppress(VelaturaError):  # its fault is told where it is listed
                _checked(item, kind, shelves)
    if items != read(state_dir):
        write(state_dir, items)


def _companion(name: str, path: str, model: str) -> str:
    """The companion's path in full, or '' for none. Raises `bad-request` if the model may not have it."""
    if not path:
        return ""
    path = _absolute(path)
    if path == str(EMBEDDED_COMPANIONS.get(name, "")) and not _is_embedded(model):
        raise VelaturaError(
            "bad-request",
            f"Velatura's own {COMPANIONS[name].title} knows only the pictures of {EMBEDDED_ID}; name another"
            " one.",
        )
    if kind_of(path) == "file" and not COMPANIONS[name].file:
        raise VelaturaError(
            "bad-request", f"{path} is a file; a {COMPANIONS[name].title} is a folder or a name at a hub."
        )
    return path


def _absolute(path: str) -> str:
    """A local path in full; any other text unchanged."""
    exists = path and os.path.exists(os.path.expanduser(path))
    return str(Path(path).expanduser().resolve()) if exists else path


def remove(state_dir: Path | str, id: str) -> None:
    """Removes a model that the user has named from the list; its files stay. Raises `unknown-model`."""
    items = read(Path(state_dir))
    del items[_place(items, id)]
    write(Path(state_dir), items)


def _place(items: list[Item], id: str) -> int:
    for place, item in enumerate(items):
        if item["id"] == id:
            return place
    raise VelaturaError("unknown-model", f"You have named no model {id!r}; see `velatura models`.")


def kind_of(path: str) -> str:
    """The kind of the model at a path, from its content and not its name. Raises `unknown-model`."""
    kind = _kind(path)
    if kind is None:
        raise VelaturaError("unknown-model", f"There is no model at {path}; check the path or the name.")
    return kind


def _kind(path: str) -> str | None:
    if os.path.isdir(path):
        return "diffusers"
    if os.path.isfile(path):
        return "file"
    return "hub" if _HUB_ID.fullmatch(path) else None
