"""The strip of a run: its candidates side by side, the best first. Needs a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gi.repository import Gdk, GdkPixbuf, Gtk

from velatura_protocol.candidates import Candidate
from velatura_protocol.strip import Cell, Strip

from .side import decoded, fitted
from .style import dress, small_button

SIDE = 84  # pixels of a thumbnail
KEYS = (
    "Left and Right choose; Enter keeps as a layer; Shift+Enter keeps, and goes on to the next; Delete "
    "drops, Ctrl+Z brings it back; S stars; hold B to see the picture before the edit."
)
EMPTY = "The results of a run appear here as they finish."


@dataclass
class Shelf:
    """The strip of a run, and the JPEGs of its candidates by their index."""

    strip: Strip
    pictures: dict[int, bytes] = field(default_factory=dict)

    def add(self, candidate: Candidate, picture: bytes) -> None:
        """Adds a candidate, or its newer state. picture: its JPEG, or b""."""
        self.strip.add(candidate)
        if picture:
            self.pictures[candidate.index] = picture


class StripView(Gtk.Box):
    """Shows a strip and takes its keys.

    Args:
        shown: called with the candidate to preview, and its thumbnail; None for the picture alone.
        compare: called with whether the picture before the edit is held in sight.
        keep: called with a candidate to insert.
        marked: called with a candidate whose fate or star the person has changed.
        more: called with the candidate to which others like it are wanted.
    """

    def __init__(
        self,
        shown: Callable[[Candidate | None, bytes], None],
        compare: Callable[[bool], None],
        keep: Callable[[Candidate], None],
        marked: Callable[[Candidate], None],
        more: Callable[[Candidate], None],
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self._shown, self._compare, self._keep = shown, compare, keep
        self._marked, self._more = marked, more
        self.strip: Strip | None = None
        self.shelf: Shelf | None = None
        self._thumbnails: dict[int, GdkPixbuf.Pixbuf] = {}
        self._cells = Gtk.Box(spacing=2)
        self._focus = Gtk.EventBox(can_focus=True)
        self._focus.add(self._cells)
        self._focus.set_tooltip_text(KEYS)
        self._focus.get_accessible().set_name("The results of this run")
        dress(self._focus, "velatura-strip")
        self._focus.add_events(Gdk.EventMask.KEY_PRESS_MASK | Gdk.EventMask.KEY_RELEASE_MASK)
        self._focus.connect("key-press-event", self._on_key)
        self._focus.connect("key-release-event", self._on_release)
        for name in ("focus-in-event", "focus-out-event"):
            self._focus.connect(name, self._on_focus)
        room = Gtk.ScrolledWindow(no_show_all=True)
        room.set_policy(Gtk.PolicyType.AUTOMATIC, Gtk.PolicyType.NEVER)
        room.set_min_content_height(SIDE + 40)
        room.add(self._focus)
        self._room = room
        self._says = Gtk.Label(label=EMPTY, xalign=0.0, wrap=True)
        self._says.get_style_context().add_class("dim-label")
        self._buttons = buttons = Gtk.Box(spacing=4)
        for label, tooltip, work in (
            ("Keep", "Puts the chosen result into the picture as a layer (Enter)", lambda _: self.keep()),
            ("Drop", "Takes it out of the strip; it stays in the history (Delete)", lambda _: self._drop()),
            ("Star", "Marks it, so that you find it again (S)", lambda _: self._star()),
            ("More like this", "Makes others that lie close to it", lambda _: self._ask_more()),
        ):
            buttons.pack_start(small_button(label, tooltip, work), False, False, 0)
        held = Gtk.Button(label="Before", tooltip_text="Hold it to see the picture before the edit (B)")
        dress(held, "velatura-small")
        held.connect("pressed", lambda _: self._before(True))
        held.connect("released", lambda _: self._before(False))
        buttons.pack_start(held, False, False, 0)
        for part in (room, buttons, self._says):
            self.pack_start(part, False, False, 0)
        self.draw()

    def begin(self, shelf: Shelf) -> None:
        """Shows the strip of another run."""
        self.shelf, self.strip = shelf, shelf.strip
        self._thumbnails = {}
        self.draw()

    @property
    def has_keys(self) -> bool:
        """Whether the person is in the strip."""
        return self._focus.has_focus()

    def draw(self) -> None:
        """Shows the present state, and the chosen candidate in the preview."""
        for cell in self._cells.get_children():
            cell.destroy()
        strip = self.strip
        cells = strip.cells if strip else []
        chosen = strip.chosen if strip else None
        for cell in cells:
            self._cells.pack_start(self._cell(cell, cell.candidate == chosen), False, False, 0)
        for _ in range(strip.awaited if strip else 0):
            empty = Gtk.Frame(width_request=SIDE, height_request=SIDE, valign=Gtk.Align.START, opacity=0.5)
            self._cells.pack_start(empty, False, False, 2)
        self._room.get_child().show_all()
        self._room.set_visible(bool(cells or (strip and strip.awaited)))
        self._buttons.set_sensitive(chosen is not None)
        self._says.set_text((strip.sentence or EMPTY) if strip else EMPTY)
        shown = strip.shown if strip else None
        self._shown(shown, self._picture(shown))

    def take_focus(self) -> None:
        """Gives the strip the keys."""
        self._focus.grab_focus()

    def keep(self, several: bool = False) -> None:
        """Keeps the chosen candidate."""
        if self.strip is None:
            return
        candidate = self.strip.keep(several=several)
        self.strip.is_open = True  # beside the form there is always room for the strip
        self.draw()
        if candidate is not None:
            self._keep(candidate)

    def _cell(self, cell: Cell, is_chosen: bool) -> Gtk.Widget:
        candidate = cell.candidate
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
        picture = self._thumbnail(candidate)
        if picture is not None:
            column.pack_start(Gtk.Image.new_from_pixbuf(picture), False, False, 0)
        else:
            number = Gtk.Label(label=str(candidate.index + 1), width_request=SIDE, height_request=SIDE)
            column.pack_start(number, False, False, 0)
        words = " ".join(filter(None, ("★" if cell.starred else "", "kept" if cell.kept else "")))
        column.pack_start(Gtk.Label(label=words), False, False, 0)
        dress(column, "velatura-cell")
        if is_chosen:
            dress(column, "velatura-chosen")
        box = Gtk.EventBox(valign=Gtk.Align.START)
        box.add(column)
        why = f" · {candidate.why}" if candidate.why else ""
        box.set_tooltip_text(f"{candidate.title}{why}\n{KEYS}")
        box.add_events(Gdk.EventMask.POINTER_MOTION_MASK)
        box.connect("button-press-event", lambda *_: self._press(candidate))
        box.connect("motion-notify-event", lambda *_: self._hover(candidate))
        return box

    def _picture(self, candidate: Candidate | None) -> bytes:
        return self.shelf.pictures.get(candidate.index, b"") if self.shelf and candidate else b""

    def _thumbnail(self, candidate: Candidate) -> GdkPixbuf.Pixbuf | None:
        if candidate.index not in self._thumbnails and (data := self._picture(candidate)):
            loaded = decoded(data)
            if loaded is not None:
                size = loaded.get_width(), loaded.get_height()
                self._thumbnails[candidate.index] = fitted(loaded, *size, SIDE)
        return self._thumbnails.get(candidate.index)

    def _press(self, candidate: Candidate) -> bool:
        self.take_focus()
        self._choose(candidate)
        return True

    def _hover(self, candidate: Candidate) -> bool:
        """The pointer moves over a candidate, which is chosen. Resting there it chooses nothing, so that the
        keys are free to go on."""
        chosen = self.strip.chosen if self.strip else None
        if chosen is None or chosen.index != candidate.index:
            self._choose(candidate)
        return False

    def _choose(self, candidate: Candidate) -> None:
        if self.strip is not None and self.strip.choose(candidate.index):
            self.draw()

    def _before(self, is_held: bool) -> None:
        if self.strip is not None:
            self.strip.before(is_held)
        self._compare(is_held)

    def _drop(self) -> None:
        dropped = self.strip.drop() if self.strip else None
        if dropped is not None:
            self._marked(dropped)
            self.draw()

    def _take_back(self) -> None:
        back = self.strip.take_back() if self.strip else None
        if back is not None:
            self._marked(back)
            self.draw()

    def _star(self) -> None:
        chosen = self.strip.chosen if self.strip else None
        if chosen is not None:
            self.strip.star()
            self._marked(chosen)
            self.draw()

    def _ask_more(self) -> None:
        chosen = self.strip.chosen if self.strip else None
        if chosen is not None:
            self._more(chosen)

    def _on_key(self, _: Gtk.Widget, event: Gdk.EventKey) -> bool:
        if self.strip is None:
            return False
        key, state = event.keyval, event.state
        control, shift = state & Gdk.ModifierType.CONTROL_MASK, state & Gdk.ModifierType.SHIFT_MASK
        if state & Gdk.ModifierType.MOD1_MASK or (control and key not in (Gdk.KEY_z, Gdk.KEY_Z)):
            return False
        if key in (Gdk.KEY_Left, Gdk.KEY_KP_Left, Gdk.KEY_Right, Gdk.KEY_KP_Right):
            self.strip.move(-1 if key in (Gdk.KEY_Left, Gdk.KEY_KP_Left) else 1)
            self.draw()
        elif key in (Gdk.KEY_Return, Gdk.KEY_KP_Enter, Gdk.KEY_ISO_Enter):
            self.keep(several=bool(shift))
        elif key in (Gdk.KEY_Delete, Gdk.KEY_KP_Delete):
            self._drop()
        elif key in (Gdk.KEY_s, Gdk.KEY_S):
            self._star()
        elif key in (Gdk.KEY_b, Gdk.KEY_B):
            self._before(True)
        elif control:
            self._take_back()
        else:
            return False
        return True

    def _on_release(self, _: Gtk.Widget, event: Gdk.EventKey) -> bool:
        if event.keyval in (Gdk.KEY_b, Gdk.KEY_B):
            self._before(False)
        return False

    def _on_focus(self, widget: Gtk.Widget, _: Gdk.EventFocus) -> bool:
        self._before(False)  # the key may be let go elsewhere
        widget.queue_draw()
        return False
