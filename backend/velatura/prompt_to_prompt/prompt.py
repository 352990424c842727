"""Where a prompt's words stand, and which tokens a text encoder reads them as.

Places are ranges of the prompt's characters as it was typed. Words are told apart in its composed form
(Unicode's NFC), which is what CLIP reads: "é" is one letter, whether it was typed as one character or as two.
"""

from __future__ import annotations

from dataclasses import dataclass
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

    One word or several, whatever stands between them; case does not count. Places do not overlap.
    Raises `bad-request` if there is no such place.
    """
    places, wanted = _Places(prompt), normalize("NFC", text)
    found = composed.find(places.composed, wanted, which)
    if found is None:
        raise VelaturaError("bad-request", _why_not(places.composed, wanted, which))
    return places.word(found)


def find_all(prompt: str, text: str) -> list[Word]:
    """Every place that `find` finds, from left to right; none where the words are not there."""
    places, wanted = _Places(prompt), normalize("NFC", text)
    return [places.word(found) for found in _every(places.composed, wanted)]


def _every(prompt: str, text: str) -> list[Word]:
    found: list[Word] = []
    while word := composed.find(prompt, text, len(found) + 1):
        found.append(word)
    return found


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
    """The span with the phrase that its last word governs, if that is a preposition or "no": such a word is
    nowhere in a picture, but "without a beard" is where "a beard" is.

    The phrase goes on to what is no word, a conjunction or the next preposition ("of" is within it). English
    only; of other languages spans stay as they are.
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
    """A prompt as L tokens: the mark of its beginning, its content, the mark of its end, padding.

    ids: of all L. spans: the characters that a token was read from; (0, 0) for marks and padding, but it is
    `content` that says which tokens these are. content: indices of the tokens that come from the prompt.
    """

    ids: list[int]
    spans: list[Span]
    content: range

    @property
    def length(self) -> int:
        """L."""
        return len(self.ids)

    @property
    def bos(self) -> int:
        """Index of the mark of the beginning."""
        return self.content.start - 1

    @property
    def eos(self) -> int:
        """Index of the mark of the end."""
        return self.content.stop

    @property
    def padding(self) -> range:
        """Indices behind the mark of the end. With CLIP's own tokenizers padding repeats that mark."""
        return range(self.eos + 1, self.length)


def tokens(read: Tokenized, prompt: str) -> Tokens:
    """The prompt's tokens with the characters that belong to each. read: by the model, of this prompt."""
    places = _Places(prompt)
    return Tokens(read.ids, [places.whole(start, end) for start, end in read.offsets], read.content)


def indices(tokens: Tokens, span: Span) -> list[int]:
    """The tokens that were read from any of these characters; of a word there is at least one."""
    start, end = span
    return [i for i in tokens.content if tokens.spans[i][0] < end and start < tokens.spans[i][1]]


class _Places:
    """A prompt's composed form, and the way back from it to the prompt's own characters.

    The tokenizer's offsets, too, refer to the prompt as it was typed, whatever spaces, capitals or emoji it
    has. But where characters compose, a token gets only the first of them, and where accents change their
    order, a neighbour's place. Both stay within a cluster, so whole clusters are right.
    """

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        clusters = _clusters(prompt)
        forms = [normalize("NFC", prompt[start:end]) for start, end in clusters]
        self.composed = "".join(forms)
        self._of_composed = [span for span, form in zip(clusters, forms, strict=True) for _ in form]
        self._of_typed = [span for span in clusters for _ in range(*span)]

    def word(self, word: Word) -> Word:
        """A word of the composed form, where it stands in the prompt."""
        start, end = self._of_composed[word.start][0], self._of_composed[word.end - 1][1]
        return Word(self.prompt[start:end], start, end, word.which)

    def whole(self, start: int, end: int) -> Span:
        """Characters of the prompt with all that they compose with; (0, 0) stays."""
        return (self._of_typed[start][0], self._of_typed[end - 1][1]) if start < end else (0, 0)


def _clusters(text: str) -> list[Span]:
    """The smallest parts whose composed forms, one after the other, are the whole's."""
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
