"""The words of a prompt as chips, and a strip of settings for the chosen one. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gtk, Pango

from velatura_protocol.marks import Edit
from velatura_protocol.schema import Field
from velatura_protocol.word_settings import FULL, Chip, Value, WordSettings, clean
from velatura_protocol.words import Word

from .flow import Flow
from .raster_form import Layers
from .style import dress, small_button, weigh
from .text_undo import cursor_of, on_edited, splice, text_of
from .word_editor import Editor


class WordStrip(Gtk.Box):
    """The words of the prompt in `buffer`, each with its settings from `settings`.

    changed: called after a setting has changed. say: shows a sentence. select, dial: select a word, and make
    it a dial; None where no method can. strip: laid out by the owner; it is always there, so that nothing
    moves when a word is chosen.
    """

    def __init__(
        self,
        settings: WordSettings,
        buffer: Gtk.TextBuffer,
        changed: Callable[[], None],
        say: Callable[[str], None],
        select: Callable[[Word], None] | None,
        dial: Callable[[Word], None] | None = None,
        layers: Layers = list,
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._layers = layers
        self._settings, self._buffer, self._changed, self._say = settings, buffer, changed, say
        self._select, self._dial = select, dial
        self._chips: list[Chip] = []
        self._is_list = settings.is_list
        self._is_filling = False
        self._flow = Flow()
        self._hint = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=40)
        self._hint.get_style_context().add_class("dim-label")
        self.strip = self._make_strip()
        for part in (self._flow, self._hint):
            self.pack_start(part, False, False, 0)
        self.show_all()
        on_edited(buffer, self._on_edited)
        self.refresh()

    def refresh(self) -> None:
        """Shows the present settings."""
        chips, chosen = self._settings.chips(), self._settings.chosen()
        if [chip.word for chip in chips] != [chip.word for chip in self._chips]:
            self._lay_out(chips)
        self._chips = chips
        self._is_filling = True
        for chip, button in zip(chips, self._flow.get_children(), strict=True):
            button.set_label(chip.word.text if self._is_list else chip.label)
            button.set_tooltip_text(chip.about or None)
            button.set_active(chip.is_set if self._is_list else chip.is_chosen)
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
            self._set(word, self._settings.settings[0], button.get_active())
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
        self._reset = small_button("Reset", "Sets this word back to normal", self._on_reset)
        head = Gtk.Box(spacing=6)
        head.pack_start(self._name, True, True, 0)
        if self._dial is not None:
            about = "Turns this word into a dial: a slider that turns it up or down"
            head.pack_start(small_button("Make dial", about, self._on_dial), False, False, 0)
        if self._select is not None:
            head.pack_start(self.select_button, False, False, 0)
        head.pack_start(self._reset, False, False, 0)
        self._head = Gtk.Stack()  # as high as the higher of both, so that nothing below it moves
        self._head.add_named(hint, "hint")
        self._head.add_named(head, "word")
        box.pack_start(self._head, False, False, 0)
        settings = () if self._is_list else self._settings.settings
        self._editors = [Editor(setting, self._on_set, self._layers) for setting in settings]
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
        swap = small_button("Swap", "Replaces this word by these (Return)", self._on_swap)
        before = small_button("Add before", "Puts these words before this one", self._on_before)
        after = small_button("Add after", "Puts these words after this one", self._on_after)
        remove = small_button("Remove", "Removes this word from the prompt", self._on_remove)
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
        self._name.set_text(chosen.word.called)
        self._reset.set_sensitive(chosen.is_set)
        for editor in self._editors:
            editor.show(chosen.values[editor.setting.key])
        self._allow()

    def _allow(self) -> None:
        for button in self._wording:
            button.set_sensitive(bool(self._new.get_text().strip()))

    def _on_set(self, setting: Field, value: Value) -> None:
        chosen = self._settings.chosen()
        if self._is_filling or chosen is None:
            return
        self._set(chosen.word, setting, value)
        self.refresh()

    def _set(self, word: Word, setting: Field, value: Value) -> None:
        if self._settings.set(word, {setting.key: value}):
            self._changed()
        else:
            self._say(FULL.format(self._settings.field.max_items))

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
            self._rewrite(self._settings.swap(self._settings.chosen().word, new))

    def _on_before(self, *_: object) -> None:
        self._rewrite(self._settings.add(self._settings.chosen().word, self._take_new(), before=True))

    def _on_after(self, *_: object) -> None:
        self._rewrite(self._settings.add(self._settings.chosen().word, self._take_new(), before=False))

    def _on_remove(self, *_: object) -> None:
        self._rewrite(self._settings.remove(self._settings.chosen().word))

    def _take_new(self) -> str:
        new = clean(self._new.get_text())
        self._new.set_text("")
        return new

    def _rewrite(self, edit: Edit) -> None:
        """Makes the prompt's edit in the buffer."""
        splice(self._buffer, edit.start, edit.old_end, self._settings.prompt[edit.start : edit.new_end])

    def _on_edited(self) -> None:
        self._settings.follow(text_of(self._buffer), cursor_of(self._buffer))
        self._changed()
        self.refresh()
