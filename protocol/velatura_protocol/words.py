"""The words of a prompt, and the entries of a group that is about them (SPEC section 6, `x-words`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from unicodedata import combining, normalize

from .reading import is_number

ALIKE = 0.5  #: the least share of equal words for a text to be described by its differences from another
_MOST_PAIRS = 100_000  # of words to compare; more would take too long
Value = str | int | float | bool | None  #: of a field of an entry; None is no raster
Entry = dict[str, Value]  #: of a group of a request's parameters
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True)
class Word:
    """A word, or a run of neighbouring ones, of a prompt.

    text: prompt[start:end]. which: its number among equal words, counted from the left, from 1, without
    regard to case and to the encoding of accents.
    """

    text: str
    start: int
    end: int
    which: int

    @property
    def called(self) -> str:
        """The word, with its number where it is not the first of its equals: "hat (2)"."""
        return self.text if self.which == 1 else f"{self.text} ({self.which})"


def words(prompt: str) -> list[Word]:
    """The words from left to right: runs of letters and digits, with apostrophes and hyphens inside."""
    seen: dict[str, int] = {}
    there: list[Word] = []
    for start, end, key in _places(prompt):
        seen[key] = seen.get(key, 0) + 1
        there.append(Word(prompt[start:end], start, end, seen[key]))
    return there


def find(prompt: str, text: str, which: int = 1) -> Word | None:
    """The which-th place where the words of `text` follow each other in the prompt; None if there is none.

    Words are compared without regard to case, so that "cat," finds "Cat". Places of a text of several words
    do not overlap.
    """
    wanted = [key for _, _, key in _places(text)]
    there = _places(prompt)
    keys = [key for _, _, key in there]
    i, seen = 0, 0
    while wanted and i + len(wanted) <= len(keys):
        if keys[i : i + len(wanted)] != wanted:
            i += 1
            continue
        seen += 1
        if seen == which:
            start, end = there[i][0], there[i + len(wanted) - 1][1]
            return Word(prompt[start:end], start, end, which)
        i += len(wanted)
    return None


def replace(prompt: str, word: Word, new: str) -> str:
    """The prompt with `new` where `word`, one of its own, stands."""
    return prompt[: word.start] + new + prompt[word.end :]


def keys(text: str) -> list[str]:
    """A key of each word of a text: equal for words that differ only in case or the encoding of accents."""
    return [key for _, _, key in _places(text)]


@dataclass(frozen=True)
class Change:
    """A difference between a caption and a prompt.

    before: the caption's words. after: the prompt's words in their place, prompt[start:end]. Either may be
    "".
    """

    before: str
    after: str
    start: int
    end: int


def differences(caption: str, prompt: str) -> list[Change]:
    """The differences of the prompt from the caption, from left to right; [] if too unlike or too long.

    An "and" is ignored: in a list it means no more than the commas.
    """
    old, new = ([w for w in words(text) if w.text.casefold() != "and"] for text in (caption, prompt))
    if len(old) * len(new) > _MOST_PAIRS:
        return []
    kept = _kept([w.text.casefold() for w in old], [w.text.casefold() for w in new])
    if 2 * len(kept) < ALIKE * (len(old) + len(new)):
        return []
    differing: list[Change] = []
    i, j = 0, 0
    for i_kept, j_kept in [*kept, (len(old), len(new))]:
        before, after = (" ".join(w.text for w in run) for run in (old[i:i_kept], new[j:j_kept]))
        if before or after:
            span = (new[j].start, new[j_kept - 1].end) if after else (0, 0)
            differing.append(Change(before, after, *span))
        i, j = i_kept + 1, j_kept + 1
    return differing


def changes(caption: str, prompt: str) -> str:
    """The differences of the prompt from the caption, as "brown → red, + glasses"; "" if too unlike or too
    long."""
    return ", ".join(arrow(change.before, change.after) for change in differences(caption, prompt))


def arrow(before: str, after: str) -> str:
    """A change in writing: "brown → red", "+ glasses" or "− beard"; "" where both are empty."""
    if before and after:
        return f"{before} → {after}"
    return f"+ {after}" if after else f"− {before}" if before else ""


def _kept(old: list[str], new: list[str]) -> list[tuple[int, int]]:
    """The places of the words that both have: the common subsequence with the most letters ("short hair"
    rather than "and"); between equal ones, the one whose next words are equal too."""

    def weight(i: int, j: int) -> int:
        goes_on = old[i + 1 : i + 2] == new[j + 1 : j + 2] != []
        return 2 * len(old[i]) + goes_on if old[i] == new[j] else 0

    best = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]  # of old[i:] and new[j:]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            best[i][j] = max(best[i + 1][j + 1] + weight(i, j), best[i + 1][j], best[i][j + 1])
    places: list[tuple[int, int]] = []
    i, j = 0, 0
    while i < len(old) and j < len(new):
        if weight(i, j) and best[i][j] == best[i + 1][j + 1] + weight(i, j):
            places.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return places


def named(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that name a word: those whose `text` is not empty and not only white space."""
    return [entry for entry in entries if str(entry["text"]).strip()]


def place(entry: Mapping[str, Value], prompt: str) -> Word | None:
    """The place of an entry's word in the prompt; None if the prompt does not have it."""
    which = entry.get("which", 1)
    return find(prompt, str(entry.get("text", "")), int(which) if is_number(which) else 1)


def _places(prompt: str) -> list[tuple[int, int, str]]:
    """The start and end of each word, in the prompt as it was given, and the word's key (see `keys`)."""
    composed = normalize("NFC", prompt)
    begins, ends = _origins(prompt) if composed != prompt else (range(len(prompt)), range(1, len(prompt) + 1))
    return [
        (begins[m.start()], ends[m.end() - 1], normalize("NFC", m.group().casefold()))
        for m in WORD.finditer(composed)
    ]


def _origins(prompt: str) -> tuple[list[int], list[int]]:
    """For each character of the prompt's normal form C, the start and end of the characters it comes from."""
    begins: list[int] = []
    ends: list[int] = []
    for start, end in _clusters(prompt):
        piece = normalize("NFC", prompt[start:end])
        if piece == prompt[start:end]:
            begins += range(start, end)
            ends += range(start + 1, end + 1)
        else:  # as one piece: its characters cannot be matched one to one
            begins += [start] * len(piece)
            ends += [end] * len(piece)
    return begins, ends


def _clusters(text: str) -> Iterable[tuple[int, int]]:
    """The shortest spans whose normal forms, concatenated, are the text's normal form (Unicode UAX 15)."""
    start = 0
    for i, char in enumerate(text):
        # a mark may change places with the next one, and so reach the letter before
        if i == start or combining(normalize("NFD", char)[0]):
            continue
        before, both = normalize("NFC", text[start:i]), normalize("NFC", text[start : i + 1])
        if both == before + normalize("NFC", char):
            yield start, i
            start = i
    if text:
        yield start, len(text)
