"""The places of a prompt's words, and the tokens that a text encoder reads them as.

Places are ranges of characters in the prompt as typed. Words are separated in its composed form (Unicode's
NFC), which CLIP reads: "é" is one letter, whether it was typed as one character or as two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from unicodedata import combining, normalize

from velatura.diffusion.network import Tokenized
from velatura_protocol import words as composed
from velatura_protocol.errors import VelaturaError
from velatura_protocol.words import Word

Span = tuple[int, int]
"""Characters [start, end) of a prompt."""

_PREPOSITIONS = frozenset(
    (
        *("about", "above", "across", "against", "along", "among", "around", "at", "before", "behind"),
        *("below", "beneath", "beside", "between", "beyond", "by", "down", "for", "from", "in", "inside"),
        *(
            "into",
            "near",
            "off",
            "on",
            "onto",
            "out",
            "outside",
            "over",
            "through",
            "to",
            "toward",
            "towards",
        ),
        *("under", "underneath", "up", "upon", "with", "within", "without"),
    )
)
_CONJUNCTIONS = frozenset({"and", "but", "or", "while"})


def words(prompt: str) -> list[Word]:
    """The words from left to right, by the rule of SPEC section 6."""
    places = _Places(prompt)
    return [places.word(word) for word in composed.words(places.composed)]


def find(prompt: str, text: str, which: int = 1) -> Word:
    """The which-th place, counted from 1 at the left, where the words of `text` follow each other.

    The text may be one word or several; characters between the words and case are ignored. Places do not
    overlap. Raises `bad-request` if there is no such place.
    """
    places, wanted = _Places(prompt), normalize("NFC", text)
    place = composed.find(places.composed, wanted, which)
    if place is None:
        raise VelaturaError("bad-request", _why_not(places.composed, wanted, which))
    return places.word(place)


def find_all(prompt: str, text: str) -> list[Word]:
    """Every place that `find` finds, from left to right; empty if the prompt lacks the words."""
    places, wanted = _Places(prompt), normalize("NFC", text)
    return [places.word(place) for place in _every(places.composed, wanted)]


def _every(prompt: str, text: str) -> list[Word]:
    places: list[Word] = []
    while word := composed.find(prompt, text, len(places) + 1):
        places.append(word)
    return places


def _why_not(prompt: str, text: str, which: int) -> str:
    if not composed.words(text):
        return f"{text!r:.60} is no word; name one of the prompt's words."
    there = len(_every(prompt, text))
    if not there:
        return f"The prompt has no {text!r:.60}; write it into the prompt or name one of its words."
    if there == 1:
        return f"{text!r:.60} stands once in the prompt; choose number 1, not {which}."
    return f"{text!r:.60} stands {there} times in the prompt; choose number 1 to {there}, not {which}."


def governed(prompt: str, span: Span) -> Span:
    """The span, extended by the phrase that its last word governs, if that word is a preposition or "no".
    Such a word has no place in a picture, but "without a beard" is where "a beard" is.

    The phrase ends before a punctuation mark, a conjunction or the next preposition ("of" is part of it).
    English only; spans in other languages stay unchanged.
    """
    start, end = span
    there = words(prompt)
    last = [word.text.casefold() for word in there if word.start < end and start < word.end][-1:]
    if not last or (last[0] not in _PREPOSITIONS and last[0] != "no"):
        return span
    for word in (word for word in there if word.start >= end):
        if prompt[end : word.start].strip() or word.text.casefold() in _PREPOSITIONS | _CONJUNCTIONS:
            break
        end = word.end
    return start, end


@dataclass(frozen=True)
class Tokens:
    """A prompt as the tokens of a text encoder: marks or a template's words, its content, marks, padding.

    Args:
        ids: of the encoder's tokens.
        spans: the characters that each token was read from, without space around them; (0, 0) for tokens that
            do not come from the prompt.
        content: the indices of the tokens that come from the prompt.
        further: the tokens of the model's other text encoders, which follow.
    """

    ids: list[int]
    spans: list[Span]
    content: range
    further: tuple[Tokens, ...] = ()

    @property
    def length(self) -> int:
        """L, of all encoders together."""
        return sum(len(part.ids) for part in self.parts)

    @property
    def parts(self) -> tuple[Tokens, ...]:
        """The tokens of each encoder, in order."""
        return (self, *self.further)

    @property
    def marks(self) -> range:
        """The indices of the marks behind the content: CLIP's and T5's end mark, the end of a template."""
        return range(self.content.stop, self.padding.start)

    @property
    def padding(self) -> range:
        """The indices of the encoder's padding: equal tokens at the end, but for the first token behind the
        content. CLIP's own tokenizers pad with their end mark."""
        end = start = len(self.ids)
        while start > self.content.stop + 1 and self.ids[start - 1] == self.ids[-1]:
            start -= 1
        return range(start, end)


