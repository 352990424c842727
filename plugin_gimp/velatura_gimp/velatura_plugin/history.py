"""The texts that a field has held, to undo and redo typing. Nothing here imports GIMP."""

from __future__ import annotations

from velatura_protocol.marks import Edit, difference

_MOST = 200  # steps that are kept


class History:
    """now: the last noted text. Letters typed in a row are one step."""

    def __init__(self, text: str) -> None:
        self.now = text
        self._past: list[tuple[str, Edit]] = []  # a text, and the edit that was made to it then
        self._future: list[tuple[str, Edit]] = []
        self._row: int | None = None  # where the next letter of a row of letters would be

    def note(self, text: str, cursor: int = -1) -> None:
        """The text has been changed. cursor: where the person's stands now, where that is known."""
        if text == self.now:
            return
        edit = difference(self.now, text, cursor)
        is_letter = edit.is_insertion and edit.growth == 1 and not text[edit.start].isspace()
        if is_letter and edit.start == self._row:
            before, row = self._past.pop()
            self._past.append((before, row.then(edit)))
        else:
            self._past = [*self._past[1 - _MOST :], (self.now, edit)]
        self._row = edit.new_end if is_letter else None
        self._future.clear()
        self.now = text

    def undo(self) -> Edit | None:
        """Goes back to the text as it was a step before; the edit that makes it, None where there is none."""
        return self._go(self._past, self._future)

    def redo(self) -> Edit | None:
        """Goes back to the text as it was before the last undo; the edit that makes it."""
        return self._go(self._future, self._past)

    def _go(self, there: list[tuple[str, Edit]], back: list[tuple[str, Edit]]) -> Edit | None:
        self._row = None
        if not there:
            return None
        text, edit = there.pop()
        back.append((self.now, edit.inverse))
        self.now = text
        return edit.inverse
