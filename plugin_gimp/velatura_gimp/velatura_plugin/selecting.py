"""Selecting one word of the prompt while a dialog is open."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gimp

from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.model_choice import choose_model
from velatura_protocol.words import Word

from . import edit
from .capture import capture_whole
from .conversation import Question
from .masks import insert_masks
from .sight import Sight


class Selector:
    """Selects words of a picture with `method`, which finds masks of words. sight: what the model sees."""

    def __init__(self, sight: Callable[[], Sight], method: MethodInfo, known: Catalogue) -> None:
        self._sight, self._method, self._known = sight, method, known

    def question(self, word: Word, prompt: str, model: str, over: Callable[[], None]) -> Question:
        """Selects a word of the prompt in the whole layer, regardless of the selection. model: an id; empty:
        the daemon's default. Where it cannot, the first that can is taken. over: see `Question`.
        """
        parameters = {self._method.words.key: [{"text": word.text, "which": word.which}]}
        able = choose_model(self._known, self._method, model).model
        request = self._method.edit(prompt, parameters, model=able)
        return Question(
            read=lambda: capture_whole(self._sight()),
            ask=lambda session, captured, is_stopped, _: edit.run(
                session, request, captured, lambda made: made, is_stopped
            ),
            done=self._insert,
            over=over,
            holds_run=True,
        )

    def _insert(self, made: edit.Made) -> str:
        sight = self._sight()
        insert_masks(sight.image, sight.layer, made.parts, made.sees)
        Gimp.displays_flush()
        return made.note or f"“{made.parts[0].title}” is selected, and kept in the Channels dialog."
