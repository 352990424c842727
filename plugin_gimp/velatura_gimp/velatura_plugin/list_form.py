"""A group of a schema as a list: entries are added, removed and put in another order. Needs a window."""

from __future__ import annotations

import json
from collections.abc import Callable

from gi.repository import Gimp, Gtk

from velatura_protocol import dials
from velatura_protocol.errors import VelaturaError

from . import form
from .form import Argument
from .raster_form import Layers
from .style import icon_button, small_button
from .word_editor import Editor

MOST_HEIGHT = 232  # pixels; a longer list scrolls


class Row(Gtk.Box):
    """One entry of a list, with the common buttons. entry: its present values. changed(is_meant): called
    after the person has changed it; is_meant is False during typing.
    """

    def __init__(self, entry: dict, changed: Callable[[bool], None]) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        self.entry, self.changed = entry, changed
        self.up = icon_button("go-up", "Moves it up")
        self.down = icon_button("go-down", "Moves it down")
        self.remove = icon_button("edit-delete", "Removes it")
        self.tools = Gtk.Box()
        for button in (self.up, self.down, self.remove):
            self.tools.pack_start(button, False, False, 0)

    def set(self, key: str, value: object, is_meant: bool) -> None:
        """The person has changed a part of the entry."""
        if self.entry.get(key) != value:
            self.entry = {**self.entry, key: value}
            self.changed(is_meant)


class PlainRow(Row):
    """An entry as the parts of its schema, one below the other."""

    def __init__(
        self, argument: Argument, entry: dict, changed: Callable[[bool], None], layers: Layers
    ) -> None:
        super().__init__(entry, changed)
        self.tools.set_halign(Gtk.Align.END)
        self.pack_start(self.tools, False, False, 0)
        for part in argument.field.fields:
            on_set = lambda part, value: self.set(part.key, value, part.kind != "string")  # noqa: E731
            editor = Editor(part, on_set, layers)
            editor.show(entry[part.key])
            if editor.raster is not None:  # drops the choice of a deleted layer
                self.entry = {**self.entry, part.key: editor.raster.chosen}
            self.pack_start(editor.widget, False, False, 0)


class ListForm(Gtk.Box):
    """`argument`, a group, as a list that is kept in the procedure's configuration as JSON.

    layers: those of the image, for parts that are rasters.
    """

    def __init__(self, config: Gimp.ProcedureConfig, argument: Argument, layers: Layers = list) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self._layers = layers
        self._config, self._argument = config, argument
        #: Called after a change of its entries, and not while a text is half typed.
        self.moved: Callable[[], None] = lambda: None
        self._rows: list[Row] = []
        self.head = Gtk.Box(spacing=6)
        self._add = self.make_add_button()
        self.head.pack_start(self._add, False, False, 0)
        self._list = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8)
        self._scroll = Gtk.ScrolledWindow(
            hscrollbar_policy=Gtk.PolicyType.NEVER, propagate_natural_height=True, no_show_all=True
        )
        self._scroll.set_max_content_height(MOST_HEIGHT)
        self._scroll.add(self._list)
        self._list.show()
        for part in (self.head, self._scroll):
            self.pack_start(part, False, False, 0)
        self.show_all()
        self._lay_out(self._kept())
        config.connect(f"notify::{argument.name}", self._on_other_entries)

    # overridden by other kinds of lists --------------------------------------

    def make_add_button(self) -> Gtk.Widget:
        """The button that adds an entry."""
        return small_button("Add", "Adds one at the end", lambda _: self.add(self._new()))

    def make_row(self, entry: dict, changed: Callable[[bool], None]) -> Row:
        """The widget of an entry."""
        return PlainRow(self._argument, entry, changed, self._layers)

    # the entries ------------------------------------------------------------

    @property
    def entries(self) -> list[dict]:
        """The present entries."""
        return [row.entry for row in self._rows]

    def add(self, entry: dict) -> Row:
        """Adds an entry at the end."""
        dials.add(self._argument.field, self.entries, entry)
        row = self._append(entry)
        self._keep()
        self.moved()
        return row

    def replace(self, entries: list[dict]) -> None:
        """Replaces all entries."""
        self._lay_out(entries)
        self._keep()
        self.moved()

    def _new(self) -> dict:
        return {part.key: part.default for part in self._argument.field.fields}

    def _kept(self) -> list[dict]:
        """The entries of the configuration; none where they cannot be read."""
        field = self._argument.field
        try:
            return field.check(form.from_gimp(field, self._config.get_property(self._argument.name)))
        except VelaturaError:
            return []

    def _keep(self) -> None:
        self._allow()
        value = json.dumps(self.entries)
        if value != self._config.get_property(self._argument.name):
            self._config.set_property(self._argument.name, value)

    def _on_other_entries(self, *_: object) -> None:
        """The person has reset the form or loaded a saved one."""
        kept = self._kept()
        if kept != self.entries:
            self._lay_out(kept)
            self.moved()

    # the rows ---------------------------------------------------------------

    def _lay_out(self, entries: list[dict]) -> None:
        for row in self._rows:
            row.destroy()
        self._rows = []
        for entry in entries:
            self._append(entry)
        self._allow()
        if self.entries != entries:
            self._keep()

    def _append(self, entry: dict) -> Row:
        row = self.make_row(entry, self._on_changed)
        row.up.connect("clicked", lambda _: self._move(row, -1))
        row.down.connect("clicked", lambda _: self._move(row, 1))
        row.remove.connect("clicked", lambda _: self._remove(row))
        self._rows.append(row)
        self._list.pack_start(row, False, False, 0)
        row.show_all()
        return row

    def _on_changed(self, is_meant: bool) -> None:
        self._keep()
        if is_meant:
            self.moved()

    def _move(self, row: Row, by: int) -> None:
        to = self._rows.index(row) + by
        self._rows = dials.move(self._rows, to - by, to)
        self._list.reorder_child(row, to)
        self._keep()

    def _remove(self, row: Row) -> None:
        self._rows = dials.remove(self._argument.field, self._rows, self._rows.index(row))
        row.destroy()
        self._keep()
        self.moved()
        self._add.grab_focus()

    def _allow(self) -> None:
        """Disables the buttons that would be no-ops."""
        field, count = self._argument.field, len(self._rows)
        self._scroll.set_visible(count > 0)
        # a window grows for a minimum height, not for a natural height
        self._scroll.set_min_content_height(min(MOST_HEIGHT, self._list.get_preferred_height()[1]))
        self._add.set_sensitive(not dials.is_full(field, self._rows))
        for index, row in enumerate(self._rows):
            row.up.set_sensitive(index > 0)
            row.down.set_sensitive(index + 1 < count)
            row.remove.set_sensitive(count > field.min_items)
