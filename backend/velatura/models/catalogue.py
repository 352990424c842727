"""The available models: the embedded ones, and those the user has named. Imports no torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from velatura.bundles import BUNDLES
from velatura.companions.table import COMPANIONS
from velatura.generators import kinds
from velatura.generators.protocol import DIFFUSION, PIXEL_DIFFUSION
from velatura.weights.json_files import read_json, read_object
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import MAX_SIDE

from . import pixel_files

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
FILE = "models.json"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_DEFAULT_SIZE = 512
_MOST_LEVELS = 8  # of an autoencoder; each halves the picture, and published ones have 4
_OWN_DEFAULTS = {EMBEDDED_ID: {"guidance": 3.0}}
MOST = 100  # models that a person may name, so that the list fits into a message
STABLE_DIFFUSION_GUIDANCE = 7.5  #: the scale in its authors' scripts

_Item = dict[str, Any]
"""An entry of models.json: a JSON object, which may have keys that this version does not know."""


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

    @property
    def defaults(self) -> dict[str, float]:
        """Defaults of parameters by their names, which replace the methods' own."""
        return {} if self.guidance is None else {"guidance": self.guidance}


def entries(state_dir: Path | str) -> list[ModelEntry]:
    """The user's models in their order, then the embedded ones; the first is the default.

    A model whose files are missing or invalid stays in the list, with its `fault`. A request for it is
    refused; no other model silently takes its place. Raises `unknown-model` if models.json cannot be read.
    """
    users = [_entry(item, _kind(item["path"]) or "missing") for item in _read(Path(state_dir))]
    named = {entry.id for entry in users}
    embedded = [
        _entry({"id": id, "title": id, "path": str(path), **_OWN_DEFAULTS.get(id, {})}, "diffusers")
        for id, path in EMBEDDED.items()
        if id not in named and path.is_dir()
    ]
    return [*users, *embedded]


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


def _entry(item: _Item, kind: str) -> ModelEntry:
    path, title, size, fault, generator = item["path"], item["title"], _DEFAULT_SIZE, "", DIFFUSION
    places = {name: item.get(name) or _own_companion(path, name) for name in COMPANIONS}
    companions = {name: place for name, place in places.items() if place}
    if kind == "missing":
        fault = f"The files of the model {title!r} are gone from {path}; put them back or remove it."
    try:
        if offered := _offered(path, kind):
            kind, generator, size = offered
        elif kind == "diffusers" and (side := pixel_files.recognise(Path(path))):
            kind, generator, size = "pixels", PIXEL_DIFFUSION, side
        else:
            size = _size(path)
    except ValueError as error:
        fault = f"The model {title!r} at {path} cannot be used ({error}); fetch it again or remove it."
    return ModelEntry(item["id"], title, kind, path, size, companions, item.get("guidance"), fault, generator)


def _offered(path: str, kind: str) -> kinds.Recognised | None:
    """The form of the model at the path if a package offers to load it; None for the embedded diffusion
    models."""
    if kind not in ("diffusers", "file") or path in (str(EMBEDDED_PATH), str(EMBEDDED_PIXELS_PATH)):
        return None
    return kinds.recognised(Path(path))


def _own_companion(path: str, name: str) -> str:
    """The companion that comes with a model: an embedded one's, or the subfolder of this name; else ''."""
    folder = EMBEDDED_COMPANIONS[name] if _is_embedded(path) else Path(path, name)
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
    guidance: float = STABLE_DIFFUSION_GUIDANCE,
) -> ModelEntry:
    """Adds a model, in first place, and returns its entry.

    Args:
        state_dir: the folder of models.json.
        id: the model's name, which is not in use yet.
        path: a folder, a file or a hub id.
        title: for the person; '' for the id.
        companions: paths by the companions' names; '' means none.
        guidance: the model's own scale.

    Raises:
        VelaturaError: `unknown-model` if nothing is at a path or its files are invalid; `bad-request` for an
            id that is in use or not allowed, and for the embedded model's companions, which know only its own
            pictures.
    """
    if not re.fullmatch(r"[\w.-]{1,80}", id):
        raise VelaturaError("bad-request", "A model's name has letters, digits, points and hyphens only.")
    items = _read(Path(state_dir))
    if any(item["id"] == id for item in items) or id in EMBEDDED:
        raise VelaturaError("bad-request", f"There is a model {id!r} already; remove it or choose a name.")
    path = _absolute(path)
    kind = kind_of(path)
    beside = {name: _companion(name, place, path) for name, place in companions.items()}
    item = {"id": id, "title": title or id, "path": path, **beside, "guidance": guidance}
    entry = _entry(item, kind)
    if entry.fault:
        raise VelaturaError("unknown-model", entry.fault)
    if len(items) >= MOST or not _is_whole(item):
        raise VelaturaError(
            "bad-request", f"There are {MOST} models already, or a name is too long; remove or shorten one."
        )
    _write(Path(state_dir), [item, *items])
    return entry


