"""Undo and redo in a text field, which GTK 3 lacks. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gdk, Gtk

from velatura_protocol.marks import difference

from .history import History


class TextUndo:
    """Ctrl+Z, Ctrl+Shift+Z and Ctrl+Y in `view`; a user action of its buffer is one step."""

    def __init__(self, view: Gtk.TextView) -> None:
        self._buffer = view.get_buffer()
        self._history = History(text_of(self._buffer))
        on_edited(self._buffer, lambda: self._history.note(text_of(self._buffer), cursor_of(self._buffer)))
        view.connect("key-press-event", self._on_key)

    def _on_key(self, _view: Gtk.TextView, event: Gdk.EventKey) -> bool:
        key = Gdk.keyval_to_lower(event.keyval)
        if not event.state & Gdk.ModifierType.CONTROL_MASK or key not in (Gdk.KEY_z, Gdk.KEY_y):
            return False
        is_redo = key == Gdk.KEY_y or event.state & Gdk.ModifierType.SHIFT_MASK
        edit = self._history.redo() if is_redo else self._history.undo()
        if edit is not None:
            new = self._history.now[edit.start : edit.new_end]
            splice(self._buffer, edit.start, edit.old_end, new)
        return True


def on_edited(buffer: Gtk.TextBuffer, work: Callable[[], None]) -> None:
    """Calls `work` after every change, and after a user action only once."""
    depth = 0

    def act(deeper: int) -> None:
        nonlocal depth
        depth += deeper
        if not depth:
            work()

    buffer.connect("begin-user-action", lambda _: act(1))
    buffer.connect_after("end-user-action", lambda _: act(-1))
    buffer.connect_after("changed", lambda _: act(0))


def text_of(buffer: Gtk.TextBuffer) -> str:
    """All of a buffer's text."""
    return buffer.get_text(*buffer.get_bounds(), False)


def cursor_of(buffer: Gtk.TextBuffer) -> int:
    """The number of characters before the cursor."""
    return buffer.get_iter_at_mark(buffer.get_insert()).get_offset()


def put(buffer: Gtk.TextBuffer, text: str) -> None:
    """Changes the buffer's text to `text` in one user action that edits only the difference."""
    edit = difference(text_of(buffer), text)
    splice(buffer, edit.start, edit.old_end, text[edit.start : edit.new_end])


def splice(buffer: Gtk.TextBuffer, start: int, end: int, new: str) -> None:
    """Replaces the characters from `start` to `end` by `new`, with the cursor behind it, in one user
    action."""
    buffer.begin_user_action()
    buffer.delete(buffer.get_iter_at_offset(start), buffer.get_iter_at_offset(end))
    buffer.insert(buffer.get_iter_at_offset(start), new)
    buffer.place_cursor(buffer.get_iter_at_offset(start + len(new)))
    buffer.end_user_action()
