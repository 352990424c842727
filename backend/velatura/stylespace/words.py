"""Words about faces, by which found directions are named."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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


def listed(text: str) -> tuple[str, ...]:
    """The words of a person's list, which commas or new lines separate; each once."""
    words = (" ".join(word.split()) for line in text.splitlines() for word in line.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def known(tokens: Callable[[str], int], words: Sequence[str]) -> tuple[str, ...]:
    """The words that a vocabulary has whole. A small one spells the others letter by letter, and the network
    has not learned what they mean.

    tokens: the number of tokens of a text, its start and end included.
    """
    return tuple(word for word in words if tokens(word) == len(word.split()) + 2)
