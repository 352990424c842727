"""The two texts of a dial, made from the layer's caption and a person's words.

Only text, no network. A person may write one word of the caption, something that the layer does not have yet,
or a pair of opposites.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from velatura_protocol import words
from velatura_protocol.errors import VelaturaError

_SEPARATORS = frozenset({"and", "with", "wearing", "without", "has", "having", "holding", "plus"})
"""Words that separate the items of a caption, besides commas. English."""
_PLACES = frozenset({"at", "behind", "below", "by", "in", "near", "of", "on", "over", "under"})


class Texts(NamedTuple):
    """Two captions; the dial leads from `away` to `toward`."""

    away: str
    toward: str


def of_dial(caption: str, less: str, more: str) -> Texts:
    """The two captions that a dial leads between.

    Args:
        caption: what the layer shows.
        less: the words that the dial leads away from: words of the caption, other words, or ''.
        more: the words that it leads towards, likewise.

    If `less` is in the caption, `more` replaces it, or it is removed if `more` is empty. If `less` is empty
    and `more` is in the caption, the dial leads from the caption without it; otherwise `more` is added to the
    caption. A text with most words of the caption counts as a whole caption. Raises `bad-request` if both are
    empty.
    """
    less, more = (text.strip() if words.words(text) else "" for text in (less, more))
    if not less and not more:
        raise VelaturaError("bad-request", "A dial needs words; write what there should be more of.")
    if words.find(caption, less) is not None and not _is_caption(caption, less):
        return Texts(caption, _put(caption, less, more))
    if not less:
        if words.find(caption, more) is not None and not _is_caption(caption, more):
            return Texts(_put(caption, more, ""), caption)
        return Texts(caption, _whole(caption, more))
    return Texts(_whole(caption, less), _whole(caption, more) if more else caption)


def _is_caption(caption: str, text: str) -> bool:
    """Whether the text has at least half of the caption's words, and so counts as a whole caption."""
    known = {word.text.casefold() for word in words.words(caption)}
    written = {word.text.casefold() for word in words.words(text)}
    return len(known & written) >= max(3.0, words.ALIKE * len(known))


def _whole(caption: str, text: str) -> str:
    """The text as a caption: unchanged, or as one more item of the layer's caption."""
    if not caption.strip() or _is_caption(caption, text):
        return text
    return f"{caption.rstrip().rstrip(',.;')}, {text}"


def _put(caption: str, text: str, new: str) -> str:
    """The caption with `new` in place of the words `text`. If `new` is empty, the words and the rest of their
    item are removed."""
    place = words.find(caption, text)
    if place is None:
        raise ValueError(text)
    if words.words(new):
        before = _agreeing(caption[: place.start], place.text, new)
        return before + new + caption[place.end :]
    start, end = _item(caption, place)
    is_item = start < place.start or _ends_item(caption, end)
    right = caption[end:].strip(" ,")
    left = _agreeing(caption[:start], caption[start:end], right).rstrip(" ,")
    return _joined(left, right, is_item)


def _item(caption: str, place: words.Word) -> tuple[int, int]:
    """The characters to remove: the words themselves or, if they end an item of a list ("a short beard",
    "blue eyes"), the whole item. The caption's first item is its subject and stays."""
    if not _ends_item(caption, place.end):
        return place.start, place.end
    start = place.start
    for word in reversed([word for word in words.words(caption) if word.end <= place.start]):
        if caption[word.end : start].strip() or word.text.casefold() in _SEPARATORS:
            return start, place.end
        start = word.start
    return place.start, place.end


def _ends_item(caption: str, end: int) -> bool:
    rest = caption[end:].lstrip()
    after = words.words(rest)[:1]
    return not rest or not rest[0].isalnum() or bool(after and after[0].text.casefold() in _SEPARATORS)


def _joined(left: str, right: str, was_item: bool) -> str:
    """The texts left and right of removed words, joined without a separator that separates nothing."""
    before, after = words.words(left)[-1:], words.words(right)[:1]
    if before and before[0].text.casefold() in _SEPARATORS:
        if after and after[0].text.casefold() == "and":
            right = right[after[0].end :].lstrip()
        elif not after or after[0].text.casefold() in _SEPARATORS | _PLACES:
            left = left[: before[0].start].rstrip(" ,")
    elif was_item and after and after[0].text.casefold() not in _SEPARATORS | _PLACES:
        left += ","
    return f"{left} {right}".strip()


def _agreeing(before: str, old: str, new: str) -> str:
    """The text before a changed place, with its article adapted to the new words ("a" or "an").

    The article is adapted only if it agreed with the old words; otherwise it is another word, as in other
    languages or in names.
    """
    article = re.search(r"\b([Aa]n?)(\s+)$", before)
    if article is None or not words.words(new) or (article[1].lower() == "an") != _begins_with_vowel(old):
        return before
    right = "an" if _begins_with_vowel(new) else "a"
    right = right.capitalize() if article[1][0] == "A" else right
    return before[: article.start()] + right + article[2]


def _begins_with_vowel(text: str) -> bool:
    return text.lstrip()[:1].lower() in {"a", "e", "i", "o", "u"}
