"""Which models there are: the embedded one, and those the user has named. Imports no torch."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from velatura.bundles import BUNDLES
from velatura.companions.table import COMPANIONS
from velatura.generators import kinds
from velatura.generators.protocol import DIFFUSION
from velatura.weights.json_files import read_json, read_object
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import MAX_SIDE

EMBEDDED_ID = "velatura-mini"
EMBEDDED_PATH = BUNDLES / EMBEDDED_ID
EMBEDDED_COMPANIONS = {
    "clip": BUNDLES / "velatura-clip",
    "captioner": BUNDLES / "velatura-judge",
    "segmenter": BUNDLES / "velatura-segmenter",
}
"""The companions of the embedded model: they know nothing but its world."""
_FILE = "models.json"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_DEFAULT_SIZE = 512
_MOST_LEVELS = 8  # of an autoencoder, each of which halves the picture; published ones have 4
MOST = 100  # models that a person may name: so many fit a message
STABLE_DIFFUSION_GUIDANCE = 7.5  #: what its authors' scripts take


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be asked for.

    Args:
        kind: 'diffusers' (a local folder), 'file' (a single .safetensors file), 'hub' (owner/name), 'missing'
            (nothing lies at the path any more), or the name under which another package offers to load it
            (`velatura.generators.kinds`).
        path: where it lies.
        size: side in pixels of the pictures it was trained on, as far as can be told without loading it.
        companions: by their names in `velatura.companions.table`, each a folder or a hub id; those that it
            lacks are left out.
        guidance: the scale it wants, or None for the method's own.
        fault: why it cannot be used, a sentence for the person, or ''.
        generator: the kind of generator that it is, which methods ask for.
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
        """Values for parameters of these names that take the place of the methods' own."""
        return {} if self.guidance is None else {"guidance": self.guidance}


def entries(state_dir: Path | str) -> list[ModelEntry]:
    """The user's models in their order, then the embedded one; the first is the default.

    A model whose files are gone or make no sense stays in the list, with its `fault`: it is refused when it
    is asked for, and neither hides the others nor is another one silently taken for it. Raises
    `unknown-model` if models.json cannot be read.
    """
    users = [_entry(item, _kind(item["path"]) or "missing") for item in _read(Path(state_dir))]
    embedded = {"id": EMBEDDED_ID, "title": EMBEDDED_ID, "path": str(EMBEDDED_PATH), "guidance": 3.0}
    hidden = any(entry.id == EMBEDDED_ID for entry in users)
    return users if hidden else [*users, _entry(embedded, "diffusers")]


def entry_of(models: Sequence[ModelEntry], id: str) -> ModelEntry:
    """The model of this id; for '' the first, which is the default. Raises `unknown-model`."""
    model = next((model for model in models if id in ("", model.id)), None)
    if model is None:
        raise VelaturaError("unknown-model", f"The daemon has no model {id!r:.60}; choose another one.")
    return model


def _entry(item: dict, kind: str) -> ModelEntry:
    path, title, size, fault, generator = item["path"], item["title"], _DEFAULT_SIZE, "", DIFFUSION
    found = {name: item.get(name) or _own_companion(path, name) for name in COMPANIONS}
    companions = {name: place for name, place in found.items() if place}
    if kind == "missing":
        fault = f"The files of the model {title!r} are gone from {path}; put them back or remove it."
    try:
        if offered := _offered(path, kind):
            kind, generator, size = offered
        else:
            size = _size(path)
    except ValueError as error:
        fault = f"The model {title!r} at {path} cannot be used ({error}); fetch it again or remove it."
    return ModelEntry(item["id"], title, kind, path, size, companions, item.get("guidance"), fault, generator)


def _offered(path: str, kind: str) -> kinds.Recognised | None:
    """What another package says of a model that lies here; of the embedded one nobody is asked.

    Raises ValueError for a size that no picture has.
    """
    if kind not in ("diffusers", "file") or path == str(EMBEDDED_PATH):
        return None
    found = kinds.recognised(Path(path))
    if found is not None and not 0 < found.size <= MAX_SIDE:
        raise ValueError(f"its pictures would have {found.size} pixels a side")
    return found


def _own_companion(path: str, name: str) -> str:
    """What comes with a model: the embedded one's, or the folder of this name in a model's own."""
    folder = EMBEDDED_COMPANIONS[name] if path == str(EMBEDDED_PATH) else Path(path, name)
    return str(folder) if (folder / "config.json").is_file() else ""


