"""What is set for the words of a prompt, and how it stays with its word while the prompt is edited.

No Qt here.  A setting is kept by where its word stands, not by the word: so a second "cat" that is typed in
front of the first one does not take its settings, and a word whose spelling is put right keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .velatura_protocol.schema import Field
from .velatura_protocol.words import Word, find, replace, settle, words

there_are = lru_cache(maxsize=4)(words)  # asked for several times at each key


@dataclass(eq=False)
class Mark:
    """What is set for prompt[start:end], which reaches into one word or more."""

    start: int
    end: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """A word as it is shown, or several for which one thing is set together; mark: None if nothing is."""

    word: Word
    mark: Mark | None


class Wording:
    """A prompt and the marks on it.  spec: a group that is about words of the prompt."""

    def __init__(self, spec: Field) -> None:
        self.spec = spec
        self.prompt = ""
        self.marks: list[Mark] = []
        self._text = next(f for f in spec.fields if f.key == "text")
        self.fields = [f for f in spec.fields if f.key not in ("text", "which")] or [listed(spec)]
        self.is_list = self.fields[0].key not in {f.key for f in spec.fields}

    def defaults(self) -> dict[str, Any]:
        return {f.key: f.default for f in self.fields}

    def is_set(self, mark: Mark | None) -> bool:
        return mark is not None and mark.values != self.defaults()

    def pieces(self) -> list[Piece]:
        """The prompt's words from left to right.  Of two marks on a word the first one counts."""
        there = there_are(self.prompt)
        owner: dict[int, Mark] = {}
        for mark in self.marks:
            at = [i for i, word in enumerate(there) if word.start < mark.end and word.end > mark.start]
            if not any(i in owner for i in at):
                owner.update(dict.fromkeys(at, mark))
        found: list[Piece] = []
        for i, word in enumerate(there):
            mark = owner.get(i)
            if mark is not None and found and found[-1].mark is mark:
                found[-1] = Piece(self._phrase(found[-1].word.start, word.end), mark)
            else:
                found.append(Piece(word, mark))
        return found

    def piece_of(self, mark: Mark | None) -> Piece | None:
        return next((p for p in self.pieces() if mark is not None and p.mark is mark), None)

    def _phrase(self, start: int, end: int) -> Word:
        text, which = self.prompt[start:end], 1
        while (word := find(self.prompt, text, which)) is not None and word.start < start:
            which += 1
        return Word(text, start, end, which)

    # What is set

    def mark(self, word: Word) -> Mark:
        """The mark of a word, a new one if it has none."""
        for piece in self.pieces():
            if piece.word.start == word.start and piece.mark is not None:
                return piece.mark
        self.marks.append(Mark(word.start, word.end, self.defaults()))
        return self.marks[-1]

    def tidy(self, keep: Mark | None = None) -> None:
        """Forget marks that say nothing."""
        self.marks = [m for m in self.marks if m is keep or self.is_set(m)]

    def entries(self) -> list[dict[str, Any]]:
        """The group's value for the prompt as it stands."""
        found = []
        for piece in self.pieces():
            if self.is_set(piece.mark) and len(piece.word.text) <= self._text.max_length:
                own = {} if self.is_list else piece.mark.values
                found.append({"text": piece.word.text, "which": piece.word.which, **own})
        return settle(found, self.prompt)[: self.spec.max_items]

    def load(self, entries: list[dict[str, Any]]) -> None:
        """Set what these entries say; those whose word the prompt does not have are left out."""
        self.marks = []
        for entry in settle(entries, self.prompt):
            word = find(self.prompt, entry.get("text", ""), entry.get("which", 1))
            own = {f.key: entry.get(f.key, f.default) for f in self.fields}
            self.marks.append(
                Mark(word.start, word.end, {listed(self.spec).key: True} if self.is_list else own)
            )

    # The prompt changes

    def follow(self, prompt: str, cursor: int = -1) -> None:
        """The prompt was edited; cursor: where the person's stands now, in characters, if that is known."""
        start, old_end, new_end = difference(self.prompt, prompt, cursor)
        self.prompt = prompt
        for mark in self.marks:
            mark.start, mark.end = moved(mark.start, mark.end, start, old_end, new_end)
        at = there_are(prompt)
        self.marks = [m for m in self.marks if any(w.start < m.end and w.end > m.start for w in at)]

    def swap(self, word: Word, new: str) -> None:
        """Put `new` in the word's place; what was set for it is set for that."""
        self._edit(replace(self.prompt, word, new), word.start, word.end, word.start + len(new))

    def add(self, word: Word, new: str, before: bool) -> None:
        """Put `new` before the word or after it."""
        at, text = (word.start, new + " ") if before else (word.end, " " + new)
        self._edit(self.prompt[:at] + text + self.prompt[at:], at, at, at + len(text))

    def remove(self, word: Word) -> None:
        """Take the word out, and one of the two spaces that would stand side by side."""
        start, end = word.start, word.end
        if self.prompt[end : end + 1] == " " and self.prompt[start - 1 : start] in ("", " "):
            end += 1
        elif self.prompt[start - 1 : start] == " " and not self.prompt[end : end + 1].isalnum():
            start -= 1
        self._edit(self.prompt[:start] + self.prompt[end:], start, end, start)

    def _edit(self, prompt: str, start: int, old_end: int, new_end: int) -> None:
        for mark in self.marks:
            mark.start, mark.end = moved(mark.start, mark.end, start, old_end, new_end)
        self.prompt = prompt
        self.follow(prompt)


def listed(spec: Field) -> Field:
    """The one setting of words for which nothing can be set: whether they are meant."""
    return Field("listed", "boolean", spec.title, spec.description, False)


def difference(old: str, new: str, cursor: int = -1) -> tuple[int, int, int]:
    """old[start:old_end] was replaced by new[start:new_end].

    Where several places would explain it ("cat" to "ccat"), the edit is the one that ends at the cursor.
    """
    tail = len(new) - cursor
    if cursor < 0 or tail > len(old) or not old.endswith(new[cursor:]):
        start = common(old, new)
        tail = common(old[start:][::-1], new[start:][::-1])
    else:
        start = common(old[: len(old) - tail], new[: len(new) - tail])
    return start, len(old) - tail, len(new) - tail


def common(a: str, b: str) -> int:
    """How many characters they have in common from the start."""
    return next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), min(len(a), len(b)))


def moved(start: int, end: int, at: int, old_end: int, new_end: int) -> tuple[int, int]:
    """A span after [at, old_end) became [at, new_end); of no length if nothing of it is left."""
    if old_end <= start:
        return start + new_end - old_end, end + new_end - old_end
    if at >= end:
        return start, end
    start = start if start <= at else new_end
    return start, max(start, end + new_end - old_end if end >= old_end else at)
