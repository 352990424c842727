"""The words of a prompt as chips, and a strip of settings for the chosen one. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gtk, Pango

from velatura_protocol.schema import Field
from velatura_protocol.words import Word

from .word_editor import Editor
from .word_settings import Chip, WordSettings

_GAP = 4
_STYLE = b"""
flowboxchild { padding: 0; min-height: 0; min-width: 0; }
.velatura-chip { padding: 2px 8px; min-height: 0; min-width: 0; border-radius: 11px; font-weight: normal; }
.velatura-chip:checked { background-image: none; background-color: alpha(currentColor, 0.25);
                         box-shadow: inset 0 0 0 1px currentColor; }
.velatura-set { font-weight: bold; }
.velatura-small { padding: 3px 8px; min-height: 0; min-width: 0; }
.velatura-strip { padding: 6px; }
"""


class WordStrip(Gtk.Box):
    """The words of the prompt in `buffer`, each with what is set for it, kept in `settings`.

    changed: called after something has been set. select: asked to select a word, or None where nobody can.
    """

    def __init__(
        self,
        settings: WordSettings,
        buffer: Gtk.TextBuffer,
        changed: Callable[[], None],
        select: Callable[[Word], None] | None,
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._settings, self._buffer, self._changed, self._select = settings, buffer, changed, select
        self._chips: list[Chip] = []
        self._is_list = not settings.settings
        self._is_filling = False
        self._style = Gtk.CssProvider()
        self._style.load_from_data(_STYLE)
        self._flow = Gtk.FlowBox(selection_mode=Gtk.SelectionMode.NONE, max_children_per_line=60)
        self._flow.set_row_spacing(_GAP)
        self._flow.set_column_spacing(_GAP)
        self._flow.set_valign(Gtk.Align.START)
        self._hint = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=40)
        self._hint.get_style_context().add_class("dim-label")
        self._strip = self._make_strip()
        for part in (self._flow, self._hint, self._strip):
            self.pack_start(part, False, False, 0)
        self.show_all()
        buffer.connect("insert-text", self._on_insert)
        buffer.connect("delete-range", self._on_delete)
        buffer.connect_after("changed", lambda _: self._on_edited())
        self.refresh()

    def refresh(self) -> None:
        """Shows the settings as they are."""
        chips, chosen = self._settings.chips(), self._settings.chosen()
        if [chip.word for chip in chips] != [chip.word for chip in self._chips]:
            self._lay_out(chips)
        self._chips = chips
        self._is_filling = True
        for chip, child in zip(chips, self._flow.get_children(), strict=True):
            button = child.get_child()
            button.set_label(chip.label)
            button.set_tooltip_text(chip.about or None)
            is_chosen = chosen is not None and chip.word == chosen.word
            button.set_active(chip.is_set if self._is_list else is_chosen)
            context = button.get_style_context()
            (context.add_class if chip.is_set else context.remove_class)("velatura-set")
        self._fill_strip(chosen)
        self._is_filling = False
        self._hint.set_text(self._hint_text(chips))
        self._flow.set_visible(bool(chips))
        self._hint.set_visible(bool(self._hint.get_text()) and chosen is None)
        if self._strip.get_visible() != (chosen is not None):
            self._strip.set_visible(chosen is not None)
            window = self.get_toplevel()
            if isinstance(window, Gtk.Window):  # GTK makes windows larger by itself, but not smaller
                window.resize(window.get_size()[0], 1)

    # chips ----------------------------------------------------------------

    def _lay_out(self, chips: list[Chip]) -> None:
        for child in self._flow.get_children():
            child.destroy()
        for number, chip in enumerate(chips):
            button = Gtk.ToggleButton(label=chip.label)
            self._dress(button, "velatura-chip")
            button.connect("toggled", self._on_toggled, number)
            child = Gtk.FlowBoxChild(can_focus=False)
            self._dress(child)
            child.add(button)
            child.show_all()
            self._flow.add(child)

    def _on_toggled(self, button: Gtk.ToggleButton, number: int) -> None:
        if self._is_filling:
            return
        word = self._chips[number].word
        if self._is_list:
            self._settings.put(word, button.get_active())
            self._changed()
        else:
            self._settings.choose(word if button.get_active() else None)
        self.refresh()

    def _hint_text(self, chips: list[Chip]) -> str:
        if not chips:
            return "Type a prompt; its words appear here."
        if self._is_list:
            return "" if any(chip.is_set for chip in chips) else "No word is chosen: all count."
        return "Click a word to change it."

    # the strip ------------------------------------------------------------

    def _make_strip(self) -> Gtk.Widget:
        frame = Gtk.Frame()
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._dress(box, "velatura-strip")
        frame.add(box)
        self._name = Gtk.Label(xalign=0.0, ellipsize=Pango.EllipsizeMode.END)
        bold = Pango.AttrList()
        bold.insert(Pango.attr_weight_new(Pango.Weight.BOLD))
        self._name.set_attributes(bold)
        self.select_button = self._button(
            "Select", "Finds this word in the layer and selects it", self._on_select
        )
        self._reset = self._button("Reset", "Takes away what is set for this word", self._on_reset)
        head = Gtk.Box(spacing=6)
        head.pack_start(self._name, True, True, 0)
        if self._select is not None:
            head.pack_start(self.select_button, False, False, 0)
        head.pack_start(self._reset, False, False, 0)
        box.pack_start(head, False, False, 0)
        self._editors = [Editor(setting, self._on_set) for setting in self._settings.settings]
        for editor in self._editors:
            box.pack_start(editor.widget, False, False, 0)
        box.pack_start(self._make_wording(), False, False, 0)
        frame.show_all()
        frame.set_no_show_all(True)
        return frame

    def _make_wording(self) -> Gtk.Widget:
        self._new = Gtk.Entry(placeholder_text="Other words", hexpand=True, width_chars=10)
        self._new.connect("activate", self._on_swap)
        self._new.connect("changed", lambda _: self._allow())
        swap = self._button("Swap", "Puts these words in the place of this one (Return)", self._on_swap)
        before = self._button("Add before", "Puts these words before this one", self._on_before)
        after = self._button("Add after", "Puts these words after this one", self._on_after)
        remove = self._button("Remove word", "Takes this word out of the prompt", self._on_remove)
        self._wording = [swap, before, after]
        grid = Gtk.Grid(row_spacing=6, column_spacing=6, column_homogeneous=True)
        grid.attach(self._new, 0, 0, 2, 1)
        for place, button in (((2, 0), swap), ((0, 1), before), ((1, 1), after), ((2, 1), remove)):
            grid.attach(button, *place, 1, 1)
        return grid

    def _fill_strip(self, chosen: Chip | None) -> None:
        if chosen is None:
            return
        name = f"{chosen.word.text} ({chosen.word.which})" if chosen.word.which > 1 else chosen.word.text
        self._name.set_text(name)
        self._reset.set_sensitive(chosen.is_set)
        for editor in self._editors:
            editor.show(self._settings.get(chosen.word, editor.setting))
        self._allow()

    def _allow(self) -> None:
        for button in self._wording:
            button.set_sensitive(bool(self._new.get_text().strip()))

    def _on_set(self, setting: Field, value: object) -> None:
        chosen = self._settings.chosen()
        if self._is_filling or chosen is None:
            return
        self._settings.set(chosen.word, setting, value)
        self._changed()
        self.refresh()

    def _on_reset(self, *_: object) -> None:
        self._settings.reset(self._settings.chosen().word)
        self._changed()
        self.refresh()

    def _on_select(self, *_: object) -> None:
        self._select(self._settings.chosen().word)

    # the wording ----------------------------------------------------------

    def _on_swap(self, *_: object) -> None:
        new = self._take_new()
        if new:
            word = self._settings.chosen().word
            self._settings.swap(word, new)
            self._replace(word.start, word.end, new)

    def _on_before(self, *_: object) -> None:
        start = self._settings.chosen().word.start
        self._replace(start, start, f"{self._take_new()} ")

    def _on_after(self, *_: object) -> None:
        end = self._settings.chosen().word.end
        self._replace(end, end, f" {self._take_new()}")

    def _on_remove(self, *_: object) -> None:
        word, prompt = self._settings.chosen().word, self._settings.prompt
        self._settings.reset(word)
        before = word.start > 0 and prompt[word.start - 1] == " "
        after = not before and prompt[word.end : word.end + 1] == " "
        self._replace(word.start - before, word.end + after, "")

    def _take_new(self) -> str:
        new = self._new.get_text().strip()
        self._new.set_text("")
        return new

    def _replace(self, start: int, end: int, new: str) -> None:
        """One change of the prompt, which the person can undo where GTK can."""
        buffer = self._buffer
        buffer.begin_user_action()
        buffer.delete(buffer.get_iter_at_offset(start), buffer.get_iter_at_offset(end))
        buffer.insert(buffer.get_iter_at_offset(start), new)
        buffer.end_user_action()

    def _on_insert(self, _buffer: Gtk.TextBuffer, place: Gtk.TextIter, text: str, _length: int) -> None:
        self._settings.splice(place.get_offset(), 0, text)

    def _on_delete(self, _buffer: Gtk.TextBuffer, start: Gtk.TextIter, end: Gtk.TextIter) -> None:
        self._settings.splice(start.get_offset(), end.get_offset() - start.get_offset(), "")

    def _on_edited(self) -> None:
        self._changed()
        self.refresh()

    def _button(self, label: str, tooltip: str, work: Callable) -> Gtk.Button:
        button = Gtk.Button(label=label, tooltip_text=tooltip)
        self._dress(button, "velatura-small")
        button.connect("clicked", work)
        return button

    def _dress(self, widget: Gtk.Widget, name: str = "") -> None:
        context = widget.get_style_context()
        if name:
            context.add_class(name)
        context.add_provider(self._style, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)
