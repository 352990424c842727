"""The native dialog of a procedure. Imported only when GIMP has a window."""

from __future__ import annotations

from collections.abc import Sequence

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

from gi.repository import Gimp, GimpUi, GObject, Gtk  # noqa: E402

from .form import Argument  # noqa: E402

PROMPT_WIDTH = 44  # characters
MULTILINE_HEIGHT = 72  # pixels


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
        dialog.set_ok_label("_Run")
        shown = [argument for argument in arguments if argument.name not in hidden]
        for argument in shown:
            _prepare(dialog, argument)
        names = [argument.name for argument in shown if not argument.field.advanced]
        advanced = [argument.name for argument in shown if argument.field.advanced]
        if advanced:
            dialog.get_label("advanced-title", "Advanced", False, False)
            dialog.fill_box("advanced-box", advanced)
            dialog.fill_expander("advanced", "advanced-title", False, "advanced-box")
            names.append("advanced")
        dialog.fill(names)
        return dialog.run()
    finally:
        dialog.destroy()


def _prepare(dialog: GimpUi.ProcedureDialog, argument: Argument) -> None:
    """Makes the widget where GIMP's own choice for the type is not the best one."""
    field = argument.field
    if field.kind == "string" and not field.multiline:
        widget = dialog.get_widget(argument.name, GObject.TYPE_NONE)
        entry = widget.get_entry() if isinstance(widget, GimpUi.LabelEntry) else widget
        entry.set_width_chars(PROMPT_WIDTH)
        entry.set_activates_default(True)
    elif field.kind in ("integer", "number") and field.maximum - field.minimum <= 1000:
        dialog.get_scale_entry(argument.name, 1.0)
    elif field.kind in ("string", "group"):
        view = dialog.get_widget(argument.name, Gtk.TextView)
        view.set_wrap_mode(Gtk.WrapMode.WORD_CHAR)
        view.set_size_request(-1, MULTILINE_HEIGHT)
