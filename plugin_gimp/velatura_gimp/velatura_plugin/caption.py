"""The buttons at the caption field. Needs a window."""

from __future__ import annotations

from gi.repository import Gtk

from .conversation import Conversation
from .drafting import Live
from .style import small_button
from .text_undo import put, text_of


class CaptionButtons(Gtk.Box):
    """Proposes a caption for `view`, and copies it to `prompt`, where the person changes it.

    Without `live.proposer` nothing is proposed.
    """

    def __init__(
        self, view: Gtk.TextView, prompt: Gtk.TextView, live: Live, conversation: Conversation
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self._view, self._prompt, self._live, self._conversation = view, prompt, live, conversation
        self._asked = ""
        self._is_looking = False
        self._is_wanted = False  # whether the person has asked, and learns of a failure
        if live.proposer is not None:
            self._propose = small_button("Propose", "", self._on_propose)
            self.pack_start(self._propose, False, False, 0)
            self.allow()
        copy = small_button("Copy ↓", "Copies it to what should be there, to be changed", self._on_copy)
        self.pack_start(copy, False, False, 0)

    def allow(self) -> None:
        """Offers a proposal if the chosen model can make one."""
        if self._live.proposer is None:
            return
        can = self._live.proposer.can(self._live.model())
        self._propose.set_sensitive(can)
        self._propose.set_tooltip_text(
            "Looks at the layer and says what it shows"
            if can
            else "This model has no network that captions layers; see `velatura models change --help`"
        )

    def propose_if_empty(self) -> None:
        """Proposes a caption into an empty field; text that is typed meanwhile stays."""
        proposer, said = self._live.proposer, text_of(self._view.get_buffer())
        if proposer is not None and proposer.can(self._live.model()) and not said.strip():
            self._ask()

    def _on_propose(self, _button: Gtk.Button) -> None:
        if self._is_looking:
            self._conversation.stop()
            return
        self._is_wanted = True
        self._ask()

    def _ask(self) -> None:
        self._asked, self._is_looking = text_of(self._view.get_buffer()), True
        self._propose.set_label("Stop")
        self._conversation.ask(self._live.proposer.question(self._live.model(), self._put, self._on_over))

    def _put(self, text: str) -> str:
        buffer = self._view.get_buffer()
        if text_of(buffer) != self._asked:
            if not self._is_wanted:
                return ""
            return "You have changed the caption meanwhile, so the proposal was left out."
        put(buffer, text)
        if self._is_wanted:
            self._view.grab_focus()
        return ""

    def _on_over(self) -> None:
        self._is_looking = self._is_wanted = False
        self._propose.set_label("Propose")

    def _on_copy(self, _button: Gtk.Button) -> None:
        put(self._prompt.get_buffer(), text_of(self._view.get_buffer()))
        self._prompt.grab_focus()
