"""The words of the prompt in a dialog: kept in the procedure's configuration, selected on demand."""

from __future__ import annotations

import json

from gi.repository import Gimp, GimpUi, GLib, Gtk

from velatura_protocol.errors import VelaturaError
from velatura_protocol.words import Word

from . import form
from .form import Argument
from .selecting import Selector
from .word_settings import WordSettings
from .word_strip import WordStrip

_TO_BE_SEEN = 50  # ms; reading a large layer takes a moment, in which nothing is drawn


class WordForm(Gtk.Box):
    """`argument`, a group about words of the prompt in `prompt`, as chips with a strip.

    selector: selects a word of the layer; without one nothing offers it.
    """

    def __init__(
        self,
        dialog: GimpUi.ProcedureDialog,
        config: Gimp.ProcedureConfig,
        argument: Argument,
        prompt: Gtk.TextView,
        selector: Selector | None,
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._dialog, self._config, self._argument, self._selector = dialog, config, argument, selector
        buffer = prompt.get_buffer()
        text = buffer.get_text(*buffer.get_bounds(), False)
        self._settings = WordSettings(argument.field, text, self._kept())
        select = self._select if selector is not None else None
        self._strip = WordStrip(self._settings, buffer, self._keep, select)
        self._progress = Gtk.ProgressBar(show_text=True)
        self._said = Gtk.Label(xalign=0.0, wrap=True, max_width_chars=44, selectable=True)
        for part in (self._strip, self._progress, self._said):
            self.pack_start(part, False, False, 0)
        self._strip.show()
        self.show()
        self._keep()
        config.connect(f"notify::{argument.name}", self._on_other_entries)

    def _kept(self) -> list[dict]:
        """The entries of the configuration; none where they cannot be read."""
        try:
            return self._argument.field.check(form.from_gimp(self._argument.field, self._value()))
        except VelaturaError:
            return []

    def _value(self) -> str:
        return self._config.get_property(self._argument.name)

    def _keep(self) -> None:
        """Puts what is set for words of the prompt into the configuration."""
        value = json.dumps(self._settings.value())
        if value != self._value():
            self._config.set_property(self._argument.name, value)

    def _on_other_entries(self, *_: object) -> None:
        """The person has reset the form or loaded a saved one."""
        kept = self._kept()
        if kept != self._settings.value():
            self._settings.load(kept)
            self._strip.refresh()

    # selecting ------------------------------------------------------------

    def _select(self, word: Word) -> None:
        if self._progress.get_visible():
            self._selector.stop()
            return
        self._show_running(True)
        GLib.timeout_add(_TO_BE_SEEN, self._begin, word)

    def _begin(self, word: Word) -> bool:
        model = self._config.get_property("model")
        model = "" if model == form.DEFAULT_MODEL else model
        try:
            self._selector.start(word, self._settings.prompt, model, self._on_progress, self._on_end)
        except VelaturaError as error:
            self._on_end(error.message)
        return False

    def _on_progress(self, text: str, fraction: float | None) -> None:
        self._progress.set_text(text)
        if fraction is None:
            self._progress.pulse()
        else:
            self._progress.set_fraction(fraction)

    def _on_end(self, sentence: str) -> None:
        self._show_running(False)
        self._say(sentence)

    def _show_running(self, is_running: bool) -> None:
        self._said.hide()
        self._progress.set_visible(is_running)
        self._progress.set_text("Reading the layer…")
        self._progress.set_fraction(0.0)
        self._strip.select_button.set_label("Stop" if is_running else "Select")
        self._dialog.set_response_sensitive(Gtk.ResponseType.OK, not is_running)

    def _say(self, sentence: str) -> None:
        self._said.set_text(sentence)
        self._said.show()