def add(
    state_dir: Path | str,
    id: str,
    path: str,
    title: str = "",
    *,
    companions: Mapping[str, str] = MappingProxyType({}),
    guidance: float = STABLE_DIFFUSION_GUIDANCE,
) -> ModelEntry:
    """Names a model, in first place.

    companions: those it is to have, by their names; '' means none.

    Raises `unknown-model` if nothing lies at a path or its files make no sense, `bad-request` for an id that
    is taken or no name, and for the embedded model's companions: they know nothing but its world.
    """
    if not re.fullmatch(r"[\w.-]{1,80}", id):
        raise VelaturaError("bad-request", "A model's name has letters, digits, points and hyphens only.")
    items = _read(Path(state_dir))
    if any(item["id"] == id for item in items) or id == EMBEDDED_ID:
        raise VelaturaError("bad-request", f"There is a model {id!r} already; remove it or choose a name.")
    path = _absolute(path)
    kind = kind_of(path)
    beside = {name: _companion(name, there, path) for name, there in companions.items()}
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
    """Gives a model the user has named other companions ('': none of its own) or another guidance.

    A companion that is not named stays, and so does the guidance where it is None. first:
    makes it the default. Raises as `add` does, and `unknown-model` for an id that the user has not named.
    """
    items = _read(Path(state_dir))
    place = _place(items, id)
    item = items[place]
    changed: dict[str, str | float] = {
        name: _companion(name, there, item["path"]) for name, there in companions.items()
    }
    if guidance is not None:
        changed["guidance"] = guidance
    items[place] = item | changed
    if first:
        items.insert(0, items.pop(place))
    _write(Path(state_dir), items)


def _companion(name: str, there: str, model: str) -> str:
    """The path, or '' for none, if a model may have such a companion."""
    if not there:
        return ""
    there = _absolute(there)
    if there == str(EMBEDDED_COMPANIONS[name]) and model != str(EMBEDDED_PATH):
        raise VelaturaError(
            "bad-request",
            f"Velatura's own {COMPANIONS[name].title} knows only the pictures of {EMBEDDED_ID}; name another"
            " one.",
        )
    if kind_of(there) == "file":
        raise VelaturaError(
            "bad-request", f"{there} is a file; a {COMPANIONS[name].title} is a folder or a name at a hub."
        )
    return there


def _absolute(path: str) -> str:
    """A local path in full; anything else as it is."""
    there = path and os.path.exists(os.path.expanduser(path))
    return str(Path(path).expanduser().resolve()) if there else path


def remove(state_dir: Path | str, id: str) -> None:
    """Forgets a model the user has named; its files stay. Raises `unknown-model`."""
    items = _read(Path(state_dir))
    del items[_place(items, id)]
    _write(Path(state_dir), items)


def _place(items: list[dict], id: str) -> int:
    for place, item in enumerate(items):
        if item["id"] == id:
            return place
    raise VelaturaError("unknown-model", f"You have named no model {id!r}; see `velatura models`.")


def kind_of(path: str) -> str:
    """What lies at a path: told by what is there, not by its name. Raises `unknown-model`."""
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
    """From the UNet's configuration, where it is at hand; every published Stable Diffusion 1 is 512.

    Raises ValueError for files that say what no model is.
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


def _configuration(path: str, part: str) -> dict:
    try:
        return read_object(Path(path, part, "config.json"))
    except ValueError as error:
        raise ValueError(f"{part}/config.json: {error}") from None


def _read(state_dir: Path) -> list[dict]:
    try:
        items = read_json(state_dir / _FILE)
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


def _is_whole(item: dict) -> bool:
    """Whether an entry of models.json has what it needs, in lengths that a message holds."""
    needed = _is_text(item.get("id"), 80) and _is_text(item.get("path"), 4096)
    texts = all(_is_text(item.get(name) or "", 4096) for name in COMPANIONS)
    return needed and texts and _is_text(item.get("title") or "", 100) and _is_guidance(item.get("guidance"))


def _is_text(value: object, most: int) -> bool:
    """Whether it is a text of at most so many characters that can be sent and be a file's name."""
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
        f"The list of models cannot be read; mend or delete {state_dir / _FILE}.",
        detail=detail,
    )


def _write(state_dir: Path, items: list[dict]) -> None:
    state_dir.mkdir(parents=True, exist_ok=True)
    new = state_dir / (_FILE + ".new")
    new.write_text(json.dumps(items, indent=1), encoding="utf-8")
    new.replace(state_dir / _FILE)
