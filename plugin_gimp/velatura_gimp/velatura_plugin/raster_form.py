"""The choice of a layer, the selection or nothing for a raster of a method. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gimp, Gtk, Pango

from velatura_protocol.choices import layer_of, of_layer, offers
from velatura_protocol.schema import Field

from .form import Argument

Layers = Callable[[], list[tuple[str, str]]]  # (id, name) of the image's layers, from top to bottom

CHARACTERS = 24  # of a layer's name that are shown


class RasterCombo(Gtk.ComboBoxText):
    """A combo box that lists the layers anew each time it is opened. on_set(choice): called with the person's
    choice. chosen: the present choice.
    """

    def __init__(self, field: Field, layers: Layers, on_set: Callable[[str | None], None]) -> None:
        super().__init__()
        self._field, self._layers, self._on_set = field, layers, on_set
        self._is_filling = False
        self._offered: list[str | None] = []
        self.chosen: str | None = None
        for cell in self.get_cells():
            cell.set_property("ellipsize", Pango.EllipsizeMode.END)
            cell.set_property("width-chars", CHARACTERS)
        self.set_tooltip_text(field.description)
        self.choose(None)
        self.connect("changed", self._on_changed)
        self.connect("notify::popup-shown", self._on_popup)

    def choose(self, choice: str | None) -> None:
        """Shows a choice; nothing where it does not exist. A layer's name alone is a choice too."""
        self._fill(choice)

    def _fill(self, choice: str | None) -> None:
        entries = offers(self._field, self._layers())
        self._offered = [offered for offered, _ in entries]
        if choice is not None and choice not in self._offered and not layer_of(choice):
            choice = of_layer(choice)
        self.chosen = choice if choice in self._offered else None
        self._is_filling = True
        self.remove_all()
        for _, title in entries:
            self.append_text(title)
        self.set_active(self._offered.index(self.chosen))
        self._is_filling = False

    def _on_popup(self, *_: object) -> None:
        if self.get_property("popup-shown"):
            before = self.chosen
            self._fill(before)
            if self.chosen != before:
                self._on_set(self.chosen)

    def _on_changed(self, *_: object) -> None:
        at = self.get_active()
        if not self._is_filling and at >= 0 and self._offered[at] != self.chosen:
            self.chosen = self._offered[at]
            self._on_set(self.chosen)


class RasterForm(RasterCombo):
    """`argument`, a raster of the method itself, as it is kept in the procedure's configuration."""

    def __init__(self, config: Gimp.ProcedureConfig, argument: Argument, layers: Layers) -> None:
        self._config, self._name = config, argument.name
        super().__init__(argument.field, layers, self._keep)
        self.choose(config.get_property(self._name) or None)
        self._keep(self.chosen)  # drops a layer of another image
        self.show()
        config.connect(f"notify::{argument.name}", lambda *_: self._show())

    def _keep(self, choice: str | None) -> None:
        if (choice or "") != (self._config.get_property(self._name) or ""):
            self._config.set_property(self._name, choice or "")

    def _show(self) -> None:
        value = self._config.get_property(self._name) or None
        if value != self.chosen:
            self.choose(value)
