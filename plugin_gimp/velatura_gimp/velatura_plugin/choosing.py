"""The question for the source layer of a result, where it is uncertain. Needs a window."""

from __future__ import annotations

from collections.abc import Sequence

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")

from gi.repository import Gimp, GimpUi, Gtk, Pango  # noqa: E402

from .capture import at_once, look  # noqa: E402
from .side import fitted, pixbuf  # noqa: E402
from .sight import Sight  # noqa: E402
from .style import dress  # noqa: E402

SIZE = 64  # pixels a side of a layer's picture
WIDTH, HEIGHT = 420, 400  # pixels; of the list at most so high


def choose(doubtful: Sequence[Gimp.Layer], others: Sequence[Gimp.Layer]) -> Gimp.Layer | None:
    """The layer that the person chooses; None where they cancel. doubtful: the possible sources. others: the
    layers to choose from where there is none.
    """
    GimpUi.init("velatura_gimp")
    dialog = Gtk.Dialog(title="Which Layer?")
    dialog.add_buttons("_Cancel", Gtk.ResponseType.CANCEL, "C_hoose", Gtk.ResponseType.OK)
    dialog.set_default_response(Gtk.ResponseType.OK)
    GimpUi.window_set_transient(dialog)
    if len(doubtful) > 1:
        asked = "This result may have been made from any of these layers. Which one should be edited again?"
    elif doubtful:
        asked = "The layer this result was made from is gone. Should this copy of it be edited instead?"
    else:
        asked = "The layer this result was made from is not here. Which one should be edited instead?"
    question = Gtk.Label(label=asked, xalign=0.0, wrap=True, max_width_chars=50)
    layers = doubtful or others
    listed = _List(layers)
    listed.box.connect("row-activated", lambda *_: dialog.response(Gtk.ResponseType.OK))
    room = Gtk.ScrolledWindow(
        hscrollbar_policy=Gtk.PolicyType.NEVER, propagate_natural_height=True, max_content_height=HEIGHT
    )
    room.set_size_request(WIDTH, -1)
    room.set_overlay_scrolling(False)  # shows that the list goes on
    room.add(listed.box)
    frame = Gtk.Frame()
    frame.add(room)
    content = dialog.get_content_area()
    content.set_spacing(12)
    content.set_border_width(12)
    content.pack_start(question, False, False, 0)
    content.pack_start(frame, True, True, 0)
    content.show_all()
    listed.box.get_selected_row().grab_focus()
    try:
        answer = dialog.run()
        return layers[listed.box.get_selected_row().get_index()] if answer == Gtk.ResponseType.OK else None
    finally:
        dialog.destroy()


class _List:
    """The layers, each with its picture, its name, and the group it is in."""

    def __init__(self, layers: Sequence[Gimp.Layer]) -> None:
        self.box = Gtk.ListBox(selection_mode=Gtk.SelectionMode.BROWSE, activate_on_single_click=False)
        for layer in layers:
            self.box.add(_row(layer))
        self.box.select_row(self.box.get_row_at_index(0))


def _row(layer: Gimp.Layer) -> Gtk.Widget:
    picture = Gtk.Image()
    picture.set_size_request(SIZE, SIZE)
    found = at_once(look(Sight(layer.get_image(), layer)))
    if found is not None:
        picture.set_from_pixbuf(fitted(pixbuf(found), *found.rect[2:], SIZE))
    words = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2, valign=Gtk.Align.CENTER)
    words.add(Gtk.Label(label=layer.get_name(), xalign=0.0, ellipsize=Pango.EllipsizeMode.MIDDLE))
    about = Gtk.Label(label=_about(layer), xalign=0.0, ellipsize=Pango.EllipsizeMode.MIDDLE)
    about.get_style_context().add_class("dim-label")
    words.add(about)
    for part in (words, *words.get_children()):
        dress(part, "velatura-clear")
    row = Gtk.Box(spacing=12, margin=6)
    row.pack_start(picture, False, False, 0)
    row.pack_start(words, True, True, 0)
    return row


def _about(layer: Gimp.Layer) -> str:
    """A layer's group and size, since two layers may look alike."""
    group = layer.get_parent()
    size = f"{layer.get_width()} × {layer.get_height()} pixels"
    place = f"in “{group.get_name()}”, " if group is not None else ""
    return f"{place}{size}{'' if layer.get_visible() else ', hidden'}"
