"""The two texts that a dial leads between, made from the layer's caption and what a person wrote.

Pure text: no network. A person writes as little as they like: one word of the caption, something that the
layer does not have yet, or a pair of opposites.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from velatura_protocol import words
from velatura_protocol.errors import VelaturaError

_SEPARATORS = frozenset({"and", "with", "wearing", "without", "has", "having", "holding", "plus"})
"""Words between the items of a caption, besides commas; English."""
_PLACES = frozenset({"at", "behind", "below", "by", "in", "near", "of", "on", "over", "under"})


class Texts(NamedTuple):
    """away, toward: two captions; the dial's direction is from the first to the second."""

    away: str
    toward: str


def of_dial(caption: str, less: str, more: str) -> Texts:
    """The two captions that a dial leads between.

    Args:
        caption: what the layer shows.
        less: what the dial leads away from: words of the caption, words of its own, or nothing.
        more: what it leads towards: likewise.

    Words of the caption in `less` give way to `more`, or are taken out where `more` is empty. With `less`
    empty, `more` is either in the caption, and the dial leads from the caption without it, or is added to
    it. A text that has most words of the caption is a caption itself. Raises `bad-request` where there is
    nothing to lead towards or away from.
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
    """Whether the text says at least half of what the caption says, and so is one itself."""
    known = {word.text.casefold() for word in words.words(caption)}
    said = {word.text.casefold() for word in words.words(text)}
    return len(known & said) >= max(3.0, words.ALIKE * len(known))


def _whole(caption: str, text: str) -> str:
    """The text as a caption: as it is, or as one more item of the layer's."""
    if not caption.strip() or _is_caption(caption, text):
        return text
    return f"{caption.rstrip().rstrip(',.;')}, {text}"


def _put(caption: str, text: str, new: str) -> str:
    """The caption with `new` in the place of the words `text`; without them, and what belongs to them, if
    `new` is empty."""
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
    """The characters to take out: the words themselves, and where they end an item of a list ("a short
    beard", "blue eyes"), all of it but not the caption's first, which is its subject."""
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
    """What stood left and right of words that were taken out, without a separator that joins nothing now."""
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
    """What stands before a changed place, its article as the new words want it ("a" or "an").

    Only where it was right for the old ones: in other languages, and in names, it is another word.
    """
    article = re.search(r"\b([Aa]n?)(\s+)$", before)
    if article is None or not words.words(new) or (article[1].lower() == "an") != _begins_with_vowel(old):
        return before
    right = "an" if _begins_with_vowel(new) else "a"
    right = right.capitalize() if article[1][0] == "A" else right
    return before[: article.start()] + right + article[2]


def _begins_with_vowel(text: str) -> bool:
    return text.lstrip()[:1].lower() in {"a", "e", "i", "o", "u"}
