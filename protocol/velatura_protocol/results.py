"""What a result holds (SPEC section 4): layers in the order a person should see them, or texts."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import normalize

MAX_LAYERS = 80  # of one result; the text encoders of Stable Diffusion read at most 75 words
MAX_TEXTS = 16  # of one result
MAX_TEXT = 2000  # characters of a text
MAX_TITLE = 100  # characters of a job's or a layer's title
MAX_NOTE = 500  # characters of a note
NOTHING_SAID = "Nothing could be said about this {}; write what it shows."  #: of a layer, of a picture


def best_first(layers: Sequence[dict]) -> list[dict]:
    """The layers by `rank`; in the order they came where they are not ranked as the specification says."""
    ranks = [layer.get("rank") for layer in layers]
    if not all(type(rank) is int for rank in ranks) or sorted(ranks) != list(range(len(layers))):
        return list(layers)
    return sorted(layers, key=lambda layer: layer["rank"])


def best_because(layers: Sequence[dict]) -> str:
    """A sentence that says which layer lies on top and why; '' where the daemon says no reason."""
    best = next((layer for layer in layers if layer.get("rank") == 0), {})
    why, index = best.get("why"), best.get("index")
    if not isinstance(why, str) or not why or type(index) is not int:
        return ""
    return f"Variation {index + 1} lies on top: {one_line(why)}."


def texts(result: dict) -> list[str]:
    """What a method of result `text` has said, the likeliest first; nothing of any other result."""
    found = result.get("texts")
    lines = [one_line(text) for text in found if isinstance(text, str)] if isinstance(found, list) else []
    return [line for line in lines if line]


def one_line(text: str, most: int = MAX_TEXT) -> str:
    """The text as `texts` may hold it: normal form C, single spaces, no line break, cut where too long."""
    return " ".join(normalize("NFC", text).split())[:most].rstrip()
