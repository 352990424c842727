"""The words of a prompt as chips, and a strip of settings for the chosen one. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gtk, Pango

from velatura_protocol.schema import Field
from velatura_protocol.words import Word

from .flow import Flow
from .raster_form import Layers
from .style import dress, small_button, weigh
from .text_undo import on_edited, splice
from .word_editor import Editor
from .word_settings import Chip, WordSettings


class WordStrip(Gtk.Box):
    """The words of the prompt in `buffer`, each with what is set for it, kept in `settings`.

    changed: called after something has been set. select, dial: asked to select a word, and to make a dial of
    it, or None where nobody can. strip: to be laid out by the owner; it is always there, so that nothing
    moves when a word is chosen.
    """

    def __init__(
        self,
        settings: WordSettings,
        buffer: Gtk.TextBuffer,
        changed: Callable[[], None],
        select: Callable[[Word], None] | None,
        dial: Callable[[Word], None] | None = None,
        layers: Layers = list,
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._layers = layers
        self._settings, self._buffer, self._changed = settings, buffer, changed
        self._select, self._dial = select, dial
        self._chips: list[Chip] = []
        self._is_list = not settings.settings
        self._is_filling = False
        self._flow = Flow()
        self._hint = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=40)
        self._hint.get_style_context().add_class("dim-label")
        self.strip = self._make_strip()
        for part in (self._flow, self._hint):
            self.pack_start(part, False, False, 0)
        self.show_all()
        buffer.connect("insert-text", self._on_insert)
        buffer.connect("delete-range", self._on_delete)
        on_edited(buffer, self._on_edited)  # in the middle of a swap the chosen word is gone
        self.refresh()

    def refresh(self) -> None:
        """Shows the settings as they are."""
        chips, chosen = self._settings.chips(), self._settings.chosen()
        if [chip.word for chip in chips] != [chip.word for chip in self._chips]:
            self._lay_out(chips)
        self._chips = chips
        self._is_filling = True
        for chip, button in zip(chips, self._flow.get_children(), strict=True):
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
        self._hint.set_visible(bool(self._hint.get_text()))

    # chips ----------------------------------------------------------------

    def _lay_out(self, chips: list[Chip]) -> None:
        for child in self._flow.get_children():
            child.destroy()
        for number, chip in enumerate(chips):
            button = Gtk.ToggleButton(label=chip.label)
            dress(button, "velatura-chip")
            button.connect("toggled", self._on_toggled, number)
            button.show()
            self._flow.add(button)

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
        if self._settings.chosen() is not None:
            self._editors[0].widget.grab_focus()

    def _hint_text(self, chips: list[Chip]) -> str:
        if not chips:
            return "Type a prompt; its words appear here."
        if self._is_list:
            return "" if any(chip.is_set for chip in chips) else "No word is chosen: all count."
        return ""

    # the strip ------------------------------------------------------------

    def _make_strip(self) -> Gtk.Widget:
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        hint = Gtk.Label(label="Click a word to change it.", xalign=0.0)
        self._name = Gtk.Label(xalign=0.0, ellipsize=Pango.EllipsizeMode.END)
        weigh(self._name, Pango.Weight.BOLD)
        self.select_button = small_button(
            "Select", "Finds this word in the layer and selects it", self._on_select
        )
        self._reset = small_button("Reset", "Takes away what is set for this word", self._on_reset)
        head = Gtk.Box(spacing=6)
        head.pack_start(self._name, True, True, 0)
        if self._dial is not None:
            about = "Turns this word into a dial: a slider for how much of it there is"
            head.pack_start(small_button("Make dial", about, self._on_dial), False, False, 0)
        if self._select is not None:
            head.pack_start(self.select_button, False, False, 0)
        head.pack_start(self._reset, False, False, 0)
        self._head = Gtk.Stack()  # as high as the higher of both, so that nothing below it moves
        self._head.add_named(hint, "hint")
        self._head.add_named(head, "word")
        box.pack_start(self._head, False, False, 0)
        self._editors = [Editor(part, self._on_set, self._layers) for part in self._settings.settings]
        for editor in self._editors:
            box.pack_start(editor.widget, False, False, 0)
        box.pack_start(self._make_wording(), False, False, 0)
        box.show_all()
        box.set_no_show_all(True)
        box.set_visible(not self._is_list)
        return box

    def _make_wording(self) -> Gtk.Widget:
        self._new = Gtk.Entry(placeholder_text="Other words", hexpand=True, width_chars=8)
        self._new.connect("activate", self._on_swap)
        self._new.connect("changed", lambda _: self._allow())
        swap = small_button("Swap", "Puts these words in the place of this one (Return)", self._on_swap)
        before = small_button("Add before", "Puts these words before this one", self._on_before)
        after = small_button("Add after", "Puts these words after this one", self._on_after)
        remove = small_button("Remove", "Takes this word out of the prompt", self._on_remove)
        self._wording = [swap, before, after]
        grid = Gtk.Grid(row_spacing=6, column_spacing=6, column_homogeneous=True)
        grid.attach(self._new, 0, 0, 2, 1)
        for place, button in (((2, 0), swap), ((0, 1), before), ((1, 1), after), ((2, 1), remove)):
            grid.attach(button, *place, 1, 1)
        return grid

    def _fill_strip(self, chosen: Chip | None) -> None:
        self.strip.set_sensitive(chosen is not None)
        self._head.set_visible_child_name("hint" if chosen is None else "word")
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

    def _on_dial(self, *_: object) -> None:
        self._dial(self._settings.chosen().word)

    # the wording ----------------------------------------------------------

    def _on_swap(self, *_: object) -> None:
        new = self._take_new()
        if new:
            word = self._settings.chosen().word
            self._settings.swap(word, new)
            splice(self._buffer, word.start, word.end, new)

    def _on_before(self, *_: object) -> None:
        start = self._settings.chosen().word.start
        splice(self._buffer, start, start, f"{self._take_new()} ")

    def _on_after(self, *_: object) -> None:
        end = self._settings.chosen().word.end
        splice(self._buffer, end, end, f" {self._take_new()}")

    def _on_remove(self, *_: object) -> None:
        word, prompt = self._settings.chosen().word, self._settings.prompt
        self._settings.reset(word)
        before = word.start > 0 and prompt[word.start - 1] == " "
        after = not before and prompt[word.end : word.end + 1] == " "
        splice(self._buffer, word.start - before, word.end + after, "")

    def _take_new(self) -> str:
        new = self._new.get_text().strip()
        self._new.set_text("")
        return new

    def _on_insert(self, _buffer: Gtk.TextBuffer, place: Gtk.TextIter, text: str, _length: int) -> None:
        self._settings.splice(place.get_offset(), 0, text)

    def _on_delete(self, _buffer: Gtk.TextBuffer, start: Gtk.TextIter, end: Gtk.TextIter) -> None:
        self._settings.splice(start.get_offset(), end.get_offset() - start.get_offset(), "")

    def _on_edited(self) -> None:
        self._changed()
        self.refresh()
