"""Dials: the entries of a group marked `x-dials` (SPEC section 6). Presets of them: `presets`.

An entry is a dictionary with the texts `less` and `more`, the number `strength`, and the field's other
values. No function changes a list of entries: each returns a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast
from unicodedata import normalize

from .amounts import amount
from .errors import VelaturaError
from .schema import Field
from .words import Change, Entry, Word, arrow, changes, differences, words

T = TypeVar("T")  # an entry, or a host's widget for it

MAX_CALLED = 60  #: characters of a dial's title within a sentence
NAMELESS = "New dial"  #: the title of an entry without words
FULL = "There can be {} dials and no more; remove some first."

_FIRST = ("less", "more")
_ARTICLES = frozenset(("a", "an", "the"))

#: English words of a caption that stand for nothing in the picture.
_LITTLE = frozenset(
    word.text
    for word in words(
        "a an the and or with without of in on at by to from for as is are be has have having it its his her"
        " their this that these those there no not very wearing holding behind below above near over under"
    )
)


def title(entry: Entry) -> str:
    """A dial's title: its name, else "short → long", "+ beard" or "− beard", else `NAMELESS`."""
    name, less, more = (one_line(entry.get(key, "")) for key in ("name", "less", "more"))
    return name or arrow(less, more) or NAMELESS


def about(entries: Iterable[Entry]) -> str:
    """The titles and strengths of the dials that have words and are not at 0, in one line."""
    return ", ".join(
        f"{title(entry)} {amount(float(entry['strength']))}" for entry in spoken(entries) if entry["strength"]
    )


def about_edit(fields: Iterable[Field], prompt: str, parameters: Mapping[str, Any]) -> str:
    """A description of an edit, in one line: the prompt's differences from the source's caption (the prompt
    itself where there is no caption, or one too unlike), then the dials."""
    fields = list(fields)
    caption = next((parameters.get(field.key, "") for field in fields if field.source_prompt), "")
    text = (changes(caption, prompt) if caption else "") or one_line(prompt)
    entries = [entry for field in fields if field.dials for entry in parameters.get(field.key, [])]
    return ", ".join(filter(None, (text, about(entries))))


def says_something(entry: Entry) -> bool:
    """Whether a dial has words to lead from or to; a method refuses one that has none."""
    return any(words(str(entry.get(key, ""))) for key in _FIRST)


def same(entry: Entry, other: Entry) -> bool:
    """Whether two entries lead between the same texts, regardless of case and spaces."""
    keys = ("less", "more")
    return all(folded(one_line(entry[key])) == folded(one_line(other[key])) for key in keys)


def spoken(entries: Iterable[Entry]) -> list[Entry]:
    """The entries that have words: those to send."""
    return [entry for entry in entries if says_something(entry)]


def new(field: Field, less: str = "", more: str = "") -> Entry:
    """An entry that leads from `less` to `more`, at the field's default strength.

    For a single word of the caption, `more` is that word: up is more of it, down is less. Texts that are too
    long for the field are cut.
    """
    entry = {spec.key: spec.default for spec in field.fields}
    for key, text in (("less", less), ("more", more)):
        entry[key] = one_line(text)[: strings(field)[key].max_length]
    return entry


def of_word(caption: str, prompt: str, word: Word) -> tuple[str, str]:
    """`less` and `more` of a dial for a word of the prompt.

    Where the word replaces words of the caption, the dial leads from those to the prompt's; else up is more
    of the word, and down is less.
    """
    for change in differences(caption, prompt):
        if change.before and change.start <= word.start < change.end:
            return _ends(change)
    return "", word.text


def says_all(less: str, more: str, caption: str, prompt: str) -> bool:
    """Whether a dial between these texts covers every difference of the prompt from the caption."""
    if caption.split() == prompt.split():
        return True
    differing = differences(caption, prompt)
    return len(differing) == 1 and _ends(differing[0]) == (less, more)


