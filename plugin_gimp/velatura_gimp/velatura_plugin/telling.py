"""A sentence after a run that is no fault. Needs a window; `Gimp.message` would show it as a warning."""

from __future__ import annotations

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

from gi.repository import GimpUi, Gtk  # noqa: E402


def show(sentence: str) -> None:
    """Shows a sentence until the person closes it."""
    GimpUi.init("velatura_gimp")
    dialog = Gtk.MessageDialog(
        title="Velatura", message_type=Gtk.MessageType.INFO, buttons=Gtk.ButtonsType.CLOSE, text=sentence
    )
    GimpUi.window_set_transient(dialog)
    dialog.run()
    dialog.destroy()
