"""The words of the prompt in a dialog: kept in the procedure's configuration, selected on demand."""

from __future__ import annotations

import json
from collections.abc import Callable

from gi.repository import Gimp, Gtk

from velatura_protocol.errors import VelaturaError
from velatura_protocol.word_settings import WordSettings
from velatura_protocol.words import Word

from . import form
from .conversation import Conversation
from .drafting import Live
from .form import Argument
from .rasters import layers
from .text_undo import text_of
from .word_strip import WordStrip


class WordForm(Gtk.Box):
    """`argument`, a group about words of the prompt in `prompt`, as chips.

    caption: returns the caption. say: shows a sentence. strip: the settings of the chosen word, which the
    owner lays out.
    """

    def __init__(
        self,
        config: Gimp.ProcedureConfig,
        argument: Argument,
        prompt: Gtk.TextView,
        caption: Callable[[], str],
        say: Callable[[str], None],
        live: Live,
        conversation: Conversation,
    ) -> None:
        super().__init__(orientation=Gtk.Orientation.VERTICAL, spacing=6)
        self._config, self._argument = config, argument
        self._caption, self._say, self._live, self._conversation = caption, say, live, conversation
        self._is_selecting = False
        buffer = prompt.get_buffer()
        self._settings = WordSettings(argument.field, text_of(buffer), self._kept())
        select = self._select if live.selector is not None else None
        dial = self._dial if live.waiting is not None else None
        self._chips = WordStrip(self._settings, buffer, self._keep, say, select, dial, self._layers)
        self.strip = self._chips.strip
        self.pack_start(self._chips, False, False, 0)
        self._chips.show()
        self.show()
        self._keep()
        config.connect(f"notify::{argument.name}", self._on_other_entries)

    def _layers(self) -> list[tuple[str, str]]:
        return layers(self._live.target.image)

    def _kept(self) -> list[dict]:
        """The entries of the configuration; none where they cannot be read."""
        try:
            return self._argument.field.check(form.from_gimp(self._argument.field, self._value()))
        except VelaturaError:
            return []

    def _value(self) -> str:
        return self._config.get_property(self._argument.name)

    def _keep(self) -> None:
        """Puts the words' settings into the configuration."""
        value = json.dumps(self._settings.value())
        if value != self._value():
            self._config.set_property(self._argument.name, value)

    def _on_other_entries(self, *_: object) -> None:
        """The person has reset the form or loaded a saved one."""
        kept = self._kept()
        if kept != self._settings.value():
            self._settings.load(kept)
            self._chips.refresh()

    def _select(self, word: Word) -> None:
        if self._is_selecting:
            self._conversation.stop()
            return
        self._is_selecting = True
        self._chips.select_button.set_label("Stop")
        prompt, model = self._settings.prompt, self._live.model()
        self._conversation.ask(self._live.selector.question(word, prompt, model, self._on_over))

    def _dial(self, word: Word) -> None:
        self._say(self._live.waiting.add(word, self._settings.prompt, self._caption()))

    def _on_over(self) -> None:
        self._is_selecting = False
        self._chips.select_button.set_label("Select")
