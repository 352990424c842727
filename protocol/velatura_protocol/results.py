"""The content of a result (SPEC section 4): layers in the order in which a person sees them, or texts."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import normalize

from .reading import JsonObject, as_list

MAX_LAYERS = 80  # of one result; the text encoders of Stable Diffusion read at most 75 words
MAX_TEXTS = 16  # of one result
MAX_TEXT = 2000  # characters of a text
MAX_TITLE = 100  # characters of a job's or a layer's title
MAX_NOTE = 500  # characters of a note
NOTHING_SAID = "Nothing could be said about this {}; write what it shows."  #: of a layer, of a picture


def best_first(layers: Sequence[JsonObject]) -> list[JsonObject]:
    """The layers by `rank`; in their own order where the ranks are not those of SPEC section 4."""
    by_rank = {rank: layer for layer in layers if type(rank := layer.get("rank")) is int}
    if by_rank.keys() != set(range(len(layers))):
        return list(layers)
    return [by_rank[rank] for rank in range(len(layers))]


def best_because(layers: Sequence[JsonObject]) -> str:
    """A sentence that names the layer on top and the reason; '' where the daemon gives no reason."""
    best = next((layer for layer in layers if layer.get("rank") == 0), JsonObject())
    why, index = best.get("why"), best.get("index")
    if not isinstance(why, str) or not why or type(index) is not int:
        return ""
    return f"Variation {index + 1} lies on top: {one_line(why)}."


def texts(result: JsonObject) -> list[str]:
    """The texts of a method of result `text`, the likeliest first; [] for any other result."""
    lines = [one_line(text) for text in as_list(result.get("texts")) or () if isinstance(text, str)]
    return [line for line in lines if line]


def one_line(text: str, most: int = MAX_TEXT) -> str:
    """The text in one line: normal form C, single spaces, no line break, at most `most` characters."""
    return " ".join(normalize("NFC", text).split())[:most].rstrip()