def _ends(change: Change) -> tuple[str, str]:
    """A dial's `less` and `more` for a change: "beard" and "glasses" for "a beard → glasses"."""
    less, more = (_without_article(text) for text in (change.before, change.after))
    return (less, more) if less and more else (change.before, change.after)


def _without_article(text: str) -> str:
    first, _, rest = text.partition(" ")
    return rest if folded(first) in _ARTICLES else text


def strings(field: Field) -> dict[str, Field]:
    """The texts of an entry, by their keys: `less`, `more`, then `name` where the field has one."""
    return {spec.key: spec for spec in in_order(field.fields) if spec.kind == "string"}


def in_order(fields: Iterable[Field]) -> list[Field]:
    """The fields of a dial in the order of a form: `less` and `more`, then the others in the schema's
    order."""
    return sorted(fields, key=lambda spec: _FIRST.index(spec.key) if spec.key in _FIRST else len(_FIRST))


def strength(field: Field) -> Field:
    """The field of the strength."""
    return next(spec for spec in field.fields if spec.key == "strength")


def rest(field: Field) -> float:
    """The strength at which a dial changes nothing: 0, or the default where 0 is out of its bounds."""
    spec = strength(field)
    return 0.0 if (spec.minimum or 0.0) <= 0.0 <= (spec.maximum or 0.0) else spec.default


def is_full(field: Field, entries: Sequence[object]) -> bool:
    return len(entries) >= field.max_items


def check(field: Field, entries: object) -> list[Entry]:
    """The entries, each complete. Raises `bad-request` where there are too many, and, with the dial's title,
    where one is out of the field's bounds."""
    if isinstance(entries, list):
        there = cast("list[Any]", entries)
        if len(there) > field.max_items:
            raise VelaturaError("bad-request", FULL.format(field.max_items))
        for entry in there:
            if isinstance(entry, dict):
                _check_one(field, cast("Entry", entry))
    return field.check(entries)


def _check_one(field: Field, entry: Entry) -> None:
    try:
        replace(field, min_items=0).check([entry])
    except VelaturaError as error:
        plain = "".join(character if character.isprintable() else " " for character in title(entry))
        called = plain if len(plain) <= MAX_CALLED else plain[: MAX_CALLED - 1] + "…"
        raise VelaturaError("bad-request", f"{called}: {error.message}", detail=error.detail) from error


def add(field: Field, entries: Sequence[Entry], entry: Entry) -> list[Entry]:
    """The entries and one more. Raises `bad-request` where the group is full, or the entry is out of the
    field's bounds."""
    if is_full(field, entries):
        raise VelaturaError("bad-request", FULL.format(field.max_items))
    return [*entries, *check(replace(field, min_items=0), [entry])]


def remove(field: Field, entries: Sequence[T], index: int) -> list[T]:
    """The entries without that one. Raises `bad-request` where the group has its least entries,
    IndexError."""
    if len(entries) <= field.min_items:
        raise VelaturaError(
            "bad-request", f"{field.min_items} dials are the least; add another before you remove this one."
        )
    kept = list(entries)
    del kept[index]
    return kept


def move(entries: Sequence[T], index: int, to: int) -> list[T]:
    """The entries with that one at the place `to`, or at the nearest end. Raises IndexError."""
    kept = list(entries)
    entry = kept.pop(index)
    kept.insert(max(0, min(to, len(kept))), entry)
    return kept


def offered(caption: str, entries: Iterable[Entry] = ()) -> list[str]:
    """The words of the caption that may become dials: each once, without articles, prepositions and the like,
    and without those that are dials already."""
    there = {folded(one_line(entry.get("more", ""))) for entry in entries if not entry.get("less")}
    firsts = (word.text for word in words(caption) if word.which == 1)
    return [text for text in firsts if folded(text) not in there | _LITTLE]


def one_line(text: Any) -> str:
    """The text in one line, without spaces at the ends; "" for any other value."""
    return " ".join(text.split()) if isinstance(text, str) else ""


def folded(text: str) -> str:
    """A key that is equal for texts that differ only in case or the encoding of accents."""
    return normalize("NFC", normalize("NFC", text).casefold())
