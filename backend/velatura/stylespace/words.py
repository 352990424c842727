"""Words about faces, by which found directions are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

FACES: tuple[str, ...] = (
    *("man", "woman", "child", "young", "old", "wrinkles", "freckles"),
    *("smiling", "smile", "serious", "laughing", "angry", "sad", "surprised", "open mouth", "teeth"),
    *("beard", "long beard", "short beard", "moustache", "stubble"),
    *("glasses", "sunglasses", "round glasses", "hat", "cap", "beanie", "earrings", "make-up", "lipstick"),
    *("long hair", "short hair", "bald", "curly hair", "wavy hair", "straight hair", "ponytail", "fringe"),
    *("black hair", "brown hair", "blond hair", "red hair", "grey hair", "white hair", "blue hair"),
    *("pale skin", "fair skin", "tanned skin", "brown skin", "dark skin", "rosy cheeks"),
    *("blue eyes", "brown eyes", "green eyes", "closed eyes", "narrow eyes", "big eyes", "bushy eyebrows"),
    *("big nose", "round face", "long face", "thin face", "chubby", "double chin"),
    *("looking left", "looking right", "head tilted", "from the side", "close-up", "far away"),
    *("red shirt", "blue shirt", "green shirt", "white shirt", "black shirt", "striped shirt", "suit"),
    *("dark background", "light background", "green background", "blue background", "red background"),
    *("bright light", "shadow", "warm colours", "cold colours", "blurry", "sharp", "black and white"),
)
"""Words and phrases, each of which can be put behind "a photo of a face, "."""


class Tokens(Protocol):
    """A tokenizer of transformers, as far as words need it."""

    def __call__(self, text: str) -> Tokenised:
        """The tokens of a text, with its start and end."""
        ...


class Tokenised(Protocol):
    """A text in tokens."""

    input_ids: list[int]


def listed(text: str) -> tuple[str, ...]:
    """The words of a person's list, which commas or new lines separate; each once."""
    words = (" ".join(word.split()) for line in text.splitlines() for word in line.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def known(tokenizer: Tokens, words: Sequence[str]) -> tuple[str, ...]:
    """The words that a tokenizer has whole. A small vocabulary spells the others letter by letter, and the
    network has not learned what they mean."""
    return tuple(word for word in words if len(tokenizer(word).input_ids) == len(word.split()) + 2)
