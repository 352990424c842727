"""Which models there are: the embedded one, and those the user has named. Imports no torch."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from velatura_protocol.errors import VelaturaError

EMBEDDED_ID = "velatura-mini"
EMBEDDED_PATH = Path(__file__).resolve().parent.parent / "bundles" / EMBEDDED_ID
_FILE = "models.json"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_DEFAULT_SIZE = 512


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be asked for.

    kind: 'diffusers' (a local folder), 'file' (a single .safetensors file), 'hub' (owner/name) or 'missing'
    (nothing lies at the path any more). path: where it lies. size: side in pixels of the pictures it was
    trained on, as far as can be told without loading it.
    """

    id: str
    title: str
    kind: str
    path: str
    size: int


def entries(state_dir: Path | str) -> list[ModelEntry]:
    """The user's models in their order, then the embedded one; the first is the default.

    A model whose files are gone stays in the list, as 'missing': it is refused when it is asked for, and
    neither hides the others nor is another one silently taken for it. Raises `unknown-model` if models.json
    cannot be read.
    """
    users = [
        ModelEntry(
            item["id"], item["title"], _kind(item["path"]) or "missing", item["path"], _size(item["path"])
        )
        for item in _read(Path(state_dir))
    ]
    embedded = ModelEntry(
        EMBEDDED_ID, EMBEDDED_ID, "diffusers", str(EMBEDDED_PATH), _size(str(EMBEDDED_PATH))
    )
    return [*users, *([] if any(entry.id == EMBEDDED_ID for entry in users) else [embedded])]


def add(state_dir: Path | str, id: str, path: str, title: str = "") -> ModelEntry:
    """Names a model, in first place. Raises `unknown-model` if nothing lies at the path, `bad-request` for an
    id that is taken or no name."""
    if not re.fullmatch(r"[\w.-]{1,80}", id):
        raise VelaturaError("bad-request", "A model's name has letters, digits, points and hyphens only.")
    items = _read(Path(state_dir))
    if any(item["id"] == id for item in items) or id == EMBEDDED_ID:
        raise VelaturaError("bad-request", f"There is a model {id!r} already; remove it or choose a name.")
    if os.path.exists(os.path.expanduser(path)):
        path = str(Path(path).expanduser().resolve())
    item = {"id": id, "title": title or id, "path": path}
    entry = ModelEntry(id, item["title"], kind_of(path), path, _size(path))
    _write(Path(state_dir), [item, *items])
    return entry


def remove(state_dir: Path | str, id: str) -> None:
    """Forgets a model the user has named; its files stay. Raises `unknown-model`."""
    items = _read(Path(state_dir))
    rest = [item for item in items if item["id"] != id]
    if len(rest) == len(items):
        raise VelaturaError("unknown-model", f"You have named no model {id!r}; see `velatura models`.")
    _write(Path(state_dir), rest)


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
    """From the UNet's configuration, where it is at hand; every published Stable Diffusion 1 is 512."""
    try:
        unet = json.loads(Path(path, "unet", "config.json").read_text(encoding="utf-8"))
        vae = json.loads(Path(path, "vae", "config.json").read_text(encoding="utf-8"))
        channels = vae.get("block_out_channels") or vae["encoder_block_out_channels"]
        side = unet["sample_size"]
        return int(side if isinstance(side, int) else min(side)) * 2 ** (len(channels) - 1)
    except (OSError, ValueError, KeyError, TypeError):
        return _DEFAULT_SIZE


def _read(state_dir: Path) -> list[dict]:
    try:
        items = json.loads((state_dir / _FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise _unreadable(state_dir, str(error)) from error
    if not isinstance(items, list):
        raise _unreadable(state_dir, "not a list")
    for item in items:
        if not isinstance(item, dict) or not all(isinstance(item.get(k), str) for k in ("id", "path")):
            raise _unreadable(state_dir, f"{item!r:.80}")
    return [
        {"id": item["id"], "title": item.get("title") or item["id"], "path": item["path"]} for item in items
    ]


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
