"""The list below a prompt while it is typed: words that begin like the last one, or earlier prompts.

A host has the list's widget and the keys: Down and Up `move`, Return or Tab `take` the chosen offer, Escape
and leaving the prompt `close`. Nothing is chosen before the first Down, so Return and Tab keep their meaning
for somebody who goes on typing.
"""

from __future__ import annotations

from collections.abc import Sequence

from .prompt_history import MOST, Completion, PromptHistory, complete


class PromptOffers:
    """The offers for one prompt field. history: of the person's prompts."""

    def __init__(self, history: PromptHistory) -> None:
        self._history = history
        self._prompts: list[str] = []
        self._completion: Completion | None = None  # None: earlier prompts are offered
        self.vocabulary: Sequence[str] = ()  #: the model's words, once they are known
        self.texts: list[str] = []  #: the offers, the best first; [] where the list is closed
        self.chosen: int | None = None  #: an index of `texts`

    @property
    def are_prompts(self) -> bool:
        """Whether earlier prompts are offered, and no words."""
        return bool(self.texts) and self._completion is None

    def enter(self) -> None:
        """The person has come to the field: the earlier prompts are read, once for this visit."""
        self._prompts = self._history.prompts()

    def typed(self, prompt: str, cursor: int) -> list[str]:
        """The words to offer after a change of the prompt. cursor: its place, in characters."""
        self.chosen = None
        self._completion = complete(prompt, cursor, self._prompts, self.vocabulary)
        self.texts = self._completion.words
        return self.texts

    def earlier(self, prompt: str) -> list[str]:
        """The earlier prompts to offer: those with every word of the present one, but for itself."""
        self.chosen, self._completion = None, None
        self.texts = [one for one in self._history.prompts(prompt) if one != prompt.strip()][:MOST]
        return self.texts

    def move(self, by: int) -> None:
        """Chooses the next offer, or the one before; past either end nothing is chosen."""
        if self.texts:
            places = len(self.texts) + 1  # the last one stands for nothing
            place = ((len(self.texts) if self.chosen is None else self.chosen) + by) % places
            self.chosen = None if place == len(self.texts) else place

    def take(self, prompt: str, index: int | None = None) -> tuple[str, int] | None:
        """The prompt with an offer, and the cursor's place behind it; closes the list.

        index: of the offer; None: the chosen one. None where nothing is chosen, or there is no such offer.
        """
        index = self.chosen if index is None else index
        if index is None or not 0 <= index < len(self.texts):
            return None
        text, completion = self.texts[index], self._completion
        self.close()
        return (text, len(text)) if completion is None else completion.applied(prompt, text)

    def close(self) -> None:
        """Offers nothing any more."""
        self.texts, self.chosen = [], None
