"""Selecting one word of the prompt while a dialog is open."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gimp

from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.words import Word

from . import edit
from .capture import capture_whole
from .conversation import Question
from .masks import insert_masks


class Selector:
    """Selects words of `layer` with `method`, which finds masks of words."""

    def __init__(self, image: Gimp.Image, layer: Gimp.Layer, method: MethodInfo) -> None:
        self._image, self._layer, self._method = image, layer, method

    def question(self, word: Word, prompt: str, model: str, over: Callable[[], None]) -> Question:
        """Selects a word of the prompt in the whole layer, regardless of the selection. model: an id; empty:
        the daemon's default. over: see `Question`.
        """
        parameters = {self._method.words.key: [{"text": word.text, "which": word.which}]}
        request = self._method.edit(prompt, parameters, model=model)
        return Question(
            read=lambda: capture_whole(self._image, self._layer),
            ask=lambda session, captured, is_stopped, _: edit.run(
                session, request, captured, lambda made: made, is_stopped
            ),
            done=self._insert,
            over=over,
            holds_run=True,
        )

    def _insert(self, made: edit.Made) -> str:
        insert_masks(self._image, self._layer, made.parts)
        Gimp.displays_flush()
        return made.note or f"“{made.parts[0].title}” is selected, and kept in the Channels dialog."
