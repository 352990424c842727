"""The settings of a prompt's words while the prompt is typed: the logic behind every host's chips.

A host reports every edit (`follow`) and every setting to `WordSettings`, which returns the chips to show and
the entries to send. `following` moves the settings along with an edit; `protocol/DESIGN.md` gives the
reasons.
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

LISTED = "listed"  #: the only setting where the schema has none: whether the word is in the list
FULL = "{} words can be set and no more; reset one of them first."
DIGITS = 6  #: decimals of a slider's value; beyond them is the noise of binary fractions


@dataclass(frozen=True)
class Chip:
    """A word as it is shown, or several that share their settings.

    Attributes:
        word: its place in the prompt.
        values: all its settings, by key.
        suffix: the short form of its settings, such as "×2"; "" where all have their defaults.
        about: the changed settings in words.
        is_set: whether any setting differs from its default.
        is_chosen: whether the person has chosen it.
    """

    word: Word
    values: Entry
    suffix: str
    about: str
    is_set: bool
    is_chosen: bool

    @property
    def label(self) -> str:
        """The word and the short form of its settings."""
        return f"{self.word.text} {self.suffix}".rstrip()


class WordSettings:
    """The settings of a prompt's words; at most one word is chosen.

    Attributes:
        field: a group about words of the prompt.
        settings: the fields that can be set for a word, at least one.
        is_list: whether the only setting is that a word is in the list.
        prompt: as last reported.
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

    # The settings

    def defaults(self) -> Entry:
        """The settings of a word that the person has not touched."""
        return {part.key: part.default for part in self.settings}

    def load(self, entries: Iterable[Mapping[str, Value]]) -> None:
        """Replaces all settings; those whose word the prompt does not have wait for it."""
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
        entries: list[Entry] = []
        for chip in self.chips():
            if chip.is_set and len(chip.word.text) <= self._longest:
                own = {} if self.is_list else chip.values
                entries.append({"text": chip.word.text, "which": chip.word.which, **own})
        return entries[: self.field.max_items]

    def set(self, word: Word, values: Mapping[str, Value]) -> bool:
        """Sets these values for a word of the prompt; its other values stay. False where no more words can be
        set."""
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
        """Sets a word's values to their defaults."""
        self.set(word, self.defaults())

    # The chips

    def chips(self) -> list[Chip]:
        """The words from left to right."""
        chips: list[Chip] = []
        for piece in marks.pieces(self._marked):
            number = None if piece.mark is None else piece.mark.id
            values = self.defaults() if number is None else self._values[number]
            is_set = values != self.defaults()
            is_chosen = number is not None and number == self._chosen
            chips.append(
                Chip(piece.word, dict(values), self._suffix(values), self._about(values), is_set, is_chosen)
            )
        return chips

    def choose(self, word: Word | None) -> None:
        """Chooses a word of the prompt, or none."""
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
        """The prompt was edited. cursor: the person's, in characters; -1 where it is not known."""
        self._edited(following.follow(self._marked, prompt, cursor))

    # Each of these changes `prompt` and returns the edit, which the host then makes in its text field.

    def swap(self, word: Word, new: str) -> Edit:
        """Replaces a word by `new`, which gets the word's settings."""
        self._edited(following.swapped(self._marked, word, clean(new)))
        return Edit(word.start, word.end, word.start + len(clean(new)))

    def add(self, word: Word, new: str, before: bool) -> Edit:
        """Inserts `new` before a word, or after it."""
        at, text = (word.start, clean(new) + " ") if before else (word.end, " " + clean(new))
        return self._edit(Edit(at, at, at + len(text)), text)

    def remove(self, word: Word) -> Edit:
        """Removes a word, and one of the two spaces that would stand side by side."""
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

    # Internals

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
        """Drops the marks of words whose settings are the defaults."""
        defaults = self.defaults()
        there = [mark.id for mark in self._marked.marks]
        kept = [n for n in there if n == self._chosen or self._values[n] != defaults]
        self._values = {number: self._values[number] for number in kept}
        self._marked = marks.keep(self._marked, kept)

    def _changed(self, values: Mapping[str, Value]) -> list[Field]:
        return [part for part in self.settings if values[part.key] != part.default]

    def _suffix(self, values: Mapping[str, Value]) -> str:
        """The first number, or a sign that another setting has changed."""
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
    """A text for the prompt, in one line."""
    return " ".join(text.split())


def shown(setting: Field, value: Value) -> str:
    """The value of a setting, for the person."""
    if setting.kind == "raster":
        return layer_of(str(value)) or SELECTION_TITLE
    if setting.kind == "enum":
        return dict(setting.choices).get(str(value), str(value))
    if setting.kind == "boolean":
        return "on" if value else "off"
    return amount(value) if isinstance(value, (int, float)) else str(value)
