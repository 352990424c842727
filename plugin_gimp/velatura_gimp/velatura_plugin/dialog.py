"""The native dialog of a procedure. Imported only when GIMP has a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

from gi.repository import Gdk, Gimp, GimpUi, GObject, Gtk, Pango  # noqa: E402

from velatura_protocol.amounts import decimals, step_of  # noqa: E402
from velatura_protocol.schema import Field  # noqa: E402

from .beside import Beside  # noqa: E402
from .caption import CaptionButtons  # noqa: E402
from .choice_form import ChoiceForm  # noqa: E402
from .dial_form import DialForm  # noqa: E402
from .drafting import Live  # noqa: E402
from .edit import Placed  # noqa: E402
from .form import SEES, Argument  # noqa: E402
from .keeping import Keeper  # noqa: E402
from .list_form import ListForm  # noqa: E402
from .offering import PromptList  # noqa: E402
from .raster_form import RasterForm  # noqa: E402
from .rasters import layers  # noqa: E402
from .running import Run  # noqa: E402
from .seed_form import CHANCE, SeedForm  # noqa: E402
from .style import weigh  # noqa: E402
from .text_undo import TextUndo, text_of  # noqa: E402
from .word_form import WordForm  # noqa: E402

ENTRY_WIDTH = 44  # characters
TEXT_WIDTH, TEXT_HEIGHT = 360, 44  # pixels; two lines, and more as they are typed
GAP = 3  # below a row of several lines
CAPTION_HEIGHT = 76  # beside a label and two buttons
LAST = 6  # the position of all fields that have no place of their own
WIDEST_SLIDER = 1000  # a longer range than this cannot be aimed at


def ask(
    procedure: Gimp.Procedure,
    config: Gimp.ProcedureConfig,
    title: str,
    arguments: Sequence[Argument],
    hidden: Sequence[str],
    live: Live,
    keeper: Keeper,
) -> Placed | None:
    """Shows the dialog until its form has been run, and returns the result; None where the person cancels.

    `config` has the form's values afterwards, at every end of the dialog, and `keeper` has them until a run
    succeeds. hidden: names of arguments that are not shown. live: the dialog's services.
    """
    GimpUi.init("velatura_gimp")
    sheet = Sheet(procedure, config, title, arguments, hidden, live)
    run: Run | None = None
    try:
        sheet.begin()
        run = sheet.beside.run(lambda: keeper.keep(config))
        sheet.dialog.run()
        return run.placed
    finally:
        sheet.beside.stop()
        if run is not None and run.placed is not None:
            keeper.drop()
        else:
            keeper.keep(config)
        sheet.dialog.destroy()


class Sheet:
    """A procedure's form and the column beside it, in a dialog that is not shown yet.

    Args:
        procedure, config: of GIMP's.
        title: the dialog's.
        arguments: all of the form.
        hidden: the names of those that are not shown.
        live: the form's services.
        window: the window that shows the form instead of the dialog; None: the dialog itself.
        holds_run: called with whether Run has to wait; None: the dialog's own button is disabled.
    """

    def __init__(
        self,
        procedure: Gimp.Procedure,
        config: Gimp.ProcedureConfig,
        title: str,
        arguments: Sequence[Argument],
        hidden: Sequence[str],
        live: Live,
        window: Gtk.Window | None = None,
        holds_run: Callable[[bool], None] | None = None,
    ) -> None:
        self.dialog = dialog = GimpUi.ProcedureDialog.new(procedure, config, title)
        self.beside = beside = Beside(dialog, live, window, holds_run)
        dialog.set_ok_label("R_un")
        self._form = form = _Form(dialog, config, arguments, beside)
        shown = sorted((argument for argument in arguments if argument.name not in hidden), key=form.position)
        names = [form.widget(argument) for argument in shown if not form.is_advanced(argument)]
        advanced = [form.widget(argument) for argument in shown if form.is_advanced(argument)]
        if advanced:
            dialog.get_label("all.advanced-title", "Ad_vanced", False, True)
            dialog.fill_box("all.advanced-box", advanced)
            expander = dialog.fill_expander("all.advanced", "all.advanced-title", False, "all.advanced-box")
            expander.set_resize_toplevel(False)  # it would grow beyond the screen
            names.append("all.advanced")
        self._first, self._arguments, self._config, self._live = shown[0].name, arguments, config, live
        dialog.fill([beside.place(names)])

    def begin(self) -> None:
        """Focuses the first field and lets drafts and proposals begin, once the form is in its window."""
        beside, config, live = self.beside, self._config, self._live
        self._form.begin_with(self._first)
        beside.draft_what_moves(config, self._arguments, self._form.lists)
        self._form.propose_at_once()
        beside.side.note(live.note())
        config.connect("notify::model", lambda *_: beside.side.note(live.note()))
        for argument in self._arguments:
            if argument.field.key == SEES:
                config.connect(f"notify::{argument.name}", lambda *_: beside.side.look_again())
        if live.waiting is not None and (sentence := live.waiting.left_out()):
            beside.side.say(sentence)
        if live.begins_with:
            beside.side.say(live.begins_with)

    def take_out(self) -> Gtk.Widget:
        """Takes form and column out of the dialog, for another window; the dialog stays, hidden, as their
        maker."""
        both = self.beside.both
        both.get_parent().remove(both)
        return both


class _Form:
    """The widgets of a dialog's arguments."""

    def __init__(
        self,
        dialog: GimpUi.ProcedureDialog,
        config: Gimp.ProcedureConfig,
        arguments: Sequence[Argument],
        beside: Beside,
    ) -> None:
        self._dialog, self._config, self._beside = dialog, config, beside
        self._has_prompt = any(argument.name == "prompt" for argument in arguments)
        self._titles = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
        self._views: dict[str, Gtk.TextView] = {}
        self._columns: dict[str, Gtk.Box] = {}
        self._captions: list[CaptionButtons] = []
        self._anchors: list[Gtk.Widget] = []
        self._owned: dict[str, Gtk.Widget] = {}
        #: The groups that are shown as lists, by the names of their arguments.
        self.lists: dict[str, ListForm] = {}

    def position(self, argument: Argument) -> int:
        """The order of the fields: the caption before the prompt, the words right after it; dials before an
        optional prompt."""
        field, prompt = argument.field, 1 if self._beside.live.needs_prompt else 4
        if argument.name == "prompt":
            return prompt
        if field.source_prompt:
            return 0
        return prompt + 1 if field.words else 3 if field.dials else LAST

    def is_advanced(self, argument: Argument) -> bool:
        """Whether it is shown on demand only; the words belong to the prompt."""
        return argument.field.advanced and self.position(argument) == LAST

    def widget(self, argument: Argument) -> str:
        """Makes an argument's widget where GIMP's own is not the best; returns the name to fill in."""
        field, name, dialog = argument.field, argument.name, self._dialog
        if field.words and self._has_prompt:
            return self._words(argument)
        if field.kind == "group":
            return self._list(argument)
        if field.kind == "raster":
            return self._own(argument, RasterForm(self._config, argument, self._layers))
        if field.kind == "enum":
            return self._own(argument, ChoiceForm(self._config, argument))
        if name == "seed" and field.minimum == CHANCE:
            return self._own(argument, SeedForm(self._config, argument))
        if field.multiline or field.source_prompt:
            return self._text(argument)
        if field.kind in ("integer", "number") and field.maximum - field.minimum <= WIDEST_SLIDER:
            fit(dialog.get_spin_scale(name, 1.0), field)
        elif field.kind == "string":
            entry = _entry(dialog.get_widget(name, GObject.TYPE_NONE))
            entry.set_width_chars(ENTRY_WIDTH)
            entry.set_placeholder_text(field.description)
            entry.set_activates_default(True)
        elif field.kind == "boolean":
            weigh(dialog.get_widget(name, GObject.TYPE_NONE).get_child(), Pango.Weight.NORMAL)
        return name

    def begin_with(self, name: str) -> None:
        """Focuses the first field once all widgets are there."""
        for anchor in self._anchors:
            anchor.hide()
        for shown, column in self._columns.items():
            if "prompt" in self._views:
                self._add_caption_buttons(column, self._views[shown])
        own = self._views.get(name) or self._owned.get(name)
        _entry(own or self._dialog.get_widget(name, GObject.TYPE_NONE)).grab_focus()

    def propose_at_once(self) -> None:
        """Asks for a caption where the field is empty."""
        for buttons in self._captions:
            buttons.propose_if_empty()

    def _text(self, argument: Argument) -> str:
        view = self._dialog.get_widget(argument.name, Gtk.TextView)
        view.set_wrap_mode(Gtk.WrapMode.WORD_CHAR)
        room = CAPTION_HEIGHT if argument.field.source_prompt else TEXT_HEIGHT
        view.set_size_request(TEXT_WIDTH, room)
        view.set_accepts_tab(False)
        if argument.name == "prompt":  # before Return runs: it may take a word
            PromptList(view, self._beside.live.painter)
        view.connect("key-press-event", _run_on_return, self._dialog)
        view.set_hexpand(True)
        self._views[argument.name] = view
        TextUndo(view)
        title = self._title(argument, view)
        if argument.field.source_prompt:
            self._columns[argument.name] = title
        self._row(argument.name, title, argument.name)
        return f"{argument.name}.box"

    def _words(self, argument: Argument) -> str:
        prompt, beside = self._views["prompt"], self._beside
        words = WordForm(
            self._config, argument, prompt, self._caption, beside.side.say, beside.live, beside.conversation
        )
        beside.side.below.pack_start(words.strip, False, False, 0)
        return self._own(argument, words)

    def _list(self, argument: Argument) -> str:
        if argument.field.dials:
            shown = DialForm(self._config, argument, self._caption, self._beside.side.say, self._layers)
        else:
            shown = ListForm(self._config, argument, self._layers)
        self.lists[argument.name] = shown
        return self._own(argument, shown)

    def _layers(self) -> list[tuple[str, str]]:
        return layers(self._beside.live.target.image)

    def _caption(self) -> str:
        """The caption; "" where there is no field for it."""
        return next((text_of(self._views[name].get_buffer()) for name in self._columns), "")

    def _own(self, argument: Argument, widget: Gtk.Widget) -> str:
        """Places a widget of the plug-in's. GIMP fills in only its own widgets, so a label without text holds
        the place. Its id has a dot, like those of all containers: no argument's name has one."""
        anchor = f"{argument.name}.anchor"
        self._anchors.append(self._dialog.get_label(anchor, "", False, False))
        self._owned[argument.name] = widget
        row = self._row(argument.name, self._title(argument, widget), anchor)
        row.pack_start(widget, True, True, 0)
        return f"{argument.name}.box"

    def _title(self, argument: Argument, widget: Gtk.Widget) -> Gtk.Box:
        """The column left of a widget, with its label: beside a single line, on top of several."""
        label = Gtk.Label(label=argument.label, use_underline=True, xalign=0.0)
        label.set_mnemonic_widget(widget)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        is_line = isinstance(widget, (ChoiceForm, SeedForm, RasterForm))
        column.pack_start(label, is_line, is_line, 0)
        self._titles.add_widget(column)
        return column

    def _row(self, name: str, title: Gtk.Box, filled: str) -> Gtk.Box:
        box = self._dialog.fill_box(f"{name}.box", [filled])
        box.set_orientation(Gtk.Orientation.HORIZONTAL)
        box.set_spacing(6)
        box.pack_start(title, False, False, 0)
        box.reorder_child(title, 0)
        box.set_margin_bottom(GAP)
        title.show_all()
        return box

    def _add_caption_buttons(self, column: Gtk.Box, view: Gtk.TextView) -> None:
        beside = self._beside
        buttons = CaptionButtons(view, self._views["prompt"], beside.live, beside.conversation)
        self._captions.append(buttons)
        column.pack_start(buttons, False, False, 0)
        buttons.show_all()
        self._config.connect("notify::model", lambda *_: buttons.allow())


def fit(slider: GimpUi.SpinScale, field: Field) -> None:
    """Gives a slider the steps of its field, and decimals that show them."""
    step = step_of(field)
    slider.set_digits(decimals(step))
    slider.set_increments(step, 10 * step)


def _run_on_return(view: Gtk.TextView, event: Gdk.EventKey, dialog: GimpUi.ProcedureDialog) -> bool:
    """Return runs, as in a single line; with Shift it begins a new line."""
    if event.keyval not in (Gdk.KEY_Return, Gdk.KEY_KP_Enter) or event.state & Gdk.ModifierType.SHIFT_MASK:
        return False
    if view.im_context_filter_keypress(event):
        return True  # an input method was composing, and has taken it
    if dialog.get_widget_for_response(Gtk.ResponseType.OK).get_sensitive():
        dialog.response(Gtk.ResponseType.OK)
    return True


def _entry(widget: Gtk.Widget) -> Gtk.Widget:
    return widget.get_entry() if isinstance(widget, GimpUi.LabelEntry) else widget
