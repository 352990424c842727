"""The native dialog of a procedure. Imported only when GIMP has a window."""

from __future__ import annotations

from collections.abc import Sequence

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

from gi.repository import Gdk, Gimp, GimpUi, GObject, Gtk, Pango  # noqa: E402

from .form import Argument, digits  # noqa: E402

ENTRY_WIDTH = 44  # characters
TEXT_WIDTH, TEXT_HEIGHT = 360, 60  # pixels
WIDEST_SLIDER = 1000  # a longer range than this cannot be aimed at


def ask(
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    title: str,
    arguments: Sequence[Argument],
    hidden: Sequence[str] = (),
) -> bool:
    """Shows the dialog and returns whether the person chose to run; `config` then has the values.

    hidden: names of arguments that are not shown.
    """
    GimpUi.init("velatura_gimp")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, title)
    try:
        dialog.set_ok_label("R_un")
        shown = [argument for argument in arguments if argument.name not in hidden]
        names = [_widget(dialog, argument) for argument in shown if not argument.field.advanced]
        advanced = [_widget(dialog, argument) for argument in shown if argument.field.advanced]
        if advanced:
            dialog.get_label("advanced-title", "Ad_vanced", False, True)
            dialog.fill_box("advanced-box", advanced)
            dialog.fill_expander("advanced", "advanced-title", False, "advanced-box")
            names.append("advanced")
        dialog.fill(names)
        _begin_with(dialog, shown[0].name)
        return dialog.run()
    finally:
        dialog.destroy()


def _widget(dialog: GimpUi.ProcedureDialog, argument: Argument) -> str:
    """Makes an argument's widget where GIMP's own choice is not the best one; returns what to fill in."""
    field, name = argument.field, argument.name
    if field.kind in ("integer", "number") and field.maximum - field.minimum <= WIDEST_SLIDER:
        slider = dialog.get_spin_scale(name, 1.0)
        step = field.step or (1 if field.kind == "integer" else 0.01)
        slider.set_digits(0 if field.kind == "integer" else digits(step))
        slider.set_increments(step, 10 * step)
    elif field.kind == "group" or field.multiline:
        view = dialog.get_widget(name, Gtk.TextView)
        view.set_wrap_mode(Gtk.WrapMode.WORD_CHAR)
        view.set_size_request(TEXT_WIDTH, TEXT_HEIGHT)
        view.set_accepts_tab(False)
        if field.kind == "string":
            view.connect("key-press-event", _run_on_return, dialog)
        view.set_hexpand(True)
        label = dialog.get_label(f"{name}-title", argument.label, False, True)
        label.set_mnemonic_widget(view)
        label.set_valign(Gtk.Align.START)
        box = dialog.fill_box(f"{name}-box", [f"{name}-title", name])
        box.set_orientation(Gtk.Orientation.HORIZONTAL)
        box.set_spacing(6)
        return f"{name}-box"
    elif field.kind == "string":
        entry = _entry(dialog.get_widget(name, GObject.TYPE_NONE))
        entry.set_width_chars(ENTRY_WIDTH)
        entry.set_placeholder_text(field.description)
        entry.set_activates_default(True)
    elif field.kind == "boolean":
        weight = Pango.AttrList()
        weight.insert(Pango.attr_weight_new(Pango.Weight.NORMAL))  # GIMP's theme takes it for a heading
        dialog.get_widget(name, GObject.TYPE_NONE).get_child().set_attributes(weight)
    return name


def _run_on_return(_view: Gtk.TextView, event: Gdk.EventKey, dialog: GimpUi.ProcedureDialog) -> bool:
    """Return runs, as it does in a line of text; with Shift it begins a new line."""
    if event.keyval not in (Gdk.KEY_Return, Gdk.KEY_KP_Enter) or event.state & Gdk.ModifierType.SHIFT_MASK:
        return False
    dialog.response(Gtk.ResponseType.OK)
    return True


def _entry(widget: Gtk.Widget) -> Gtk.Widget:
    return widget.get_entry() if isinstance(widget, GimpUi.LabelEntry) else widget


def _begin_with(dialog: GimpUi.ProcedureDialog, name: str) -> None:
    """Lets the person type into the first field at once."""
    _entry(dialog.get_widget(name, GObject.TYPE_NONE)).grab_focus()
