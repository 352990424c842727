"""Marks on words of a prompt. `following` moves them along with an edit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from .words import Word, find, words


@lru_cache(maxsize=8)  # asked for several times at each key
def words_of(prompt: str) -> tuple[Word, ...]:
    """`words.words`, cached."""
    return tuple(words(prompt))


@dataclass(frozen=True)
class Mark:
    """A mark on a word of the prompt, or on several neighbouring words together.

    Attributes:
        id: its number.
        start: prompt[start:end] overlaps each of these words; it need not cover them.
        end: see start.
        text: the words in their last form; while they are deleted bit by bit, in the form before that.
        waits: whether the prompt has lost the words; then start is the place where they were.
        is_open: whether the last edit deleted them and nothing else.
        is_fresh: whether the words were typed anew letter by letter, so that more letters may make other
        words.
    """

    id: int
    start: int
    end: int
    text: str
    waits: bool = False
    is_open: bool = False
    is_fresh: bool = False


@dataclass(frozen=True)
class Edit:
    """The replacement of old[start:old_end] by new[start:new_end]."""

    start: int
    old_end: int
    new_end: int

    @property
    def inverse(self) -> Edit:
        return Edit(self.start, self.new_end, self.old_end)

    @property
    def growth(self) -> int:
        """The number of characters that the text gains."""
        return self.new_end - self.old_end

    @property
    def is_insertion(self) -> bool:
        return self.start == self.old_end

    @property
    def is_deletion(self) -> bool:
        return self.start == self.new_end

    def then(self, later: Edit) -> Edit:
        """This edit and the later one as one."""
        middle = max(self.new_end, later.old_end)
        return Edit(min(self.start, later.start), middle - self.growth, middle + later.growth)


@dataclass(frozen=True)
class Moment:
    """The marks on an earlier prompt, and the edit that was made to it then."""

    prompt: str
    marks: tuple[Mark, ...]
    edit: Edit


@dataclass(frozen=True)
class Marked:
    """A prompt with its marks. past: its history, the newest moment last. next_id: the next mark's number."""

    prompt: str = ""
    marks: tuple[Mark, ...] = ()
    past: tuple[Moment, ...] = ()
    next_id: int = 1


@dataclass(frozen=True)
class Piece:
    """A word as it is shown, or several with one mark. mark: None where there is none."""

    word: Word
    mark: Mark | None


def pieces(marked: Marked) -> list[Piece]:
    """The prompt's words from left to right. Where two marks overlap one word, the first mark counts."""
    there = words_of(marked.prompt)
    owners = _owners(there, marked.marks)
    shown: list[Piece] = []
    for i, word in enumerate(there):
        mark = owners.get(i)
        if mark is not None and shown and shown[-1].mark is mark:
            shown[-1] = Piece(_phrase(marked.prompt, shown[-1].word.start, word.end), mark)
        else:
            shown.append(Piece(word, mark))
    return shown


def add(marked: Marked, word: Word) -> tuple[Marked, int]:
    """`marked` with a new mark on this word of the prompt, and the mark's number."""
    number = marked.next_id
    mark = Mark(number, word.start, word.end, word.text)
    return replace(marked, marks=(*marked.marks, mark), next_id=number + 1), number


def wait(marked: Marked, text: str) -> tuple[Marked, int]:
    """`marked` with a new mark that waits for these words, and the mark's number."""
    number = marked.next_id
    mark = Mark(number, 0, 0, text, waits=True)
    return replace(marked, marks=(*marked.marks, mark), next_id=number + 1), number


def keep(marked: Marked, ids: Iterable[int]) -> Marked:
    """`marked` with only the marks of these numbers."""
    kept = set(ids)
    return replace(marked, marks=tuple(mark for mark in marked.marks if mark.id in kept))


def difference(old: str, new: str, cursor: int = -1) -> Edit:
    """The smallest edit that turns `old` into `new`.

    Several edits may do so ("cat" to "cat cat"). Then it is the one that ends at the cursor; without a
    cursor, or where none ends there, the rightmost one.
    """
    start, tail = _alike(old, new), _alike(old[::-1], new[::-1])
    shorter, growth = min(len(old), len(new)), len(new) - len(old)
    begin = cursor - max(0, growth)
    if shorter - tail <= begin <= start:
        start = begin
    tail = min(tail, shorter - start)
    return Edit(start, len(old) - tail, len(new) - tail)


def _owners(there: Sequence[Word], marks: Iterable[Mark]) -> dict[int, Mark]:
    """The mark of each word that has one, by the word's place in `there`."""
    owners: dict[int, Mark] = {}
    for mark in marks:
        at = [i for i, w in enumerate(there) if not mark.waits and w.start < mark.end and w.end > mark.start]
        if not any(i in owners for i in at):
            owners.update(dict.fromkeys(at, mark))
    return owners


def _phrase(prompt: str, start: int, end: int) -> Word:
    text, which = prompt[start:end], 1
    while (word := find(prompt, text, which)) is not None and word.start < start:
        which += 1
    return Word(text, start, end, which)


def _alike(a: str, b: str) -> int:
    """The length of the common prefix."""
    pairs = zip(a, b)  # noqa: B905 - to the end of the shorter one
    return next((i for i, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))
