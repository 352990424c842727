"""What is set for the words of a prompt, while the prompt is typed: the one logic behind every host's chips.

No host here: `WordSettings` is told of every edit (`follow`) and of what the person sets, and says which
chips to show and which entries to send.  `following` says where a setting goes, `protocol/DESIGN.md` why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import following, marks
from .amounts import amount
from .choices import SELECTION_TITLE, layer_of
from .marks import Edit, Marked
from .schema import Field
from .words import Entry, Value, Word, place

LISTED = "listed"  #: the one setting of words for which nothing can be set: whether they are meant
FULL = "{} words can be set and no more; reset one of them first."
DIGITS = 6  #: of a slider's value after the point; beyond them is the noise of binary fractions


@dataclass(frozen=True)
class Chip:
    """A word as it is shown, or several that have one setting together.

    word: it, as the prompt has it. values: what is set for it, by the keys of the settings, all of them.
    suffix: what is shown beside it, such as "×2"; "" where all is as it was. about: all that is set, in
    words. is_set: whether anything is.
    """

    word: Word
    values: Entry
    suffix: str
    about: str
    is_set: bool
    is_chosen: bool

    @property
    def label(self) -> str:
        """The word and what is set for it."""
        return f"{self.word.text} {self.suffix}".rstrip()


class WordSettings:
    """What is set for words of a prompt; at most one word is chosen.

    field: a group about words of the prompt. settings: what can be set for a word, one at least. is_list:
    nothing can be set but whether a word is listed. prompt: as it was last told.
    """

    def __init__(self, field: Field, prompt: str = "", entries: Iterable[Mapping[str, Value]] = ()) -> None:
        self.field = field
        own = tuple(part for part in field.fields if part.key not in ("text", "which"))
        self.is_list = not own
        self.settings = own or (Field(LISTED, "boolean", field.title, field.description, False),)
        self._longest = next(part.max_length for part in field.fields if part.key == "text")
        self._marked = Marked(prompt)
        self._values: dict[int, Entry] = {}
        self._chosen: int | None = None
        self.load(entries)

    @property
    def prompt(self) -> str:
        return self._marked.prompt

    # What is set

    def defaults(self) -> Entry:
        """What is set for a word for which nothing is."""
        return {part.key: part.default for part in self.settings}

    def load(self, entries: Iterable[Mapping[str, Value]]) -> None:
        """Take these in the place of all; those whose word the prompt does not have wait for it."""
        self._marked, self._values, self._chosen = Marked(self.prompt), {}, None
        for entry in entries:
            values: Entry = {LISTED: True}
            if not self.is_list:
                values = {part.key: entry.get(part.key, part.default) for part in self.settings}
            word = place(entry, self.prompt)
            if word is None:
                self._marked, number = marks.wait(self._marked, str(entry.get("text", "")))
            else:
                self._forget(word)
                self._marked, number = marks.add(self._marked, word)
            self._values[number] = values
        self._tidy()

    def value(self) -> list[Entry]:
        """The entries to send, from left to right: each about a word that the prompt has."""
        found: list[Entry] = []
        for chip in self.chips():
            if chip.is_set and len(chip.word.text) <= self._longest:
                own = {} if self.is_list else chip.values
                found.append({"text": chip.word.text, "which": chip.word.which, **own})
        return found[: self.field.max_items]

    def set(self, word: Word, values: Mapping[str, Value]) -> bool:
        """Set this for a word of the prompt; what it leaves out stays.  False where no more can be set."""
        number = self._number(word)
        before = self.defaults() if number is None else self._values[number]
        after = before | {
            key: round(value, DIGITS) if isinstance(value, float) else value for key, value in values.items()
        }
        is_new = before == self.defaults() != after
        if is_new and sum(chip.is_set for chip in self.chips()) >= self.field.max_items:
            return False
        if number is None:
            self._marked, number = marks.add(self._marked, word)
        self._values[number] = after
        self._tidy()
        return True

    def reset(self, word: Word) -> None:
        """Set everything back that is set for a word."""
        self.set(word, self.defaults())

    # The chips

    def chips(self) -> list[Chip]:
        """The words from left to right."""
        found: list[Chip] = []
        for piece in marks.pieces(self._marked):
            number = None if piece.mark is None else piece.mark.id
            values = self.defaults() if number is None else self._values[number]
            is_set = values != self.defaults()
            is_chosen = number is not None and number == self._chosen
            found.append(
                Chip(piece.word, dict(values), self._suffix(values), self._about(values), is_set, is_chosen)
            )
        return found

    def choose(self, word: Word | None) -> None:
        """Choose a word of the prompt, or none."""
        self._chosen = None
        if word is not None:
            self._chosen = self._number(word)
            if self._chosen is None:
                self._marked, self._chosen = marks.add(self._marked, word)
                self._values[self._chosen] = self.defaults()
        self._tidy()

    def chosen(self) -> Chip | None:
        """The chosen word, also after it was edited; None once it is gone."""
        return next((chip for chip in self.chips() if chip.is_chosen), None)

    # The prompt

    def follow(self, prompt: str, cursor: int = -1) -> None:
        """The prompt was edited.  cursor: where the person's stands now, in characters, if that is known."""
        self._edited(following.follow(self._marked, prompt, cursor))

    # Each of these changes `prompt`; the host then does the edit that is returned to what it shows.

    def swap(self, word: Word, new: str) -> Edit:
        """Put `new` in the place of a word; what was set for the word is set for that."""
        self._edited(following.swapped(self._marked, word, clean(new)))
        return Edit(word.start, word.end, word.start + len(clean(new)))

    def add(self, word: Word, new: str, before: bool) -> Edit:
        """Put `new` before a word, or after it."""
        at, text = (word.start, clean(new) + " ") if before else (word.end, " " + clean(new))
        return self._edit(Edit(at, at, at + len(text)), text)

    def remove(self, word: Word) -> Edit:
        """Take a word out, and one of the two spaces that would stand side by side."""
        start, end, prompt = word.start, word.end, self.prompt
        if prompt[end : end + 1] == " " and (start == 0 or prompt[start - 1] == " "):
            end += 1
        elif start > 0 and prompt[start - 1] == " " and not prompt[end : end + 1].isalnum():
            start -= 1
        return self._edit(Edit(start, end, start), "")

    def _edit(self, edit: Edit, text: str) -> Edit:
        prompt = self.prompt[: edit.start] + text + self.prompt[edit.old_end :]
        self._edited(following.edited(self._marked, edit, prompt))
        return edit

    def _edited(self, marked: Marked) -> None:
        self._marked = marked
        if self.chosen() is None:
            self._chosen = None
        self._tidy()

    # Within

    def _number(self, word: Word) -> int | None:
        """The number of a word's mark."""
        for piece in marks.pieces(self._marked):
            if piece.mark is not None and piece.word.start <= word.start < piece.word.end:
                return piece.mark.id
        return None

    def _forget(self, word: Word) -> None:
        number = self._number(word)
        self._marked = marks.keep(self._marked, (m.id for m in self._marked.marks if m.id != number))

    def _tidy(self) -> None:
        """Forget marks that say nothing."""
        defaults = self.defaults()
        there = [mark.id for mark in self._marked.marks]
        kept = [n for n in there if n == self._chosen or self._values[n] != defaults]
        self._values = {number: self._values[number] for number in kept}
        self._marked = marks.keep(self._marked, kept)

    def _changed(self, values: Mapping[str, Value]) -> list[Field]:
        return [part for part in self.settings if values[part.key] != part.default]

    def _suffix(self, values: Mapping[str, Value]) -> str:
        """The first number, or a mark that something else is set."""
        changed = self._changed(values)
        if self.is_list:
            return "✓" if changed else ""
        first = next((part for part in self.settings if part.kind in ("integer", "number")), None)
        if first is not None and first in changed:
            return ("×" if first.default == 1 else "") + shown(first, values[first.key])
        return "•" if changed else ""

    def _about(self, values: Mapping[str, Value]) -> str:
        changed = () if self.is_list else self._changed(values)
        return ", ".join(f"{part.title}: {shown(part, values[part.key])}" for part in changed)


def clean(text: str) -> str:
    """What a person enters to be put into a prompt, in one line."""
    return " ".join(text.split())


def shown(setting: Field, value: Value) -> str:
    """The value of a setting as a person reads it."""
    if setting.kind == "raster":
        return layer_of(str(value)) or SELECTION_TITLE
    if setting.kind == "enum":
        return dict(setting.choices).get(str(value), str(value))
    if setting.kind == "boolean":
        return "on" if value else "off"
    return amount(value) if isinstance(value, (int, float)) else value
