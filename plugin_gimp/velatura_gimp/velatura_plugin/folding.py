"""A window's parts side by side, or below each other where it is narrow. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import GLib, Gtk

LEAST = 260  # pixels of height of a list that stands below the form
SIDE_BY_SIDE, STACKED = Gtk.Orientation.HORIZONTAL, Gtk.Orientation.VERTICAL


class Folding(Gtk.ScrolledWindow):
    """Two columns: `left`, and `right`, which comes below it first. Then the two parts of `inner` stand below
    each other, and at last everything scrolls.

    Args:
        left, right: the columns.
        inner: returns the box within `left` whose parts are beside each other; None where there is none yet.
    """

    def __init__(self, left: Gtk.Widget, right: Gtk.Widget, inner: Callable[[], Gtk.Box | None]) -> None:
        super().__init__()
        self._left, self._right, self._inner = left, right, inner
        self._width = 0
        self._line = Gtk.Separator(orientation=STACKED)
        self._both = both = Gtk.Box(spacing=12, margin=12)
        both.pack_start(left, True, True, 0)
        both.pack_start(self._line, False, False, 0)
        both.pack_start(right, False, False, 0)
        self.add(both)
        self.set_policy(Gtk.PolicyType.AUTOMATIC, Gtk.PolicyType.AUTOMATIC)
        self.connect("size-allocate", self._on_size)

    @property
    def width(self) -> int:
        """The pixels for all parts side by side."""
        right = self._right.get_preferred_width()[0] + self._line.get_preferred_width()[0]
        return self._folded + right + 2 * self._both.get_spacing()

    @property
    def _folded(self) -> int:
        """The pixels for the parts of the left column side by side."""
        inner = self._inner()
        parts = inner.get_children() if inner is not None else []
        widths = sum(part.get_preferred_width()[0] for part in parts)
        gaps = inner.get_spacing() * (len(parts) - 1) if parts else 0
        return widths + gaps + 2 * self._both.get_margin_start()

    def fold(self) -> bool:
        """Gives every part its place in the present width; to be called again where a part was changed."""
        inner = self._inner()
        is_wide = self._width >= self.width
        self._both.set_orientation(SIDE_BY_SIDE if is_wide else STACKED)
        self._line.set_orientation(STACKED if is_wide else SIDE_BY_SIDE)
        self._right.set_size_request(-1, -1 if is_wide else LEAST)
        if inner is not None:
            inner.set_orientation(SIDE_BY_SIDE if self._width >= self._folded else STACKED)
            for part in inner.get_children():
                if isinstance(part, Gtk.ScrolledWindow):  # only there it scrolls by itself
                    part.set_propagate_natural_height(not is_wide)
        policy = Gtk.ScrollablePolicy.MINIMUM if is_wide else Gtk.ScrollablePolicy.NATURAL
        self.get_child().set_vscroll_policy(policy)
        return False

    def _on_size(self, _: Gtk.Widget, place: object) -> None:
        if place.width != self._width:
            self._width = place.width
            GLib.idle_add(self.fold)
