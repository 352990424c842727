"""Dials that wait for the dialog with dials: GIMP shows the dialog of one procedure at a time.

They wait at the image, in a parasite that neither a file nor the undo history keeps.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from gi.repository import Gimp

from velatura_protocol import dials
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.words import Word

from . import edit, form
from .form import Argument

PARASITE = "velatura-dials"


class Waiting:
    """The dials that wait in `image` for `method`, which has dials."""

    def __init__(self, image: Gimp.Image, method: MethodInfo) -> None:
        self._image, self._method = image, method
        self._put: list[dict] = []  # into the form
        self._left: list[dict] = []  # for which it had no room

    def add(self, word: Word, prompt: str, caption: str) -> str:
        """Stores a dial of this word of the prompt, with the caption; returns a sentence that says so."""
        entries = self._entries()
        new = dials.new(self._method.dials, *dials.of_word(caption, prompt, word))
        if not any(dials.same(new, entry) for entry in entries):
            try:
                entries = dials.add(self._method.dials, entries, new)
            except VelaturaError as error:
                return f"{edit.sentence(error)} They wait in {self._where}."
        self._write(caption, entries)
        return f"A dial for “{word.text}” waits in {self._where}."

    def put_into(self, config: Gimp.ProcedureConfig, arguments: Sequence[Argument]) -> None:
        """Puts the dials, and the caption where none is there, into the values of the method's form."""
        entries = self._entries()
        for argument in arguments if entries else ():
            if argument.field.dials:
                kept, self._left = form.with_dials(
                    argument.field, config.get_property(argument.name), entries
                )
                config.set_property(argument.name, kept)
                self._put = [entry for entry in entries if entry not in self._left]
            elif argument.field.source_prompt and not (config.get_property(argument.name) or "").strip():
                config.set_property(argument.name, self._read().get("caption") or "")

    def left_out(self) -> str:
        """A sentence about the dials for which the form has no room, or ""."""
        titles = ", ".join(f"“{dials.title(entry)}”" for entry in self._left)
        return f"Still waiting for room: {titles}. Remove dials, then open this again." if titles else ""

    def drop(self) -> None:
        """Drops the dials that the form has taken over."""
        if not self._image.is_valid():
            return
        left = [entry for entry in self._entries() if not any(dials.same(entry, put) for put in self._put)]
        if left:
            self._write(self._read().get("caption") or "", left)
        elif self._image.get_parasite(PARASITE) is not None:
            self._image.detach_parasite(PARASITE)

    @property
    def _where(self) -> str:
        menus = ["Filters", "Velatura", self._method.section, f"“{self._method.title}”"]
        return " → ".join(filter(None, menus))

    def _entries(self) -> list[dict]:
        try:
            return replace(self._method.dials, min_items=0).check(self._read().get("dials", []))
        except VelaturaError:
            return []

    def _read(self) -> dict:
        parasite = self._image.get_parasite(PARASITE)
        return json.loads(bytes(parasite.get_data()).decode("ascii")) if parasite is not None else {}

    def _write(self, caption: str, entries: Sequence[dict]) -> None:
        data = json.dumps({"caption": caption, "dials": entries}).encode("ascii")
        self._image.attach_parasite(Gimp.Parasite.new(PARASITE, 0, data))
