"""The native dialog of a procedure. Imported only when GIMP has a window."""

from __future__ import annotations

from collections.abc import Sequence

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

from gi.repository import Gdk, Gimp, GimpUi, GObject, Gtk, Pango  # noqa: E402

from .form import Argument, digits  # noqa: E402
from .selecting import Selector  # noqa: E402
from .word_form import WordForm  # noqa: E402

ENTRY_WIDTH = 44  # characters
TEXT_WIDTH, TEXT_HEIGHT = 360, 60  # pixels
WIDEST_SLIDER = 1000  # a longer range than this cannot be aimed at


def ask(
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    title: str,
    arguments: Sequence[Argument],
    hidden: Sequence[str] = (),
    selector: Selector | None = None,
) -> bool:
    """Shows the dialog and returns whether the person chose to run; `config` then has the values.

    hidden: names of arguments that are not shown. selector: selects words of the prompt.
    """
    GimpUi.init("velatura_gimp")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, title)
    try:
        dialog.set_ok_label("R_un")
        form = _Form(dialog, config, arguments, selector)
        shown = sorted((argument for argument in arguments if argument.name not in hidden), key=form.position)
        names = [form.widget(argument) for argument in shown if not form.is_advanced(argument)]
        advanced = [form.widget(argument) for argument in shown if form.is_advanced(argument)]
        if advanced:
            dialog.get_label("advanced-title", "Ad_vanced", False, True)
            dialog.fill_box("advanced-box", advanced)
            dialog.fill_expander("advanced", "advanced-title", False, "advanced-box")
            names.append("advanced")
        dialog.fill(names)
        form.begin_with(shown[0].name)
        return dialog.run()
    finally:
        dialog.destroy()


class _Form:
    """The widgets of a dialog's arguments."""

    def __init__(
        self,
        dialog: GimpUi.ProcedureDialog,
        config: Gimp.ProcedureConfig,
        arguments: Sequence[Argument],
        selector: Selector | None,
    ) -> None:
        self._dialog, self._config, self._selector = dialog, config, selector
        self._has_prompt = any(argument.name == "prompt" for argument in arguments)
        self._titles = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
        self._views: dict[str, Gtk.TextView] = {}
        self._anchor: Gtk.Widget | None = None

    def position(self, argument: Argument) -> int:
        """What the layer shows now comes before what should be there, and its words right after."""
        field = argument.field
        return 0 if field.source_prompt else 1 if argument.name == "prompt" else 2 if field.words else 3

    def is_advanced(self, argument: Argument) -> bool:
        """Whether it is shown only when the person asks for more; the words belong to the prompt."""
        return argument.field.advanced and self.position(argument) == 3

    def widget(self, argument: Argument) -> str:
        """Makes an argument's widget where GIMP's own choice is not the best; returns what to fill in."""
        field, name, dialog = argument.field, argument.name, self._dialog
        if field.words and self._has_prompt:
            return self._words(argument)
        if field.kind == "group" or field.multiline or field.source_prompt:
            return self._text(argument)
        if field.kind in ("integer", "number") and field.maximum - field.minimum <= WIDEST_SLIDER:
            slider = dialog.get_spin_scale(name, 1.0)
            step = field.step or (1 if field.kind == "integer" else 0.01)
            slider.set_digits(0 if field.kind == "integer" else digits(step))
            slider.set_increments(step, 10 * step)
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

    def begin_with(self, name: str) -> None:
        """Lets the person type into the first field at once, once all are filled in."""
        if self._anchor is not None:
            self._anchor.hide()
        _entry(self._views.get(name) or self._dialog.get_widget(name, GObject.TYPE_NONE)).grab_focus()

    def _text(self, argument: Argument) -> str:
        view = self._dialog.get_widget(argument.name, Gtk.TextView)
        view.set_wrap_mode(Gtk.WrapMode.WORD_CHAR)
        view.set_size_request(TEXT_WIDTH, TEXT_HEIGHT)
        view.set_accepts_tab(False)
        if argument.field.kind == "string":
            view.connect("key-press-event", _run_on_return, self._dialog)
        view.set_hexpand(True)
        self._views[argument.name] = view
        title = self._title(argument, view)
        if argument.field.source_prompt:
            copy = Gtk.Button(label="Copy ↓", tooltip_text="Copies it to what should be there, to be changed")
            copy.set_valign(Gtk.Align.START)
            copy.connect("clicked", self._copy_down, view)
            title.pack_start(copy, False, False, 0)
        self._row(argument.name, title, argument.name)
        return f"{argument.name}-box"

    def _words(self, argument: Argument) -> str:
        words = WordForm(self._dialog, self._config, argument, self._views["prompt"], self._selector)
        # GIMP fills in what it made itself alone: a label without text holds the place of the words.
        anchor = f"{argument.name}-anchor"
        self._anchor = self._dialog.get_label(anchor, "", False, False)
        row = self._row(argument.name, self._title(argument, words), anchor)
        row.pack_start(words, True, True, 0)
        return f"{argument.name}-box"

    def _title(self, argument: Argument, widget: Gtk.Widget) -> Gtk.Box:
        """The column left of a widget, with its label on top."""
        label = Gtk.Label(label=argument.label, use_underline=True, xalign=0.0)
        label.set_mnemonic_widget(widget)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        column.pack_start(label, False, False, 0)
        self._titles.add_widget(column)
        return column

    def _row(self, name: str, title: Gtk.Box, filled: str) -> Gtk.Box:
        box = self._dialog.fill_box(f"{name}-box", [filled])
        box.set_orientation(Gtk.Orientation.HORIZONTAL)
        box.set_spacing(6)
        box.pack_start(title, False, False, 0)
        box.reorder_child(title, 0)
        title.show_all()
        return box

    def _copy_down(self, _button: Gtk.Button, view: Gtk.TextView) -> None:
        buffer, prompt = view.get_buffer(), self._views["prompt"]
        prompt.get_buffer().set_text(buffer.get_text(*buffer.get_bounds(), False))
        prompt.grab_focus()


def _run_on_return(_view: Gtk.TextView, event: Gdk.EventKey, dialog: GimpUi.ProcedureDialog) -> bool:
    """Return runs, as it does in a line of text; with Shift it begins a new line."""
    if event.keyval not in (Gdk.KEY_Return, Gdk.KEY_KP_Enter) or event.state & Gdk.ModifierType.SHIFT_MASK:
        return False
    if dialog.get_widget_for_response(Gtk.ResponseType.OK).get_sensitive():
        dialog.response(Gtk.ResponseType.OK)
    return True


def _entry(widget: Gtk.Widget) -> Gtk.Widget:
    return widget.get_entry() if isinstance(widget, GimpUi.LabelEntry) else widget
