"""The menu of presets: saves, loads and shares dials. Needs a window."""

from __future__ import annotations

import os
from collections.abc import Callable

from gi.repository import Gdk, GLib, Gtk

from velatura_protocol import dials, paths
from velatura_protocol.errors import VelaturaError
from velatura_protocol.presets import DELETED, EXPORTED, KEPT, MAX_NAME, SUFFIX, Presets, export_to, file_name
from velatura_protocol.schema import Field

from . import edit
from .style import add_item, small_button

UNTITLED = "Dials"  # the name that is proposed for those that were never saved


class PresetMenu(Gtk.Box):
    """A button with the presets. entries: returns the present dials. put: replaces them. say: shows a
    sentence.
    """

    def __init__(
        self,
        field: Field,
        entries: Callable[[], list[dict]],
        put: Callable[[list[dict]], None],
        say: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._field, self._entries, self._put, self._say = field, entries, put, say
        config = paths.host_config(edit.FOLDER)
        self._presets = Presets(paths.state_dir(config.get("state_dir") or None))
        self._name = UNTITLED
        button = small_button("Presets ▾", "Dials that were saved under a name", self._on_pressed)
        self.pack_start(button, False, False, 0)

    def _on_pressed(self, button: Gtk.Button) -> None:
        names, some = self._presets.names(), bool(dials.spoken(self._entries()))
        menu = Gtk.Menu(attach_widget=button)
        for name in names:
            add_item(menu, name, lambda _, name=name: self._try(self._load, name))
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

    def _load(self, name: str) -> str:
        self._put(self._presets.load(name, self._field))
        self._name = name
        return ""

    def _save(self) -> str:
        name = self._ask_name()
        if not name:
            return ""
        self._name = self._presets.save(name, self._entries())
        return KEPT.format(self._name)

    def _ask_delete(self, name: str) -> str:
        return self._delete(name) if self._is_sure(name) else ""

    def _delete(self, name: str) -> str:
        self._presets.delete(name)
        return DELETED.format(name)

    def _import(self) -> str:
        path = self._ask_file("Import Dials", Gtk.FileChooserAction.OPEN, "_Import")
        if not path:
            return ""
        preset = self._presets.add_from(path, self._field)
        self._put(preset.dials)
        self._name = preset.name
        return KEPT.format(preset.name)

    def _export(self) -> str:
        path = self._ask_file("Export Dials", Gtk.FileChooserAction.SAVE, "_Export")
        if not path:
            return ""
        export_to(path, self._name, self._entries())
        return EXPORTED.format(GLib.path_get_basename(path))

    # small windows ------------------------------------------------------------

    def _ask_name(self) -> str:
        dialog = Gtk.Dialog(title="Save Dials", transient_for=self.get_toplevel(), modal=True)
        dialog.add_buttons("_Cancel", Gtk.ResponseType.CANCEL, "_Save", Gtk.ResponseType.OK)
        dialog.set_default_response(Gtk.ResponseType.OK)
        text = Gtk.Entry(text=self._name, max_length=MAX_NAME, activates_default=True, width_chars=28)
        hint = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=40)
        hint.get_style_context().add_class("dim-label")
        taken = self._presets.names()

        def look(*_: object) -> None:
            name = text.get_text().strip()
            dialog.set_response_sensitive(Gtk.ResponseType.OK, bool(name))
            is_taken = any(self._presets.same(name, other) for other in taken)
            hint.set_text("This name is taken; saving puts these dials in their place." if is_taken else "")

        text.connect("changed", look)
        look()
        area = dialog.get_content_area()
        area.set_border_width(12)
        area.set_spacing(8)
        for part in (Gtk.Label(label="Name of the dials", xalign=0.0), text, hint):
            area.pack_start(part, False, False, 0)
        area.show_all()
        name = text.get_text() if dialog.run() == Gtk.ResponseType.OK else ""
        dialog.destroy()
        return name.strip()

    def _is_sure(self, name: str) -> bool:
        """Whether the person wants these dials to be deleted."""
        dialog = Gtk.MessageDialog(
            transient_for=self.get_toplevel(), modal=True, message_type=Gtk.MessageType.QUESTION,
            text=f"Delete the dials “{name}”?", secondary_text="They cannot be brought back.",
        )  # fmt: skip
        dialog.add_buttons("_Cancel", Gtk.ResponseType.CANCEL, "_Delete", Gtk.ResponseType.OK)
        dialog.set_default_response(Gtk.ResponseType.CANCEL)
        is_sure = dialog.run() == Gtk.ResponseType.OK
        dialog.destroy()
        return is_sure

    def _ask_file(self, title: str, action: Gtk.FileChooserAction, accept: str) -> str:
        chooser = Gtk.FileChooserDialog(title=title, transient_for=self.get_toplevel(), action=action)
        chooser.add_buttons("_Cancel", Gtk.ResponseType.CANCEL, accept, Gtk.ResponseType.ACCEPT)
        chooser.set_default_response(Gtk.ResponseType.ACCEPT)
        chooser.set_do_overwrite_confirmation(True)
        dials_only = Gtk.FileFilter()
        dials_only.set_name("Dials")
        dials_only.add_pattern(f"*{SUFFIX}")
        chooser.add_filter(dials_only)
        if action == Gtk.FileChooserAction.SAVE:
            chooser.set_current_name(file_name(self._name))
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
