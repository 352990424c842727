"""A window's parts side by side, or below each other where it is narrow. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import GLib, Gtk

LEAST = 260  # pixels of height of a list that stands below the form
SIDE_BY_SIDE, STACKED = Gtk.Orientation.HORIZONTAL, Gtk.Orientation.VERTICAL


class Folding(Gtk.Box):
    """Two columns: `left`, and `right`, which comes below it first. Then the two parts of `inner` stand below
    each other, and at last everything scrolls but `bar`, which stays in sight at the end.

    Args:
        left, right: the columns.
        bar: has its place in the left column where the columns are beside each other.
        place: the number of that place.
        inner: returns the box within `left` whose parts are beside each other; None where there is none yet.
    """

    def __init__(
        self,
        left: Gtk.Box,
        right: Gtk.Widget,
        bar: Gtk.Widget,
        place: int,
        inner: Callable[[], Gtk.Box | None],
    ) -> None:
        super().__init__(orientation=STACKED)
        self._left, self._right, self._inner = left, right, inner
        self._bar, self._place = bar, place
        self._width = 0
        self._line = Gtk.Separator(orientation=STACKED)
        self._both = both = Gtk.Box(spacing=12, margin=12)
        both.pack_start(left, True, True, 0)
        both.pack_start(self._line, False, False, 0)
        both.pack_start(right, False, False, 0)
        self._room = room = Gtk.ScrolledWindow()
        room.set_policy(Gtk.PolicyType.AUTOMATIC, Gtk.PolicyType.AUTOMATIC)
        room.add(both)
        self._foot = Gtk.Box(margin_start=12, margin_end=12)
        self.pack_start(room, True, True, 0)
        self.pack_start(self._foot, False, False, 0)
        self._put_bar(left)
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
        self._room.get_child().set_vscroll_policy(policy)
        # The window grows to what it must show of all parts side by side.
        scrolls = Gtk.PolicyType.NEVER if is_wide else Gtk.PolicyType.AUTOMATIC
        self._room.set_policy(Gtk.PolicyType.AUTOMATIC, scrolls)
        self._put_bar(self._left if is_wide else self._foot)
        return False

    def _put_bar(self, box: Gtk.Box) -> None:
        before = self._bar.get_parent()
        if before is box:
            return
        if before is not None:
            before.remove(self._bar)
        box.pack_start(self._bar, box is self._foot, True, 0)
        if box is self._left:
            box.reorder_child(self._bar, self._place)
        self._foot.set_margin_bottom(12 if box is self._foot else 0)
        self._foot.set_margin_top(6 if box is self._foot else 0)

    def _on_size(self, _: Gtk.Widget, place: object) -> None:
        if place.width != self._width:
            self._width = place.width
            GLib.idle_add(self.fold)
