"""The run of a dialog's form; the dialog stays, so that no value is lost. Needs a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gi.repository import Gdk, GimpUi, Gtk

from . import edit
from .capture import Capture
from .conversation import Conversation, Question, in_main
from .drafting import Drafts, Live
from .offering import remember
from .session import OnPreview, Session

STOPPED = "The edit was stopped; the picture is as it was."


class Run:
    """The buttons Run and Cancel; during a run Cancel stops it.

    The dialog closes once the result is in the image; it stays, with a sentence, where the run is refused,
    fails or is stopped. forms: the widgets that are disabled during a run. keep: called before a run begins.
    placed: the result, once there is one.
    """

    def __init__(
        self,
        dialog: GimpUi.ProcedureDialog,
        live: Live,
        conversation: Conversation,
        drafts: Drafts,
        forms: Sequence[Gtk.Widget],
        keep: Callable[[], None],
    ) -> None:
        self._dialog, self._live, self._conversation = dialog, live, conversation
        self._drafts, self._forms, self._keep = drafts, forms, keep
        self._cancel = dialog.get_widget_for_response(Gtk.ResponseType.CANCEL)
        self._label = self._cancel.get_label()
        self._focus = dialog.get_focus()
        self._is_running = self._stays = False
        self.placed: edit.Placed | None = None
        dialog.connect("set-focus", self._on_focus)
        dialog.connect("response", self._on_response)
        dialog.connect("delete-event", self._on_delete)

    def _on_focus(self, _dialog: GimpUi.ProcedureDialog, widget: Gtk.Widget | None) -> None:
        """GIMP focuses the button even where Return has started the run."""
        if widget is not None and any(widget.is_ancestor(form) for form in self._forms):
            self._focus = widget

    def _on_response(self, dialog: GimpUi.ProcedureDialog, response: int) -> None:
        """Comes before the dialog's own handler, which would end it."""
        if response == Gtk.ResponseType.OK and self.placed is None:
            dialog.stop_emission_by_name("response")
            self._begin()
        elif self._is_running and response in (Gtk.ResponseType.CANCEL, Gtk.ResponseType.DELETE_EVENT):
            dialog.stop_emission_by_name("response")
            self._stays = response == Gtk.ResponseType.DELETE_EVENT
            self._conversation.stop()
            self._conversation.window.end(STOPPED)

    def _on_delete(self, _dialog: GimpUi.ProcedureDialog, _event: Gdk.Event) -> bool:
        """The window's cross, or Escape: GTK has made a response of it, which may have stopped a run."""
        stays, self._stays = self._stays, False
        return stays

    def _begin(self) -> None:
        if self._is_running:
            return
        self._keep()
        self._drafts.stop()  # the draft of this state is of no use any more
        try:
            request = self._drafts.with_draft_seed(self._live.request())
        except Exception as error:
            self._conversation.window.end(edit.sentence(error))
            self._hold(False)
            return

        def ask(
            session: Session, captured: Capture, is_stopped: Callable[[], bool], show: OnPreview
        ) -> edit.Placed:
            def put(made: edit.Made) -> edit.Placed:
                return in_main(lambda: edit.put(self._live.target, made), is_stopped)

            return edit.run(session, request, captured, put, is_stopped, show)

        remember(request.prompt)
        self._hold(True)
        self._conversation.ask(Question(self._live.read, ask, self._done, self._over, holds_run=True))

    def _done(self, placed: edit.Placed) -> str:
        self.placed = placed
        self._dialog.response(Gtk.ResponseType.OK)
        return ""

    def _over(self) -> None:
        self._hold(False)
        if self.placed is None:
            self._conversation.window.clear()

    def _hold(self, held: bool) -> None:
        """Disables the form during a run; afterwards the cursor returns to its place."""
        self._is_running = held
        for form in self._forms:
            form.set_sensitive(not held)
        self._cancel.set_label("_Stop" if held else self._label)
        if not held and self._focus is not None and self._focus.is_ancestor(self._dialog):
            self._focus.grab_focus()