def tokens(read: Tokenized, prompt: str) -> Tokens:
    """The prompt's tokens with the characters of each. read: the model's reading of this prompt."""
    places = _Places(prompt)
    spans = [places.whole(*_trimmed(prompt, span)) for span in read.offsets]
    return Tokens(read.ids, spans, read.content, tuple(tokens(more, prompt) for more in read.further))


def _trimmed(prompt: str, span: Span) -> Span:
    """The span without space around it: T5 and Qwen read the space before a word with the word."""
    start, end = span
    text = prompt[start:end]
    bare = text.strip()
    at = start + text.find(bare)
    return (at, at + len(bare)) if bare else span


def indices(tokens: Tokens, span: Span) -> list[int]:
    """The tokens that were read from any of these characters, of all encoders; at least one of each encoder
    for a word."""
    start, end = span
    return [i for i, (first, last) in _content(tokens) if first < end and start < last]


def content(tokens: Tokens) -> list[int]:
    """The indices of the tokens that come from the prompt, of all encoders."""
    return [i for i, _ in _content(tokens)]


def _content(tokens: Tokens) -> Iterator[tuple[int, Span]]:
    firsts = accumulate((len(part.ids) for part in tokens.parts), initial=0)
    for first, part in zip(firsts, tokens.parts, strict=False):
        for i in part.content:
            yield first + i, part.spans[i]


class _Places:
    """A prompt's composed form, and the mapping back to the prompt's own characters.

    The tokenizer's offsets also refer to the prompt as typed. But where characters compose, a token's offset
    has only the first of them, and where accents change their order, it has a neighbour's place. Both errors
    stay within a cluster, so whole clusters are right.
    """

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        clusters = _clusters(prompt)
        forms = [normalize("NFC", prompt[start:end]) for start, end in clusters]
        self.composed = "".join(forms)
        self._of_composed = [span for span, form in zip(clusters, forms, strict=True) for _ in form]
        self._of_typed = [span for span in clusters for _ in range(*span)]

    def word(self, word: Word) -> Word:
        """A word of the composed form, at its place in the prompt."""
        start, end = self._of_composed[word.start][0], self._of_composed[word.end - 1][1]
        return Word(self.prompt[start:end], start, end, word.which)

    def whole(self, start: int, end: int) -> Span:
        """The span, extended to whole clusters; (0, 0) stays unchanged."""
        return (self._of_typed[start][0], self._of_typed[end - 1][1]) if start < end else (0, 0)


def _clusters(text: str) -> list[Span]:
    """The smallest parts whose composed forms, joined, are the composed form of the text."""
    clusters: list[Span] = []
    for i, character in enumerate(text):
        if clusters and _joins(text[slice(*clusters[-1])], character):
            clusters[-1] = (clusters[-1][0], i + 1)
        else:
            clusters.append((i, i + 1))
    return clusters


def _joins(cluster: str, character: str) -> bool:
    """Whether a character belongs to the cluster before it: as an accent, or as Hangul's letters do."""
    if cluster.isascii() and character.isascii():
        return False
    if combining(normalize("NFD", character)[0]):
        return True
    return normalize("NFC", cluster + character) != normalize("NFC", cluster) + normalize("NFC", character)
