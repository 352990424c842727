"""`velatura dials` for the sliders that methods have found and kept for a model (`velatura.shelf`)."""

from __future__ import annotations

import json
from pathlib import Path

from velatura.models import catalogue
from velatura.shelf import Entry, Shelf
from velatura.shelf.dial import ENDING
from velatura.shelf.listing import FOLDER, SHIPPED
from velatura_protocol.errors import VelaturaError

KINDS = {
    "direction": "slider of a model's own features",
    "vector": "slider of an edit",
    "mapper": "slider that was trained",
}


def shelf(state_dir: Path) -> Shelf:
    """The person's own kept sliders, and those that come with the models."""
    models = catalogue.entries(state_dir)
    return Shelf(state_dir / FOLDER, [Path(model.path, SHIPPED) for model in models])


def lines(state_dir: Path) -> list[str]:
    """A line for each kept slider, and for each file that cannot be read."""
    listing = shelf(state_dir)
    kept = [
        f"{entry.title:28} {'comes with a model' if entry.shipped else KINDS[entry.kind]}, {entry.id}"
        for entry in listing.entries()
    ]
    return kept + [f"{one.path.name}: left out, because {one.reason}" for one in listing.broken()]


def named(state_dir: Path, name: str) -> Entry | None:
    """The kept slider of this title or id; None where there is none. Raises `bad-request` where several
    have the title."""
    there = shelf(state_dir).entries()
    found = [e for e in there if e.id == name] or [e for e in there if e.title.casefold() == name.casefold()]
    if len(found) > 1:
        ids = ", ".join(entry.id for entry in found)
        raise VelaturaError("bad-request", f"Several sliders are called '{name}'; give one of {ids}.")
    return found[0] if found else None


def shown(entry: Entry) -> str:
    """The slider as a value of `velatura edit --method face-dials --set dials=…`."""
    return json.dumps([{"dial": entry.id, "amount": 100.0}])


def is_file_of_one(path: str) -> bool:
    """Whether a file is an exported slider, by its name or its first bytes: it may have any name."""
    if path.endswith(ENDING.rpartition(".")[2]):
        return True
    try:
        with Path(path).open("rb") as stream:
            # safetensors: the length of the header, far below 2 ** 32, in 64 bits; then a JSON object
            return stream.read(9)[4:] == b"\0\0\0\0{"
    except OSError:
        return False
