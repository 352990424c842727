"""Texts about pictures, and for any text and picture whether the text is true of it.

A contrastive loss takes the other pictures' texts for false. Short ones ("glasses") are true of many
pictures, so each text is compared with the words that any wording of a picture's scene can have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from velatura_lab.world import Caption, Word, caption
from velatura_lab.world.wording import FUNCTION_WORDS

#: Wordings of a scene, whose words together are nearly all that can be said of it.
WORDINGS = 20
#: How often a text is the full canonical caption, a wording of everything, of a few elements only, a phrase
#: about one element, and a single word.
SHARES = {"canonical": 0.2, "whole": 0.3, "few": 0.15, "phrase": 0.2, "word": 0.15}


@cache
def number(word: Word) -> int:
    """The number of a word about an element."""
    _numbers.append(word)
    return len(_numbers) - 1


_numbers: list[Word] = []


def numbers(item: Caption) -> frozenset[int]:
    """The numbers of a caption's content words."""
    return frozenset(number(word) for word in item.words if word.text not in FUNCTION_WORDS | {","})


@dataclass(frozen=True)
class Text:
    """A text about a picture.

    Args:
        item: its words.
        needs: the numbers of its content words.
        whole: whether it names all that is in view, so that it is false of a picture with more.
    """

    item: Caption
    needs: frozenset[int]
    whole: bool = False


class Told:
    """All that can be said of a scene with the elements `seen` in view."""

    def __init__(self, scene: Any, seen: frozenset[str], seed: Sequence[int]) -> None:
        self.scene, self.seen = scene, seen
        rng = np.random.default_rng([*seed, 2])
        self.canonical = caption(scene, None, seen.__contains__)
        self.possible = numbers(self.canonical).union(
            *(numbers(caption(scene, rng, seen.__contains__)) for _ in range(WORDINGS))
        )

    def text(self, rng: np.random.Generator, about: frozenset[str] = frozenset()) -> Text:
        """A text about the picture.

        Args:
            rng: draws its form and its wording.
            about: elements that it must be about, if it can; empty: any.
        """
        form = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        if form == "canonical":
            return Text(self.canonical, numbers(self.canonical), whole=True)
        shown = self.seen
        if form == "few":
            own = sorted(self.seen & about) or sorted(self.seen)
            shown = frozenset(rng.choice(own, min(len(own), int(rng.integers(1, 3))), replace=False))
        item = caption(self.scene, rng, shown.__contains__)
        if form in ("phrase", "word"):
            item = _part(item, rng, about, form == "word") or item
        return Text(item, numbers(item))


def _part(item: Caption, rng: np.random.Generator, about: frozenset[str], single: bool) -> Caption | None:
    """The words about one element of a caption, in their order, or one of them; None where there are none."""
    named = sorted(item.elements() & about) or sorted(item.elements())
    if not named:
        return None
    element = named[int(rng.integers(len(named)))]
    own = [word for word in item.words if word.element == element]
    if single:
        own = [own[int(rng.integers(len(own)))]]
    return Caption(tuple(own))


def changed_elements(a: Told, b: Told) -> frozenset[str]:
    """The elements whose words differ between two scenes."""
    return frozenset(_numbers[n].element for n in a.possible ^ b.possible) - {""}


def falsehoods(texts: Sequence[Text], pictures: Sequence[Told]) -> Tensor:
    """Whether a text is false of a picture, bool (pictures, texts)."""
    size = len(_numbers)
    needs, able = torch.zeros(len(texts), size), torch.zeros(len(pictures), size)
    for row, text in enumerate(texts):
        needs[row, list(text.needs)] = 1.0
    for row, picture in enumerate(pictures):
        able[row, list(picture.possible)] = 1.0
    false = (1.0 - able) @ needs.T > 0.5
    for column, text in enumerate(texts):
        if text.whole:
            false[:, column] = torch.tensor([text.item.words != p.canonical.words for p in pictures])
    return false
