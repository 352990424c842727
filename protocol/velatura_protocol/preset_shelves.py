"""The acts of a menu of presets, for every host; the menu and its small windows are the host's.

Each act returns the sentence to show, or '', and raises VelaturaError with one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from . import dials, presets, settings_presets
from .catalogue import Catalogue, MethodInfo
from .errors import VelaturaError
from .named_files import Kind
from .presets import Presets
from .schema import Field
from .settings_presets import Loaded, Settings, SettingsPresets
from .words import Entry


class Shelf(Protocol):
    """The presets of one kind, beside the form that they are of."""

    @property
    def kind(self) -> Kind:
        """The kind of its files."""
        ...

    @property
    def proposed(self) -> str:
        """A name to begin with; '' for none."""
        ...

    @property
    def can_save(self) -> bool:
        """Whether the form has something to save."""
        ...

    def names(self) -> list[str]:
        """The names in alphabetical order."""
        ...

    def same(self, name: str, other: str) -> bool:
        """Whether one of these names would take the other's place."""
        ...

    def load(self, name: str) -> str:
        """Puts the preset into the form."""
        ...

    def save(self, name: str) -> str:
        """Keeps the form under that name."""
        ...

    def delete(self, name: str) -> str:
        """Deletes the preset."""
        ...

    def add_from(self, path: str | os.PathLike[str]) -> str:
        """Keeps a shared file, and puts it into the form."""
        ...

    def export_to(self, path: str | os.PathLike[str]) -> str:
        """Writes the form to a file for others, under the file's name."""
        ...


class DialShelf:
    """Presets of dials.

    Args:
        state_dir: the daemon's.
        field: the group of dials.
        entries: returns the present dials.
        put: replaces them.
    """

    kind = presets.KIND

    def __init__(
        self,
        state_dir: str | os.PathLike[str],
        field: Field,
        entries: Callable[[], list[Entry]],
        put: Callable[[list[Entry]], None],
    ) -> None:
        self._kept = Presets(state_dir)
        self._field, self._entries, self._put = field, entries, put
        self.names, self.same = self._kept.names, self._kept.same
        self._last = ""

    @property
    def proposed(self) -> str:
        """The last preset's name, else the first dial's title."""
        entries = dials.spoken(self._entries())
        return self._last or (dials.title(entries[0])[: presets.MAX_NAME] if entries else "")

    @property
    def can_save(self) -> bool:
        """Whether a dial has words."""
        return bool(dials.spoken(self._entries()))

    def load(self, name: str) -> str:
        """See `Shelf`."""
        self._put(self._kept.load(name, self._field))
        self._last = name
        return ""

    def save(self, name: str) -> str:
        """See `Shelf`."""
        self._last = self._kept.save(name, self._entries())
        return self.kind.kept.format(self._last)

    def delete(self, name: str) -> str:
        """See `Shelf`."""
        self._kept.delete(name)
        return self.kind.deleted.format(name)

    def add_from(self, path: str | os.PathLike[str]) -> str:
        """See `Shelf`."""
        preset = self._kept.add_from(path, self._field)
        self._put(preset.dials)
        self._last = preset.name
        return self.kind.kept.format(preset.name)

    def export_to(self, path: str | os.PathLike[str]) -> str:
        """See `Shelf`."""
        presets.export_to(path, Path(path).stem[: presets.MAX_NAME], self._entries())
        return self.kind.exported.format(Path(path).name)


class SettingsShelf:
    """Presets of whole settings.

    Args:
        state_dir: the daemon's.
        known: returns the present catalogue.
        read: returns the form's settings; raises VelaturaError where the form is unfit.
        put: chooses the method and fills in its form; returns a sentence on the values that it could
            not take, or ''.
    """

    kind = settings_presets.KIND

    def __init__(
        self,
        state_dir: str | os.PathLike[str],
        known: Callable[[], Catalogue],
        read: Callable[[], Settings],
        put: Callable[[Settings], str],
    ) -> None:
        self._kept = SettingsPresets(state_dir)
        self._known, self._read, self._put = known, read, put
        self.names, self.same = self._kept.names, self._kept.same
        self._last = ""
        self.can_save = True

    @property
    def proposed(self) -> str:
        """The last preset's name, else the prompt, else the method's title."""
        if self._last:
            return self._last
        try:
            settings = self._read()
            name = " ".join(settings.prompt.split()) or self._method(settings).title
        except VelaturaError:  # an unfit form is refused when it is saved
            return ""
        return name[: settings_presets.MAX_NAME]

    def load(self, name: str) -> str:
        """See `Shelf`."""
        return self._show(self._kept.load(name, self._known()))

    def save(self, name: str) -> str:
        """See `Shelf`."""
        settings = self._read()
        self._last = self._kept.save(name, settings, self._method(settings))
        return self.kind.kept.format(self._last)

    def delete(self, name: str) -> str:
        """See `Shelf`."""
        self._kept.delete(name)
        return self.kind.deleted.format(name)

    def add_from(self, path: str | os.PathLike[str]) -> str:
        """See `Shelf`."""
        loaded = self._kept.add_from(path, self._known())
        said = self._show(loaded)
        return f"{self.kind.kept.format(loaded.name)} {said}".strip()

    def export_to(self, path: str | os.PathLike[str]) -> str:
        """See `Shelf`."""
        settings, name = self._read(), Path(path).stem[: settings_presets.MAX_NAME]
        settings_presets.export_to(path, name, settings, self._method(settings))
        return self.kind.exported.format(Path(path).name)

    def _show(self, loaded: Loaded) -> str:
        said = self._put(loaded.settings)
        self._last = loaded.name
        return f"{loaded.note} {said}".strip()

    def _method(self, settings: Settings) -> MethodInfo:
        method = self._known().method(settings.method)
        if method is None:
            raise VelaturaError("bad-request", "Choose a method first.")
        return method
