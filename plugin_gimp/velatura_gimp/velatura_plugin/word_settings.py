"""What is set for the words of a prompt, while the prompt is edited. Nothing here imports GIMP.

Each entry has a span of the prompt that moves with every edit. Where its word no longer stands there, as
while it is typed anew, the entry sleeps: it is part of no request, and is back when the word is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from velatura_protocol.choices import SELECTION_TITLE, layer_of
from velatura_protocol.schema import Field
from velatura_protocol.words import Word, find, settle, words

DIGITS = 6  # of a slider's value after the point; beyond them is the noise of binary fractions


@dataclass(frozen=True)
class Chip:
    """A word as it is shown. label: the word and what is set for it. about: the same in full."""

    word: Word
    label: str
    about: str
    is_set: bool


@dataclass
class _Entry:
    """values: with `text` and `which` as they last were. start, end: of the prompt."""

    values: dict
    start: int = 0
    end: int = 0
    awake: bool = True


class WordSettings:
    """The entries of `field`, a group about words of the prompt; at most one word is chosen."""

    def __init__(self, field: Field, prompt: str = "", entries: Iterable[dict] = ()) -> None:
        self.field = field
        #: What can be set for a word. Without any, the entries are a list of words.
        self.settings = tuple(part for part in field.fields if part.key not in ("text", "which"))
        self.prompt = prompt
        self._chosen: tuple[int, int] | None = None
        self.load(entries)

    def load(self, entries: Iterable[dict]) -> None:
        """Takes other entries, those of a saved form; those whose word is not there sleep."""
        self._entries = [_Entry(dict(entry), 0, len(self.prompt)) for entry in entries]
        self._settle()

    def value(self) -> list[dict]:
        """The entries for a request: one a word, each about a word that the prompt has."""
        by_word = {(e.values["text"].casefold(), e.values["which"]): e.values for e in self._awake()}
        return settle(map(dict, by_word.values()), self.prompt)

    def splice(self, start: int, removed: int, inserted: str) -> None:
        """The prompt has been edited: `removed` characters at `start` are gone, `inserted` are there."""
        self.prompt = self.prompt[:start] + inserted + self.prompt[start + removed :]
        edit = (start, removed, len(inserted))
        for entry in self._entries:
            entry.start, entry.end = _moved(entry.start, entry.end, *edit)
        if self._chosen is not None:
            self._chosen = _moved(*self._chosen, *edit)
        self._settle()
        chosen = self.chosen()
        if chosen is not None:
            self._chosen = chosen.word.start, chosen.word.end

    def chips(self) -> list[Chip]:
        """The words from left to right; neighbours that have one entry together are one."""
        phrases = {(e.start, e.end): e.values for e in self._awake()}
        chips = [
            self._chip(Word(self.prompt[a:b], a, b, values["which"]), values)
            for (a, b), values in phrases.items()
        ]
        alone = [w for w in words(self.prompt) if not any(a <= w.start < b for a, b in phrases)]
        chips += [self._chip(word, None) for word in alone]
        return sorted(chips, key=lambda chip: chip.word.start)

    def choose(self, word: Word | None) -> None:
        """Chooses a word, or none."""
        self._chosen = None if word is None else (word.start, word.end)

    def chosen(self) -> Chip | None:
        """The chosen word, also after it has been edited; None once it is gone."""
        if self._chosen is None:
            return None
        start, end = self._chosen
        return next((c for c in self.chips() if c.word.start < end and c.word.end > start), None)

    def get(self, word: Word, setting: Field) -> object:
        """What is set for a word, or the default."""
        entry = self._entry(word)
        return setting.default if entry is None else entry.values.get(setting.key, setting.default)

    def set(self, word: Word, setting: Field, value: object) -> None:
        """Sets it; a word all of whose settings are the defaults has no entry. A full group takes no more."""
        value = round(value, DIGITS) if isinstance(value, float) else value
        entry = self._entry(word)
        if entry is None:
            if value == setting.default:
                return
            entry = self._add(word)
        if entry is not None:
            entry.values[setting.key] = value
            if all(entry.values.get(part.key, part.default) == part.default for part in self.settings):
                self._entries.remove(entry)

    def put(self, word: Word, listed: bool) -> None:
        """Puts a word on the list, or takes it off."""
        self.reset(word)
        if listed:
            self._add(word)

    def reset(self, word: Word) -> None:
        """Takes away what is set for a word."""
        self._entries = [
            e for e in self._entries if not e.awake or (e.start, e.end) != (word.start, word.end)
        ]

    def swap(self, word: Word, new: str) -> None:
        """What is set for a word is from now on about `new`, which is about to stand in its place."""
        entry, there = self._entry(word), words(new)
        if entry is not None and there:
            entry.values["text"] = new[there[0].start : there[-1].end]

    def _add(self, word: Word) -> _Entry | None:
        if len(self.value()) >= self.field.max_items:
            return None
        defaults = {part.key: part.default for part in self.settings}
        values = {"text": word.text, "which": word.which, **defaults}
        self._entries.append(_Entry(values, word.start, word.end))
        return self._entries[-1]

    def _entry(self, word: Word) -> _Entry | None:
        return next((e for e in self._awake() if (e.start, e.end) == (word.start, word.end)), None)

    def _awake(self) -> list[_Entry]:
        return [entry for entry in self._entries if entry.awake]

    def _settle(self) -> None:
        """Wakes the entries whose word stands within their span, and puts the others to sleep."""
        for entry in self._entries:
            text, which = entry.values.get("text", ""), entry.values.get("which", 1)
            there = [
                word
                for word in _places(self.prompt, text)
                if entry.start <= word.start and word.end <= entry.end
            ]
            entry.awake = bool(there)
            if there:
                word = min(there, key=lambda word: (word.which != which, word.which))
                entry.values.update(text=word.text, which=word.which)
                entry.start, entry.end = word.start, word.end

    def _chip(self, word: Word, values: dict | None) -> Chip:
        changed = [s for s in self.settings if values and values.get(s.key, s.default) != s.default]
        label = word.text
        for setting in changed:
            if setting.kind in ("integer", "number"):
                label += f" {'×' if setting.default == 1 else ''}{shown(setting, values[setting.key])}"
                break
        else:
            label += " •" if changed else ""
        about = ", ".join(f"{s.title}: {shown(s, values[s.key])}" for s in changed)
        return Chip(word, label, about, values is not None)


def shown(setting: Field, value: object) -> str:
    """A setting's value for a person."""
    if setting.kind == "number":
        return f"{value:.1f}" if round(value, 1) == round(value, DIGITS) else f"{value:.2f}"
    if setting.kind == "raster":
        return layer_of(str(value)) or SELECTION_TITLE
    if setting.kind == "enum":
        return dict(setting.choices).get(value, str(value))
    if setting.kind == "boolean":
        return "on" if value else "off"
    return str(value)


def _places(prompt: str, text: str) -> list[Word]:
    """Every place of a word or phrase in the prompt."""
    places: list[Word] = []
    while (word := find(prompt, text, len(places) + 1)) is not None:
        places.append(word)
    return places


def _moved(start: int, end: int, at: int, removed: int, inserted: int) -> tuple[int, int]:
    """A span after an edit. What is typed at its end belongs to it, what is typed before it does not."""
    last = at + removed

    def after_removal(place: int) -> int:
        return place if place <= at else max(at, place - removed) if place >= last else at

    start, end = after_removal(start), after_removal(end)
    shifted = at < start or (at == start and start < end)
    return start + inserted * shifted, end + inserted * (at <= end)
