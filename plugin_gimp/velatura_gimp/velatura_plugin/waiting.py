"""Dials that wait for the dialog with dials: GIMP shows the dialog of one procedure at a time.

They wait at the image, in a parasite that neither a file nor the undo history keeps.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gi.repository import Gimp

from velatura_protocol import dials
from velatura_protocol.errors import VelaturaError
from velatura_protocol.schema import Field

from . import form
from .catalogue import MethodInfo
from .form import Argument

PARASITE = "velatura-dials"


class Waiting:
    """The dials that wait in `image` for `method`, which has dials."""

    def __init__(self, image: Gimp.Image, method: MethodInfo) -> None:
        self._image, self._method = image, method

    def add(self, word: str, caption: str) -> str:
        """Has a dial of this word wait, and what the layer shows now with it; a sentence that says so."""
        entries = self._entries()
        new = dials.new(self._method.dials, more=word)
        if new not in entries:
            entries.append(new)
        value = {"caption": caption, "dials": entries}
        self._image.attach_parasite(Gimp.Parasite.new(PARASITE, 0, json.dumps(value).encode("ascii")))
        return f"A dial for “{word}” waits in Filters → Velatura → “{self._method.title}”."

    def put_into(self, config: Gimp.ProcedureConfig, arguments: Sequence[Argument]) -> None:
        """Puts the dials, and the caption where none is there, into the values of the method's form."""
        entries = self._entries()
        for argument in arguments if entries else ():
            if argument.field.dials:
                kept = _with(argument.field, config.get_property(argument.name), entries)
                config.set_property(argument.name, json.dumps(kept))
            elif argument.field.source_prompt and not (config.get_property(argument.name) or "").strip():
                config.set_property(argument.name, self._read().get("caption") or "")

    def drop(self) -> None:
        """They have come to where they were to be."""
        if self._image.is_valid() and self._image.get_parasite(PARASITE) is not None:
            self._image.detach_parasite(PARASITE)

    def _entries(self) -> list[dict]:
        try:
            return self._method.dials.check(self._read().get("dials", []))
        except VelaturaError:
            return []

    def _read(self) -> dict:
        parasite = self._image.get_parasite(PARASITE)
        return json.loads(bytes(parasite.get_data()).decode("ascii")) if parasite is not None else {}


def _with(field: Field, kept: str, entries: list[dict]) -> list[dict]:
    """The entries of a form and those that wait; what is there already or has no room is left out."""
    try:
        there = field.check(form.from_gimp(field, kept))
    except VelaturaError:
        there = []
    texts = [(entry["less"], entry["more"]) for entry in there]
    new = [entry for entry in entries if (entry["less"], entry["more"]) not in texts]
    return [*there, *new][: field.max_items]
