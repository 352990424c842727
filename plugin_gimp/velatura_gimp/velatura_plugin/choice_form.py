"""A list to choose one value from. Needs a window.

GIMP's own choices take the default for a value that they do not know, so a script would get another model
than it names; the procedures therefore take texts, which this shows as a list.
"""

from __future__ import annotations

from gi.repository import Gimp, Gtk, Pango

from .form import Argument

CHARACTERS = 24  # of an entry's title that are shown


class ChoiceForm(Gtk.ComboBoxText):
    """The values of `argument`, an enum, which is kept in the procedure's configuration."""

    def __init__(self, config: Gimp.ProcedureConfig, argument: Argument) -> None:
        super().__init__()
        self._config, self._name, self._field = config, argument.name, argument.field
        for cell in self.get_cells():
            cell.set_property("ellipsize", Pango.EllipsizeMode.END)
            cell.set_property("width-chars", CHARACTERS)
        self.set_tooltip_text(argument.field.description)
        for value, title in argument.field.choices:
            self.append(value, title or value)
        self._show()
        self.connect("changed", lambda *_: self._keep())
        self._keep()  # a value that there is no more
        config.connect(f"notify::{self._name}", lambda *_: self._show())
        self.show()

    def _show(self) -> None:
        values = [value for value, _ in self._field.choices]
        value = self._config.get_property(self._name)
        self.set_active(values.index(value if value in values else self._field.default))

    def _keep(self) -> None:
        value = self._field.choices[self.get_active()][0]
        if value != self._config.get_property(self._name):
            self._config.set_property(self._name, value)
