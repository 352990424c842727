"""The services beside a form while its dialog or window is open, and their column. Needs a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gi.repository import Gimp, GimpUi, GLib, Gtk

from .conversation import Conversation
from .drafting import Drafts, Live
from .form import Argument
from .list_form import ListForm
from .running import Run
from .side import WIDTH, Side

AROUND = 190  # pixels of height outside a form: a title bar, two rows of buttons
BESIDE = 340  # pixels of height below the preview


class Beside:
    """The services beside a form while its dialog is open, and their column."""

    def __init__(
        self,
        dialog: GimpUi.ProcedureDialog,
        live: Live,
        window: Gtk.Window | None = None,
        holds_run: Callable[[bool], None] | None = None,
    ) -> None:
        self._dialog, self.live, self._window = dialog, live, window or dialog
        self.side = Side(
            live,
            holds_run or (lambda held: dialog.set_response_sensitive(Gtk.ResponseType.OK, not held)),
            min(WIDTH, _room(dialog) - BESIDE),
        )
        self.conversation = Conversation(self.side)
        self.drafts = Drafts(self.conversation, live)
        self._form: Gtk.Widget | None = None
        self.both: Gtk.Box | None = None  #: form and column
        self._scrolled: Gtk.ScrolledWindow | None = None

    def place(self, names: Sequence[str]) -> str:
        """Puts the column to the right of the form; returns the name of the widget to fill in."""
        self._form = self._dialog.fill_box("all.form", names)
        self._scrolled = self._dialog.fill_scrolled_window("all.room", "all.form")
        self._scrolled.set_policy(Gtk.PolicyType.NEVER, Gtk.PolicyType.AUTOMATIC)
        self._scrolled.set_shadow_type(Gtk.ShadowType.NONE)
        self._scrolled.set_overlay_scrolling(False)  # shows that the form goes on
        self._form.connect("size-allocate", lambda *_: GLib.idle_add(self._fit))
        self.both = both = self._dialog.fill_box("all.both", ["all.room"])
        both.set_orientation(Gtk.Orientation.HORIZONTAL)
        both.set_spacing(12)
        both.pack_end(self.side, False, False, 0)
        return "all.both"

    def _fit(self) -> None:
        """Gives the form its full height within the screen's; a higher form scrolls. In another window the
        form takes the height that is there."""
        if self._window is not self._dialog:
            return
        wanted = self._form.get_preferred_height_for_width(self._form.get_allocated_width())[1]
        before, height = self._scrolled.get_min_content_height(), min(wanted, _room(self._dialog))
        self._scrolled.set_min_content_height(height)
        if height < before:
            self._dialog.resize(self._dialog.get_size()[0], 1)  # the least height

    def draft_what_moves(
        self, config: Gimp.ProcedureConfig, arguments: Sequence[Argument], lists: Mapping[str, ListForm]
    ) -> None:
        """Asks for drafts when a value changes, except for texts, which are half typed. lists: by the names
        of their arguments."""
        drafts, wanted = self.drafts, self.side.wanted
        for argument in arguments:
            if argument.name in lists:
                lists[argument.name].moved = drafts.move
            elif argument.name != "variations" and argument.field.kind != "string":
                config.connect(f"notify::{argument.name}", lambda *_: drafts.move())

        def want(*_: object) -> None:
            drafts.wanted = wanted.get_active()
            drafts.move() if drafts.wanted else drafts.stop()

        drafts.wanted = wanted.get_active()
        wanted.connect("toggled", want)

        def leave(*_: object) -> None:
            drafts.forget()
            self.side.forget()

        self._window.connect("notify::is-active", leave)

    def run(self, keep: Callable[[], None]) -> Run:
        """The run of the form, which takes over the dialog's buttons."""
        forms = (self._form, self.side.below)
        return Run(self._dialog, self.live, self.conversation, self.drafts, forms, keep)

    def stop(self) -> None:
        """Ends all questions."""
        self.drafts.stop()
        self.conversation.stop()


def _room(dialog: GimpUi.ProcedureDialog) -> int:
    """The height that a form may have for its buttons to be on the screen, in pixels."""
    display = dialog.get_display()
    monitors = [display.get_monitor(number) for number in range(display.get_n_monitors())]
    return min(monitor.get_workarea().height for monitor in monitors) - AROUND
