"""A widget for one setting of a word. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import GimpUi, Gtk

from velatura_protocol.amounts import decimals, step_of
from velatura_protocol.schema import Field

from .raster_form import Layers, RasterCombo


class Editor:
    """A widget for one setting. on_set(setting, value): called with the person's value. layers: the image's
    layers, for a raster."""

    def __init__(
        self, setting: Field, on_set: Callable[[Field, object], None], layers: Layers = list
    ) -> None:
        self.setting, self._layers = setting, layers
        self._on_set = on_set
        self.raster: RasterCombo | None = None
        self.widget = {
            "integer": self._slider,
            "number": self._slider,
            "boolean": self._check,
            "enum": self._combo,
            "string": self._entry,
            "raster": self._raster,
        }[setting.kind]()
        self.widget.set_tooltip_text(setting.description)

    def show(self, value: object) -> None:
        """Shows a value."""
        self._put(value)

    def _slider(self) -> Gtk.Widget:
        setting = self.setting
        whole = setting.kind == "integer"
        step = step_of(setting)
        adjustment = Gtk.Adjustment(
            value=setting.default, lower=setting.minimum, upper=setting.maximum, step_increment=step,
            page_increment=4 * step,
        )  # fmt: skip
        scale = GimpUi.SpinScale.new(adjustment, setting.title, decimals(step))
        self._put = adjustment.set_value
        convert = round if whole else float
        adjustment.connect("value-changed", lambda a: self._on_set(setting, convert(a.get_value())))
        return scale

    def _check(self) -> Gtk.Widget:
        check = Gtk.CheckButton(label=self.setting.title)
        self._put = check.set_active
        check.connect("toggled", lambda c: self._on_set(self.setting, c.get_active()))
        return check

    def _combo(self) -> Gtk.Widget:
        combo = Gtk.ComboBoxText()
        for value, title in self.setting.choices:
            combo.append(value, title or value)
        self._put = combo.set_active_id
        combo.connect("changed", lambda c: self._on_set(self.setting, c.get_active_id()))
        return _labelled(self.setting.title, combo)

    def _raster(self) -> Gtk.Widget:
        on_set = lambda choice: self._on_set(self.setting, choice)  # noqa: E731
        self.raster = RasterCombo(self.setting, self._layers, on_set)
        self._put = self.raster.choose
        return _labelled(self.setting.title, self.raster)

    def _entry(self) -> Gtk.Widget:
        entry = Gtk.Entry(max_length=self.setting.max_length)
        self._put = lambda text: entry.get_text() == text or entry.set_text(text)
        entry.connect("changed", lambda e: self._on_set(self.setting, e.get_text()))
        return _labelled(self.setting.title, entry)


def _labelled(title: str, widget: Gtk.Widget) -> Gtk.Widget:
    box = Gtk.Box(spacing=6)
    box.pack_start(Gtk.Label(label=title), False, False, 0)
    box.pack_start(widget, True, True, 0)
    return box
