"""The menu of presets: saves, loads and shares dials, or whole settings. Needs a window."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gi.repository import Gdk, GLib, Gtk

from velatura_protocol import paths
from velatura_protocol.errors import VelaturaError
from velatura_protocol.named_files import MAX_NAME, SUFFIX
from velatura_protocol.preset_shelves import Shelf

from . import edit
from .style import add_item, small_button


def state_dir() -> Path:
    """The daemon's directory, which has the presets."""
    return paths.state_dir(paths.host_config(edit.FOLDER).get("state_dir") or None)


class PresetMenu(Gtk.Box):
    """A button with the presets of `shelf`. say: shows a sentence."""

    def __init__(self, shelf: Shelf, say: Callable[[str], None]) -> None:
        super().__init__()
        self._shelf, self._say = shelf, say
        self._noun = shelf.kind.noun
        tooltip = f"{self._noun.capitalize()} that were saved under a name"
        button = small_button("Presets ▾", tooltip, self._on_pressed)
        self.pack_start(button, False, False, 0)

    def _on_pressed(self, button: Gtk.Button) -> None:
        names, some = self._shelf.names(), self._shelf.can_save
        menu = Gtk.Menu(attach_widget=button)
        for name in names:
            add_item(menu, name, lambda _, name=name: self._try(self._shelf.load, name))
        if names:
            menu.append(Gtk.SeparatorMenuItem())
        add_item(menu, "Save As…", lambda _: self._try(self._save)).set_sensitive(some)
        delete = add_item(menu, "Delete", lambda _: None)
        delete.set_sensitive(bool(names))
        others = Gtk.Menu()
        for name in names:
            add_item(others, name, lambda _, name=name: self._try(self._ask_delete, name))
        delete.set_submenu(others)
        menu.append(Gtk.SeparatorMenuItem())
        add_item(menu, "Import a File…", lambda _: self._try(self._import))
        add_item(menu, "Export to a File…", lambda _: self._try(self._export)).set_sensitive(some)
        menu.show_all()
        menu.popup_at_widget(button, Gdk.Gravity.SOUTH_EAST, Gdk.Gravity.NORTH_EAST, None)

    def _try(self, work: Callable[..., str], *arguments: str) -> None:
        """Calls it and shows the outcome as a sentence."""
        try:
            self._say(work(*arguments))
        except VelaturaError as error:
            self._say(edit.sentence(error))

    def _save(self) -> str:
        name = self._ask_name()
        return self._shelf.save(name) if name else ""

    def _ask_delete(self, name: str) -> str:
        return self._shelf.delete(name) if self._is_sure(name) else ""

    def _import(self) -> str:
        path = self._ask_file("Import", Gtk.FileChooserAction.OPEN, "_Import")
        return self._shelf.add_from(path) if path else ""

    def _export(self) -> str:
        path = self._ask_file("Export", Gtk.FileChooserAction.SAVE, "_Export")
        return self._shelf.export_to(path) if path else ""

    @property
    def _proposed(self) -> str:
        return self._shelf.proposed or self._noun.capitalize()

    # small windows ------------------------------------------------------------

    def _ask_name(self) -> str:
        dialog = Gtk.Dialog(
            title=f"Save {self._noun.capitalize()}", transient_for=self.get_toplevel(), modal=True
        )
        dialog.add_buttons("_Cancel", Gtk.ResponseType.CANCEL, "_Save", Gtk.ResponseType.OK)
        dialog.set_default_response(Gtk.ResponseType.OK)
        text = Gtk.Entry(text=self._proposed, max_length=MAX_NAME, activates_default=True, width_chars=28)
        hint = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=40)
        hint.get_style_context().add_class("dim-label")
        taken = self._shelf.names()
        taken_by = f"This name is taken; saving puts these {self._noun} in its place."

        def look(*_: object) -> None:
            name = text.get_text().strip()
            dialog.set_response_sensitive(Gtk.ResponseType.OK, bool(name))
            is_taken = any(self._shelf.same(name, other) for other in taken)
            hint.set_text(taken_by if is_taken else "")

        text.connect("changed", look)
        look()
        area = dialog.get_content_area()
        area.set_border_width(12)
        area.set_spacing(8)
        for part in (Gtk.Label(label=f"Name of the {self._noun}", xalign=0.0), text, hint):
            area.pack_start(part, False, False, 0)
        area.show_all()
        name = text.get_text() if dialog.run() == Gtk.ResponseType.OK else ""
        dialog.destroy()
        return name.strip()

    def _is_sure(self, name: str) -> bool:
        """Whether the person wants this preset to be deleted."""
        dialog = Gtk.MessageDialog(
            transient_for=self.get_toplevel(), modal=True, message_type=Gtk.MessageType.QUESTION,
            text=f"Delete the {self._noun} “{name}”?", secondary_text="They cannot be brought back.",
        )  # fmt: skip
        dialog.add_buttons("_Cancel", Gtk.ResponseType.CANCEL, "_Delete", Gtk.ResponseType.OK)
        dialog.set_default_response(Gtk.ResponseType.CANCEL)
        is_sure = dialog.run() == Gtk.ResponseType.OK
        dialog.destroy()
        return is_sure

    def _ask_file(self, title: str, action: Gtk.FileChooserAction, accept: str) -> str:
        title = f"{title} {self._noun.capitalize()}"
        chooser = Gtk.FileChooserDialog(title=title, transient_for=self.get_toplevel(), action=action)
        chooser.add_buttons("_Cancel", Gtk.ResponseType.CANCEL, accept, Gtk.ResponseType.ACCEPT)
        chooser.set_default_response(Gtk.ResponseType.ACCEPT)
        chooser.set_do_overwrite_confirmation(True)
        presets_only = Gtk.FileFilter()
        presets_only.set_name(self._noun.capitalize())
        presets_only.add_pattern(f"*{SUFFIX}")
        chooser.add_filter(presets_only)
        if action == Gtk.FileChooserAction.SAVE:
            chooser.set_current_name(self._shelf.kind.file_name(self._proposed))
        path = ""
        while chooser.run() == Gtk.ResponseType.ACCEPT:
            path = chooser.get_filename() or ""
            if action != Gtk.FileChooserAction.SAVE or not path or path.lower().endswith(SUFFIX):
                break
            path += SUFFIX  # an import shows no other files
            if not os.path.lexists(path):
                break
            chooser.set_current_name(GLib.path_get_basename(path))  # GTK asks before it is written over
            path = ""
        chooser.destroy()
        return path
