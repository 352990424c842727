"""A seed as GIMP shows seeds: a number, a button for another one, and a box for a new one each time.

GIMP's own widget (`GimpUi.random_seed_new`) writes to addresses in memory, so Python cannot use it. Needs a
window.
"""

from __future__ import annotations

import random

from gi.repository import Gimp, Gtk, Pango

from .form import Argument
from .style import weigh

CHANCE = -1  # the value that takes a new seed each time


class SeedForm(Gtk.Box):
    """`argument`, a seed of at least `CHANCE`, as it is kept in the procedure's configuration."""

    def __init__(self, config: Gimp.ProcedureConfig, argument: Argument) -> None:
        super().__init__(spacing=6)
        self._config, self._name = config, argument.name
        self._most = int(argument.field.maximum or 0)
        self._number = Gtk.SpinButton.new_with_range(0, self._most, 1)
        self._number.set_tooltip_text(argument.field.description)
        self._number.set_activates_default(True)
        self._number.get_accessible().set_name(argument.field.title)
        new = Gtk.Button(label="New Seed", tooltip_text="Take another seed and keep it")
        self._chance = Gtk.CheckButton(label="Randomize", tooltip_text="Take a new seed each time")
        weigh(self._chance.get_child(), Pango.Weight.NORMAL)
        for part in (self._number, new, self._chance):
            self.pack_start(part, False, False, 0)
        self._show()
        self._number.connect("value-changed", lambda _: self._keep())
        self._chance.connect("toggled", lambda _: self._keep())
        new.connect("clicked", lambda _: self._draw())
        config.connect(f"notify::{self._name}", lambda *_: self._show())
        self.show_all()

    def _show(self) -> None:
        value = self._config.get_property(self._name)
        self._chance.set_active(value == CHANCE)
        self._number.set_sensitive(value != CHANCE)
        if value != CHANCE:
            self._number.set_value(value)

    def _keep(self) -> None:
        value = CHANCE if self._chance.get_active() else self._number.get_value_as_int()
        if value != self._config.get_property(self._name):
            self._config.set_property(self._name, value)

    def _draw(self) -> None:
        """Takes a seed by chance; the notification shows it."""
        self._config.set_property(self._name, random.randrange(self._most + 1))
