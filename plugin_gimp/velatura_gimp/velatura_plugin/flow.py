"""Widgets one after the other, and in the next line where a line is full, as words are. Needs a window."""

from __future__ import annotations

from gi.repository import Gdk, Gtk

GAP = 4  # pixels
LEAST = 240  # pixels of width that are asked for


class Flow(Gtk.Fixed):
    """A container that needs less height the wider it is. GTK's own FlowBox keeps to columns."""

    def do_get_request_mode(self) -> Gtk.SizeRequestMode:
        """GTK asks for the width first."""
        return Gtk.SizeRequestMode.HEIGHT_FOR_WIDTH

    def do_get_preferred_width(self) -> tuple[int, int]:
        """The least width."""
        return LEAST, LEAST

    def do_get_preferred_width_for_height(self, _height: int) -> tuple[int, int]:
        """The least width, for any height."""
        return LEAST, LEAST

    def do_get_preferred_height(self) -> tuple[int, int]:
        """The height at the least width."""
        return self.do_get_preferred_height_for_width(LEAST)

    def do_get_preferred_height_for_width(self, width: int) -> tuple[int, int]:
        """The height of all lines."""
        places = self._places(width)
        height = max((place.y + place.height for _, place in places), default=0)
        return height, height

    def do_size_allocate(self, room: Gdk.Rectangle) -> None:
        """Lays the children out."""
        self.set_allocation(room)
        for child, place in self._places(room.width):
            place.x, place.y = place.x + room.x, place.y + room.y
            child.size_allocate(place)

    def _places(self, width: int) -> list[tuple[Gtk.Widget, Gdk.Rectangle]]:
        """The place of each child in a flow of that width."""
        places = []
        x = y = line = 0
        for child in self.get_children():
            size = child.get_preferred_size()[1]
            if x and x + size.width > width:
                x, y, line = 0, y + line + GAP, 0
            place = Gdk.Rectangle()
            place.x, place.y, place.width, place.height = x, y, min(size.width, width), size.height
            places.append((child, place))
            x, line = x + size.width + GAP, max(line, size.height)
        return places
