"""The style of the plug-in's own widgets in GIMP's themes. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gtk, Pango

_STYLE = b"""
.velatura-chip { padding: 2px 8px; min-height: 0; min-width: 0; border-radius: 11px; font-weight: normal; }
.velatura-chip:checked { background-image: none; background-color: alpha(currentColor, 0.25);
                         box-shadow: inset 0 0 0 1px currentColor; }
.velatura-set { font-weight: bold; }
.velatura-clear { background: none; }
.velatura-small { padding: 3px 8px; min-height: 0; min-width: 0; }
.velatura-low { padding-top: 2px; padding-bottom: 2px; min-height: 0; }
.velatura-cell { padding: 2px; border: 2px solid transparent; border-radius: 4px; }
.velatura-chosen { border-color: alpha(currentColor, 0.55); }
.velatura-strip:focus .velatura-chosen { border-color: #3584e4; }
.velatura-offer { padding: 2px 8px; min-height: 0; font-weight: normal; }
.velatura-picked { background-image: none; background-color: alpha(currentColor, 0.2); }
.velatura-icon { padding: 3px; min-height: 0; min-width: 0; }
"""
_PROVIDER = Gtk.CssProvider()
_PROVIDER.load_from_data(_STYLE)


def dress(widget: Gtk.Widget, name: str) -> None:
    """Gives a widget the style of a class above."""
    context = widget.get_style_context()
    context.add_class(name)
    context.add_provider(_PROVIDER, Gtk.STYLE_PROVIDER_PRIORITY_APPLICATION)


def small_button(label: str, tooltip: str, work: Callable) -> Gtk.Button:
    """A button that takes little room."""
    button = Gtk.Button(label=label, tooltip_text=tooltip)
    dress(button, "velatura-small")
    button.connect("clicked", work)
    return button


def icon_button(icon: str, tooltip: str) -> Gtk.Button:
    """A flat button with one of GIMP's icons; screen readers get the tooltip."""
    button = Gtk.Button.new_from_icon_name(icon, Gtk.IconSize.MENU)
    button.set_relief(Gtk.ReliefStyle.NONE)
    button.set_tooltip_text(tooltip)
    button.get_accessible().set_name(tooltip)
    dress(button, "velatura-icon")
    return button


def add_item(menu: Gtk.Menu, label: str, work: Callable) -> Gtk.MenuItem:
    """Adds an item to the end of a menu."""
    item = Gtk.MenuItem(label=label)
    item.connect("activate", work)
    menu.append(item)
    return item


def weigh(label: Gtk.Label, weight: Pango.Weight) -> None:
    """Sets the weight of a label's text, since GIMP's themes show a check button's like a heading."""
    attributes = Pango.AttrList()
    attributes.insert(Pango.attr_weight_new(weight))
    label.set_attributes(attributes)
