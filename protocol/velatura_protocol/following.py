"""Marks on words, moved along with the edits of a prompt.

A pure state machine from `Marked` and an edit to `Marked`: no host, no clock, immutable values.
`protocol/DESIGN.md` describes the behaviour and its reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from .marks import Edit, Mark, Marked, Moment, difference, pieces, words_of
from .words import Word, keys
from .words import replace as put_in_place

MOST_PAST = 200  #: edits that can be undone exactly
MOST_WAITING = 64  #: marks whose word is not in the prompt; beyond them the oldest is dropped
_MOST_PAIRS = 100_000  # of words to compare; more would take too long


def follow(before: Marked, prompt: str, cursor: int = -1) -> Marked:
    """The marks on `prompt` after the person has edited the prompt in `before`.

    Args:
        before: the prompt and its marks before the edit.
        prompt: the prompt after it.
        cursor: the position of the person's cursor in it, in characters; -1 where it is not known.
    """
    if prompt == before.prompt:
        return before
    return edited(before, difference(before.prompt, prompt, cursor), prompt)


def edited(before: Marked, edit: Edit, prompt: str) -> Marked:
    """The marks on `prompt` after this edit of the prompt in `before`."""
    back = _taken_back(before, edit, prompt)
    if back is not None:
        return back
    marks = _Change(before, edit, prompt).marks()
    waiting = [mark.id for mark in marks if mark.waits]
    forgotten = set(waiting[:-MOST_WAITING])
    marks = tuple(mark for mark in marks if mark.id not in forgotten)
    past = (*before.past[1 - MOST_PAST :], Moment(before.prompt, before.marks, edit))
    return replace(before, prompt=prompt, marks=marks, past=past)


def swapped(before: Marked, word: Word, new: str) -> Marked:
    """The state after `new` has replaced `word`, whose mark is then on all of the new words."""
    prompt = put_in_place(before.prompt, word, new)
    end = word.start + len(new)
    mark = next((p.mark for p in pieces(before) if p.word.start == word.start), None)
    after = follow(before, prompt, end)
    there = [w for w in words_of(prompt) if w.start < end and w.end > word.start]
    if mark is None or not there:
        return after
    start, end = there[0].start, there[-1].end
    placed = Mark(mark.id, start, end, prompt[start:end])
    return replace(after, marks=tuple(placed if m.id == mark.id else m for m in after.marks))


def _taken_back(before: Marked, edit: Edit, prompt: str) -> Marked | None:
    """The earlier state, where the edit exactly undoes the edits since; else None."""
    done: Edit | None = None
    for i in reversed(range(len(before.past))):
        moment = before.past[i]
        done = moment.edit if done is None else moment.edit.then(done)
        if moment.prompt == prompt and done.inverse == edit:
            then = {mark.id: mark for mark in moment.marks}
            change = _Change(before, edit, prompt)
            marks = tuple(then.get(mark.id) or change.moved(mark) for mark in before.marks)
            return replace(before, prompt=prompt, marks=marks, past=before.past[:i])
    return None


class _Change:
    """One edit: the words that it touched, and the new state of each mark.

    removed: touched words of the old prompt, from left to right. added: those of the new prompt. matches: the
    new words of each mark whose words were removed and added again among others.
    """

    def __init__(self, before: Marked, edit: Edit, prompt: str) -> None:
        self.before, self.edit, self.prompt = before, edit, prompt
        old, new = words_of(before.prompt), words_of(prompt)
        self._kept = {self._after(w) for w in old} & {(w.start, w.end) for w in new if self._is_beside(w)}
        self.removed = [w for w in old if self._after(w) not in self._kept]
        self.added = [w for w in new if (w.start, w.end) not in self._kept]
        self._pieces = {p.mark.id: p.word for p in pieces(before) if p.mark is not None}
        is_replacement = not (edit.is_insertion or edit.is_deletion)
        self.matches = self._match() if is_replacement else {}

    def _after(self, word: Word) -> tuple[int, int]:
        """The new place of an old word beside the edit; (-1, -1) for a word that the edit touches."""
        if word.end <= self.edit.start:
            return word.start, word.end
        growth = self.edit.growth
        return (word.start + growth, word.end + growth) if word.start >= self.edit.old_end else (-1, -1)

    def _is_beside(self, word: Word) -> bool:
        return word.end <= self.edit.start or word.start >= self.edit.new_end

    def marks(self) -> tuple[Mark, ...]:
        """All marks after the edit; those that begin to wait are last."""
        waited = {mark.id for mark in self.before.marks if mark.waits}
        marks = [self.moved(mark) for mark in self.before.marks]
        marks.sort(key=lambda mark: mark.waits and mark.id not in waited)
        for i in reversed(range(len(marks))):  # the word that was removed last comes back first
            if marks[i].waits:
                marks[i] = self._woken(marks[i], marks)
        now = {
            p.mark.id: p.word.text for p in pieces(Marked(self.prompt, tuple(marks))) if p.mark is not None
        }
        shortened = {mark.id for mark in self.before.marks if self._is_shortened(mark)}
        return tuple(
            mark if mark.id in shortened else replace(mark, text=now.get(mark.id, mark.text))
            for mark in marks
        )

    def _is_shortened(self, mark: Mark) -> bool:
        """Whether the edit deletes letters of the mark's words, or what is right beside them.

        Such a mark keeps its text: the person may be deleting the word letter by letter, and the last letter
        is not the word that will be typed again. Any other edit ends that.
        """
        if mark.waits or not self.edit.is_deletion:
            return False
        piece = self._pieces.get(mark.id, mark)
        start, end = min(mark.start, piece.start), max(mark.end, piece.end)
        return self.edit.start <= end and self.edit.old_end >= start

    def moved(self, mark: Mark) -> Mark:
        """The mark at the new place of its words; it waits if they are gone."""
        if mark.waits:
            return self._waiting(mark)
        own = self._own(mark)
        is_alone = bool(own) and len(own) == len(self.removed)
        if is_alone and self.added and mark.id not in self.matches:
            span = self._corrected(mark)
        elif mark.id in self.matches:
            there = self.matches[mark.id]
            span = there[0].start, there[-1].end
        else:
            span = self._by_letters(mark)
        there = [w for w in words_of(self.prompt) if w.start < span[1] and w.end > span[0]]
        if not there:
            is_open = self.edit.is_deletion and is_alone and not self.added
            return Mark(mark.id, self.edit.start, self.edit.start, mark.text, True, is_open)
        if not mark.is_fresh or not self.edit.is_insertion:
            return Mark(mark.id, *span, mark.text)
        if keys(self.prompt[there[0].start : there[-1].end]) != keys(mark.text):
            return Mark(mark.id, there[0].start, there[0].start, mark.text, True)
        return replace(mark, start=span[0], end=span[1], is_fresh=any(word in self.added for word in there))

    def _own(self, mark: Mark) -> list[Word]:
        """The words of the mark that were removed."""
        piece = self._pieces.get(mark.id)
        if piece is None:
            return []
        return [word for word in self.removed if piece.start <= word.start and word.end <= piece.end]

    def _corrected(self, mark: Mark) -> tuple[int, int]:
        """The place of a mark whose words are the only ones that the edit has changed."""
        start, end = self._by_letters(mark)
        is_replacement = not (self.edit.is_insertion or self.edit.is_deletion)
        piece = self._pieces[mark.id]
        rest = [self._after(w) for w in words_of(self.before.prompt) if piece.start <= w.start < piece.end]
        rest = [place for place in rest if place in self._kept]
        if is_replacement and not rest and len(self.added) > 1:
            return 0, 0  # several words for one: nobody can tell which of them is meant
        if is_replacement or end <= start:
            places = [*rest, *((w.start, w.end) for w in self.added)]
            return min(places)[0], max(places)[1]
        return start, end

    def _by_letters(self, mark: Mark) -> tuple[int, int]:
        """The place of the mark's letters; of length 0 if they are gone or replaced."""
        edit, (start, end) = self.edit, (mark.start, mark.end)
        if end <= edit.start:
            return start, end
        if start >= edit.old_end:
            return start + edit.growth, end + edit.growth
        if not (edit.is_insertion or edit.is_deletion):
            return 0, 0
        start = start if start <= edit.start else edit.new_end
        return start, max(start, end + edit.growth if end >= edit.old_end else edit.start)

    def _match(self) -> dict[int, list[Word]]:
        """For each mark on removed words, the same words among the added ones, in the same order.

        Words in another order are found like words that are typed again (`_woken`).
        """
        old, new = ([keys(word.text)[0] for word in there] for there in (self.removed, self.added))
        twins: dict[int, int] = {}
        if len(old) * len(new) <= _MOST_PAIRS:
            for i, j, size in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
                twins.update(zip(range(i, i + size), range(j, j + size), strict=True))
        matches: dict[int, list[Word]] = {}
        for mark in self.before.marks:
            own = self._own(mark)
            if not own or keys(self._pieces[mark.id].text) != [keys(word.text)[0] for word in own]:
                continue  # it also has words that the edit does not touch
            first = self.removed.index(own[0])
            at = [twins.get(i, -1) for i in range(first, first + len(own))]
            if at[0] >= 0 and at == list(range(at[0], at[0] + len(own))):
                matches[mark.id] = [self.added[j] for j in at]
        return matches

    def _waiting(self, mark: Mark) -> Mark:
        """A waiting mark at its new place, or on the word that is typed where its own was just deleted."""
        edit = self.edit
        is_here = mark.is_open and edit.is_insertion and edit.start == mark.start
        if is_here and len(self.added) == 1 and not self.removed:
            word = self.added[0]
            return Mark(mark.id, word.start, word.end, mark.text)
        start = mark.start
        if start > edit.start:
            start = start + edit.growth if start >= edit.old_end else edit.start
        return Mark(mark.id, start, start, mark.text, True)

    def _woken(self, mark: Mark, marks: Sequence[Mark]) -> Mark:
        """The mark on its words, if they are complete now and have no other mark.

        Not all of them need be added: the last word of a phrase is often typed after the others.
        """
        new = words_of(self.prompt)
        added = set(self.added)
        best: list[Word] = []
        for at in _runs([keys(word.text)[0] for word in new], keys(mark.text)) if added else ():
            there = [new[j] for j in at]
            if added.isdisjoint(there):
                continue
            start, end = there[0].start, there[-1].end
            if any(not m.waits and m.start < end and m.end > start for m in marks):
                continue
            if not best or abs(start - mark.start) < abs(best[0].start - mark.start):
                best = there
        if not best:
            return mark
        edit, (start, end) = self.edit, (best[0].start, best[-1].end)
        is_typed = edit.new_end - edit.start == 1 or start < edit.start or end > edit.new_end
        return Mark(mark.id, start, end, mark.text, is_fresh=is_typed)


def _runs(there: Sequence[str], wanted: Sequence[str]) -> Iterator[list[int]]:
    """The places where the wanted words follow each other."""
    for i in range(len(there) - len(wanted) + 1 if wanted else 0):
        if list(there[i : i + len(wanted)]) == list(wanted):
            yield list(range(i, i + len(wanted)))