def change(
    state_dir: Path | str,
    id: str,
    *,
    companions: Mapping[str, str] = MappingProxyType({}),
    guidance: float | None = None,
    first: bool = False,
) -> None:
    """Changes the companions or the guidance of a model that the user has named.

    Args:
        state_dir: the folder of models.json.
        id: the model's name.
        companions: paths by the companions' names; '' means none. Others stay unchanged.
        guidance: the model's own scale; None: unchanged.
        first: whether it becomes the default.

    Raises:
        VelaturaError: as in `add`, and `unknown-model` for an id that the user has not named.
    """
    items = _read(Path(state_dir))
    place = _place(items, id)
    item = items[place]
    changed: dict[str, str | float] = {
        name: _companion(name, place, item["path"]) for name, place in companions.items()
    }
    if guidance is not None:
        changed["guidance"] = guidance
    items[place] = item | changed
    if first:
        items.insert(0, items.pop(place))
    _write(Path(state_dir), items)


def _companion(name: str, path: str, model: str) -> str:
    """The companion's path in full, or '' for none. Raises `bad-request` if the model may not have it."""
    if not path:
        return ""
    path = _absolute(path)
    if path == str(EMBEDDED_COMPANIONS[name]) and not _is_embedded(model):
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
    items = _read(Path(state_dir))
    del items[_place(items, id)]
    _write(Path(state_dir), items)


def _place(items: list[_Item], id: str) -> int:
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


def _size(path: str) -> int:
    """The side of the model's pictures in pixels, from the UNet's configuration; 512 if that is not local,
    which is the size of every published Stable Diffusion 1.

    Raises ValueError for values that no model can have.
    """
    try:
        unet, vae = (_configuration(path, part) for part in ("unet", "vae"))
    except OSError:
        return _DEFAULT_SIZE
    channels = vae.get("block_out_channels") or vae.get("encoder_block_out_channels")
    side = unet.get("sample_size")
    if side is None or channels is None:
        return _DEFAULT_SIZE
    sides = side if isinstance(side, list) else [side]
    if not isinstance(channels, list) or not 1 <= len(channels) <= _MOST_LEVELS:
        raise ValueError("vae/config.json has no block_out_channels that a network could have")
    if not (0 < len(sides) <= 2 and all(type(one) is int and 0 < one <= MAX_SIDE for one in sides)):
        raise ValueError("unet/config.json has no sample_size that a picture could have")
    size = min(sides) * 2 ** (len(channels) - 1)
    if size > MAX_SIDE:
        raise ValueError(f"its pictures would have {size} pixels a side")
    return size


def _configuration(path: str, part: str) -> dict[str, Any]:
    try:
        return read_object(Path(path, part, "config.json"))
    except ValueError as error:
        raise ValueError(f"{part}/config.json: {error}") from None


def _read(state_dir: Path) -> list[_Item]:
    try:
        items = read_json(state_dir / FILE)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise _unreadable(state_dir, str(error)) from error
    if not isinstance(items, list) or len(items) > MOST:
        raise _unreadable(state_dir, f"not a list of at most {MOST}")
    for item in items:
        if not isinstance(item, dict) or not _is_whole(item):
            raise _unreadable(state_dir, f"{item!r:.80}")
    return [item | {"title": item.get("title") or item["id"]} for item in items]


def _is_whole(item: _Item) -> bool:
    """Whether an entry of models.json has all it needs, in lengths that fit into a message."""
    needed = _is_text(item.get("id"), 80) and _is_text(item.get("path"), 4096)
    texts = all(_is_text(item.get(name) or "", 4096) for name in COMPANIONS)
    return needed and texts and _is_text(item.get("title") or "", 100) and _is_guidance(item.get("guidance"))


def _is_text(value: object, most: int) -> bool:
    """Whether it is a text of at most `most` characters that can be sent and can name a file."""
    if not isinstance(value, str) or len(value) > most or "\0" in value:
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_guidance(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 1.0 <= value <= 20.0


def _unreadable(state_dir: Path, detail: str) -> VelaturaError:
    return VelaturaError(
        "unknown-model",
        f"The list of models cannot be read; mend or delete {state_dir / FILE}.",
        detail=detail,
    )


def _write(state_dir: Path, items: list[_Item]) -> None:
    state_dir.mkdir(parents=True, exist_ok=True)
    new = state_dir / (FILE + ".new")
    new.write_text(json.dumps(items, indent=1), encoding="utf-8")
    new.replace(state_dir / FILE)
