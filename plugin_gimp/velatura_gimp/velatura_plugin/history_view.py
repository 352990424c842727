"""The list of a picture's results, with its search. Needs a window."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gtk, Pango

from velatura_protocol.history_entries import RELATIONS, Entry

from .document_history import DocumentHistory
from .side import decoded, fitted
from .style import dress, small_button

SIDE = 48  # pixels of a thumbnail
MOST = 100  # rows at once; the search finds the others
NOTHING = "Nothing was made for this picture yet."
NOT_FOUND = "Nothing in the history has these words."


class HistoryView(Gtk.Box):
    """Shows the history of a picture.

    Args:
        history: of the picture.
        again, edit, more: called with the chosen entry.
    """

    def __init__(
        self,
        history: DocumentHistory,
        again: Callable[[Entry], None],
        edit: Callable[[Entry], None],
        more: Callable[[Entry], None],
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self._history = history
        self._search = Gtk.SearchEntry(placeholder_text="Search the history")
        self._search.connect("search-changed", lambda _: self.draw())
        self._starred = Gtk.CheckButton(label="Starred")
        self._kept = Gtk.CheckButton(label="Kept")
        for box in (self._starred, self._kept):
            box.connect("toggled", lambda _: self.draw())
        self._list = Gtk.ListBox()
        self._list.set_placeholder(self._empty())
        self._list.connect("row-selected", lambda *_: self._tell())
        self._list.connect("row-activated", lambda *_: self._with_chosen(edit))
        room = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER, width_request=250)
        room.add(self._list)
        self._lineage = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=32, no_show_all=True)
        self._buttons = Gtk.Box(spacing=4)
        for label, tooltip, work in (
            ("Run again", "Makes it again, from the chosen layer and the present selection", again),
            ("Edit again", "Fills the form with its settings", edit),
            ("More like this", "Makes others that lie close to it", more),
            ("★", "Stars it, or takes its star away", self._star),
        ):
            button = small_button(label, tooltip, lambda _, work=work: self._with_chosen(work))
            self._buttons.pack_start(button, False, False, 0)
        self._usage = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=32)
        self._usage.get_style_context().add_class("dim-label")
        self._forget = small_button(
            "Forget it", "Begins a new history for this picture", lambda _: self._begin_anew()
        )
        self._forget.set_no_show_all(True)
        boxes = Gtk.Box(spacing=8)
        boxes.pack_start(self._starred, False, False, 0)
        boxes.pack_start(self._kept, False, False, 0)
        for part in (self._search, boxes, room, self._lineage, self._buttons, self._usage, self._forget):
            self.pack_start(part, part is room, part is room, 0)
        self.draw()

    @property
    def chosen(self) -> Entry | None:
        """The chosen entry."""
        row = self._list.get_selected_row()
        return row.entry if row is not None else None

    def draw(self) -> None:
        """Shows the present history."""
        before = self.chosen
        results = self._history.results
        found = results.search(
            self._search.get_text(), starred=self._starred.get_active(), kept=self._kept.get_active()
        )
        self._placeholder.set_text(NOT_FOUND if len(results) else NOTHING)
        for row in self._list.get_children():
            row.destroy()
        for entry in found[:MOST]:
            row = _row(entry)
            self._list.add(row)
            if before is not None and entry.key == before.key:
                self._list.select_row(row)
        self._list.show_all()
        further = f" {len(found) - MOST} more are found by searching." if len(found) > MOST else ""
        self._usage.set_text(self._history.refusal or f"{results.usage.sentence}{further}")
        self._forget.set_visible(bool(self._history.refusal))
        self._tell()

    def _empty(self) -> Gtk.Label:
        self._placeholder = Gtk.Label(label=NOTHING, wrap=True, max_width_chars=28, margin=12)
        self._placeholder.show()
        return self._placeholder

    def _tell(self) -> None:
        """The chosen result's way: what it came of, and how."""
        entry = self.chosen
        self._buttons.set_sensitive(entry is not None)
        line = self._history.results.lineage(entry.key) if entry is not None else []
        steps = [one.prompt or one.title for one in line[:1]]
        steps += [f"{RELATIONS.get(one.relation, '')}: {one.prompt or one.title}" for one in line[1:]]
        self._lineage.set_text(" → ".join(steps))
        self._lineage.set_visible(len(line) > 1)

    def _star(self, entry: Entry) -> None:
        self._history.star(entry.key, not entry.starred)
        self.draw()

    def _begin_anew(self) -> None:
        self._history.forget()
        self.draw()

    def _with_chosen(self, work: Callable[[Entry], None]) -> None:
        entry = self.chosen
        if entry is not None:
            work(entry)


def _row(entry: Entry) -> Gtk.ListBoxRow:
    row = Gtk.ListBoxRow()
    row.entry = entry
    line = Gtk.Box(spacing=6, margin=2)
    dress(line, "velatura-clear")
    loaded = decoded(entry.thumbnail) if entry.thumbnail else None
    picture = Gtk.Image(width_request=SIDE, height_request=SIDE)
    if loaded is not None:
        picture.set_from_pixbuf(fitted(loaded, loaded.get_width(), loaded.get_height(), SIDE))
    line.pack_start(picture, False, False, 0)
    words = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, valign=Gtk.Align.CENTER)
    dress(words, "velatura-clear")
    fate = "" if entry.fate == "candidate" else entry.fate
    facts = " · ".join(filter(None, (fate, RELATIONS.get(entry.relation, ""), entry.method)))
    star = "★ " if entry.starred else ""
    for text, dim in (
        (f"{star}{entry.prompt or entry.title}", False),
        (facts, True),
    ):
        label = Gtk.Label(label=text, xalign=0.0, ellipsize=Pango.EllipsizeMode.END, max_width_chars=24)
        dress(label, "velatura-clear")
        if dim:
            label.get_style_context().add_class("dim-label")
        words.pack_start(label, False, False, 0)
    line.pack_start(words, True, True, 0)
    row.add(line)
    row.set_tooltip_text(f"{entry.prompt or entry.title}\n{entry.method}, seed {entry.seed}")
    return row
