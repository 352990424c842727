"""A group of dials in a dialog: each a slider with the texts it leads between. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gdk, Gimp, GimpUi, Gtk

from velatura_protocol import dials
from velatura_protocol.amounts import decimals, step_of
from velatura_protocol.preset_shelves import DialShelf
from velatura_protocol.schema import Field
from velatura_protocol.word_settings import DIGITS

from .form import Argument
from .list_form import ListForm, Row
from .preset_menu import PresetMenu, state_dir
from .raster_form import Layers
from .style import add_item, dress, icon_button, small_button
from .word_editor import Editor


class DialRow(Row):
    """A dial: a slider with its title, its texts below it, and its other settings folded away.

    more: holds the other settings; None where there are none.
    """

    def __init__(
        self, field: Field, entry: dict, changed: Callable[[bool], None], layers: Layers = list
    ) -> None:
        super().__init__(entry, changed)
        self._typed = False  # since a text was last meant as it stood
        head = Gtk.Box(spacing=2)
        head.pack_start(self._make_slider(field), True, True, 0)
        reset = icon_button("gimp-reset", "Sets it to where it changes nothing")
        reset.connect("clicked", lambda _: self._turn.set_value(dials.rest(field)))
        for button in (reset, self.tools):
            head.pack_start(button, False, False, 0)
        self.pack_start(head, False, False, 0)
        self.texts = {key: self._make_text(key, part) for key, part in dials.strings(field).items()}
        texts = Gtk.Box(spacing=4, homogeneous=False)
        for key, entry_widget in self.texts.items():
            if key == "more":
                texts.pack_start(Gtk.Label(label="→"), False, False, 0)
            texts.pack_start(entry_widget, True, True, 0)
        self.pack_start(texts, False, False, 0)
        others = [part for part in field.fields if part.kind != "string" and part.key != "strength"]
        self.more = self._make_others(others, layers) if others else None

    def _make_others(self, others: list[Field], layers: Layers) -> Gtk.Expander:
        """The other settings, open where one of them has been changed."""
        inner = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        for part in others:
            editor = Editor(part, lambda part, value: self.set(part.key, value, True), layers)
            editor.show(self.entry[part.key])
            if editor.raster is not None:  # drops the choice of a deleted layer
                self.entry = {**self.entry, part.key: editor.raster.chosen}
            inner.pack_start(editor.widget, False, False, 0)
        more = Gtk.Expander(label="More settings")
        more.set_expanded(any(self.entry[part.key] != part.default for part in others))
        more.add(inner)
        self.pack_start(more, False, False, 0)
        return more

    def _make_slider(self, field: Field) -> Gtk.Widget:
        part = dials.strength(field)
        step = step_of(part)
        self._turn = Gtk.Adjustment(
            value=self.entry["strength"], lower=part.minimum, upper=part.maximum, step_increment=step,
            page_increment=5 * step,
        )  # fmt: skip
        self._turn.connect("value-changed", self._on_turned)
        self.slider = GimpUi.SpinScale.new(self._turn, dials.title(self.entry), decimals(step))
        self.slider.set_tooltip_text(part.description)
        return self.slider

    def _make_text(self, key: str, part: Field) -> Gtk.Entry:
        text = Gtk.Entry(
            text=self.entry[key], max_length=part.max_length, tooltip_text=part.description, width_chars=9,
            placeholder_text=part.title,
        )  # fmt: skip
        dress(text, "velatura-low")
        text.connect("changed", self._on_typed, key)
        text.connect("activate", self._on_meant)
        text.connect("focus-out-event", self._on_meant)
        return text

    def _on_turned(self, turn: Gtk.Adjustment) -> None:
        self.set("strength", round(turn.get_value(), DIGITS), True)

    def _on_typed(self, text: Gtk.Entry, key: str) -> None:
        self._typed = self._typed or key != "name"  # a name changes no picture
        self.set(key, text.get_text(), False)
        self.slider.set_label(dials.title(self.entry))

    def _on_meant(self, *_: object) -> bool:
        if self._typed:
            self._typed = False
            self.changed(True)
        return False


class DialForm(ListForm):
    """`argument`, a group of dials.

    caption: returns the caption, whose words are offered. say: shows a sentence. layers: as in `ListForm`.
    """

    def __init__(
        self,
        config: Gimp.ProcedureConfig,
        argument: Argument,
        caption: Callable[[], str],
        say: Callable[[str], None],
        layers: Layers = list,
    ) -> None:
        self._caption = caption
        super().__init__(config, argument, layers)
        shelf = DialShelf(state_dir(), argument.field, lambda: self.entries, self.replace)
        presets = PresetMenu(shelf, say)
        self.head.pack_end(presets, False, False, 0)
        presets.show_all()

    def make_add_button(self) -> Gtk.Widget:
        """Opens a menu with the words of the caption."""
        return small_button("Add ▾", "Makes a dial of a word of the caption, or of other words", self._on_add)

    def make_row(self, entry: dict, changed: Callable[[bool], None]) -> Row:
        """A dial."""
        return DialRow(self._argument.field, entry, changed, self._layers)

    def _on_add(self, button: Gtk.Button) -> None:
        menu = Gtk.Menu(attach_widget=button)
        for word in dials.offered(self._caption(), self.entries):
            add_item(menu, word, lambda _, word=word: self._add_word(word))
        if menu.get_children():
            menu.append(Gtk.SeparatorMenuItem())
        add_item(menu, "Other words…", lambda _: self._add_empty())
        menu.show_all()
        menu.popup_at_widget(button, Gdk.Gravity.SOUTH_WEST, Gdk.Gravity.NORTH_WEST, None)

    def _add_word(self, word: str) -> None:
        row = self.add(dials.new(self._argument.field, more=word))
        row.slider.grab_focus()

    def _add_empty(self) -> None:
        row = self.add(dials.new(self._argument.field))
        row.texts["less"].grab_focus()
