"""Scenes in words: the shared part of all kinds' grammars.

Each word of a caption knows which element of the picture it is about, so that cross-attention maps
can be supervised and measured.  A caption mentions only visible things.  The one absence it words is that of
hair, which is visible too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")

#: style -> openings that name it; the first is the canonical one.
OPENINGS: dict[str, tuple[str, ...]] = {
    "photo": ("a photo of", "a photograph of", "a picture of", "photo of", "", ""),
    "watercolour": ("a watercolour of", "a watercolor painting of", "watercolour of", "watercolor of"),
    "ink": ("an ink drawing of", "a pen drawing of", "ink drawing of", "pen and ink drawing of"),
    "child": ("a children drawing of", "a child drawing of", "a crayon drawing of", "children drawing of"),
}
#: Words that are about no element.
FUNCTION_WORDS = frozenset(
    [
        *("a", "an", "the", "of", "with", "and", "in", "on", "at", "by", "from", "to", "under", "over"),
        *("between", "behind", "next", "front", "full", "is", "are", "its", "it"),
    ]
)
MOST_WORDS = 36


@dataclass(frozen=True)
class Word:
    """One word of a caption and the element it is about ("" for none)."""

    text: str
    element: str = ""


@dataclass(frozen=True)
class Caption:
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words).replace(" ,", ",")

    def elements(self) -> frozenset[str]:
        return frozenset(word.element for word in self.words if word.element)


class Teller:
    """Decides what a caption mentions and how.

    Args:
        rng: Draws the wording.  None for the canonical caption: everything visible, in the first wording.
        visible: Tells for an element whether it is in view.
        style: The picture's style.
    """

    def __init__(
        self,
        rng: np.random.Generator | None = None,
        visible: Callable[[str], bool] = lambda element: True,
        style: str = "photo",
    ) -> None:
        self.rng = rng
        self.visible = visible
        self.style = style
        #: whether the caption is a short one, as people type them; one in eight is
        self.short = rng is not None and bool(rng.random() < 0.125)

    def chance(self, probability: float) -> bool:
        """True with this probability, never in the canonical caption; chooses turns of phrase."""
        return self.rng is not None and bool(self.rng.random() < probability)

    def say(self, probability: float, element: str) -> bool:
        """Whether to mention something about an element."""
        if not self.visible(element):
            return False
        return self.rng is None or bool(self.rng.random() < probability * (0.35 if self.short else 1.0))

    def pick(self, options: tuple[Option, ...]) -> Option:
        """One of several wordings."""
        return options[0] if self.rng is None else options[int(self.rng.integers(len(options)))]

    def opening(self, style: str | None = None, photo: tuple[str, ...] = ()) -> list[Word]:
        """The caption's first words.

        Args:
            style: The style they name; by default the teller's own.
            photo: Further openings for photographs of a kind ("a portrait of").
        """
        style = style or self.style
        return self.plain(self.pick(OPENINGS[style] + (photo if style == "photo" else ())))

    def plain(self, text: str) -> list[Word]:
        """Words about no element."""
        return [Word(word) for word in text.split()]

    def about(self, element: str, *phrases: str) -> list[Word]:
        """The words of phrases about an element; their articles and prepositions are about none."""
        words = " ".join(phrases).replace(",", " ,").split()
        return [Word(word, "" if word in FUNCTION_WORDS or word == "," else element) for word in words]

    def series(self, parts: list[list[Word]]) -> list[Word]:
        """Parts joined as "x, y and z"."""
        words: list[Word] = []
        for index, part in enumerate(parts):
            if index:
                words.append(Word("and" if index == len(parts) - 1 else ","))
            words += part
        return words

    def shuffled(self, parts: list[list[Word]], probability: float = 0.3) -> list[list[Word]]:
        """The parts, with this probability in another order."""
        if self.rng is None or self.rng.random() >= probability:
            return parts
        return [parts[index] for index in self.rng.permutation(len(parts))]

    def caption(self, *clauses: list[Word]) -> Caption:
        """Join clauses; leave out each one that would exceed MOST_WORDS."""
        words: list[Word] = []
        for clause in clauses:
            if len(words) + len(clause) <= MOST_WORDS:
                words += clause
        return Caption(tuple(words))


def article(phrase: str) -> str:
    """The phrase with its indefinite article."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def words_of(*groups: Iterable[str]) -> set[str]:
    """The single words of groups of phrases."""
    return {word for group in groups for phrase in group for word in phrase.replace(",", " ,").split()}


def common_vocabulary() -> set[str]:
    """The words that captions of every kind share: openings, function words, the comma."""
    return words_of(*OPENINGS.values()) | FUNCTION_WORDS | {","}
