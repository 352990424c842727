"""Proposals for the caption field of a dialog."""

from __future__ import annotations

from collections.abc import Callable

from velatura_protocol.catalogue import Catalogue, MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.results import NOTHING_SAID, texts

from . import edit
from .capture import Capture, capture_whole
from .conversation import Question
from .session import Session
from .sight import Sight


class Proposer:
    """Captions a picture with `method`. sight: what the model sees."""

    def __init__(self, sight: Callable[[], Sight], method: MethodInfo, known: Catalogue) -> None:
        self._sight, self._method, self._known = sight, method, known

    def can(self, model: str) -> bool:
        """Whether the model of this id can caption. Empty: the daemon's default model."""
        return not self._known.lacks(model, self._method)

    def question(self, model: str, put: Callable[[str], str], over: Callable[[], None]) -> Question:
        """Asks about the whole layer, regardless of the selection. put: takes the text, and returns a
        sentence to show, or "". over: see `Question`.
        """
        request = self._method.edit(model=model)

        def ask(session: Session, captured: Capture, is_stopped: Callable[[], bool], _: object) -> str:
            found = texts(edit.draft(session, request, captured, is_stopped))
            if not found:
                raise VelaturaError("internal", NOTHING_SAID.format("layer"))
            return found[0]

        return Question(lambda: capture_whole(self._sight()), ask, put, over)
