"""The texts that a field has held, to undo and redo what was typed. Nothing here imports GIMP."""

from __future__ import annotations

_MOST = 200  # steps that are kept


class History:
    """now: the text as it was last noted. Letters typed in a row are one step."""

    def __init__(self, text: str) -> None:
        self.now = text
        self._past: list[str] = []
        self._future: list[str] = []
        self._row: int | None = None  # where the next letter of a row of letters would be

    def note(self, text: str) -> None:
        """The text has been changed."""
        if text == self.now:
            return
        start, removed, inserted = difference(self.now, text)
        is_letter = not removed and len(inserted) == 1 and not inserted.isspace()
        if not (is_letter and start == self._row):
            self._past = [*self._past[1 - _MOST :], self.now]
        self._row = start + 1 if is_letter else None
        self._future.clear()
        self.now = text

    def undo(self) -> str:
        """The text as it was a step before."""
        return self._go(self._past, self._future)

    def redo(self) -> str:
        """The text as it was before the last undo."""
        return self._go(self._future, self._past)

    def _go(self, there: list[str], back: list[str]) -> str:
        if there:
            back.append(self.now)
            self.now, self._row = there.pop(), None
        return self.now


def difference(old: str, new: str) -> tuple[int, int, str]:
    """(start, removed, inserted): the one edit that makes `new` of `old`."""
    start = _alike(old, new)
    end = _alike(old[start:][::-1], new[start:][::-1])
    return start, len(old) - end - start, new[start : len(new) - end]


def _alike(a: str, b: str) -> int:
    """How many characters both begin with."""
    pairs = zip(a, b, strict=False)
    return next((i for i, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))
