"""Dials: the entries of a group marked `x-dials` (SPEC section 6). Presets of them: `presets`.

An entry is a dictionary with the texts `less` and `more`, the number `strength`, and whatever else the
field has. Lists of entries are never changed: each function returns a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from unicodedata import normalize

from .errors import VelaturaError
from .schema import Field
from .words import changes, words

MAX_CALLED = 60  #: characters of a dial's title within a sentence
NAMELESS = "New dial"  #: the title of an entry that says nothing yet
FULL = "There can be {} dials and no more; remove some first."

#: Words of a caption that stand for nothing in the picture; English.
_LITTLE = frozenset(
    word.text
    for word in words(
        "a an the and or with without of in on at by to from for as is are be has have having it its his her"
        " their this that these those there no not very wearing holding behind below above near over under"
    )
)


def title(entry: dict) -> str:
    """What a dial is called: its name, else "short → long", "+ beard" or "− beard", else `NAMELESS`."""
    name, less, more = (one_line(entry.get(key, "")) for key in ("name", "less", "more"))
    if name:
        return name
    if less and more:
        return f"{less} → {more}"
    return f"+ {more}" if more else f"− {less}" if less else NAMELESS


def about(entries: Iterable[dict]) -> str:
    """What these dials do, in one line: title and strength of those that say something and are not at 0."""
    return ", ".join(
        f"{title(entry)} {amount(entry['strength'])}" for entry in spoken(entries) if entry["strength"]
    )


def about_edit(fields: Iterable[Field], prompt: str, parameters: Mapping[str, Any]) -> str:
    """What an edit does, in one line: what its prompt changes of the source's caption, or the prompt where
    there is no caption or one too unlike; then what its dials do."""
    fields = list(fields)
    caption = next((parameters.get(field.key, "") for field in fields if field.source_prompt), "")
    said = (changes(caption, prompt) if caption else "") or one_line(prompt)
    entries = [entry for field in fields if field.dials for entry in parameters.get(field.key, [])]
    return ", ".join(filter(None, (said, about(entries))))


def amount(strength: float) -> str:
    """A strength as it is read: 1, 1.5, −0.25."""
    return f"{round(strength, 2):g}".replace("-", "−")


def says_something(entry: dict) -> bool:
    """Whether a dial has words to lead from or to; a method refuses one that has none."""
    return bool(words(entry.get("less", "")) or words(entry.get("more", "")))


def same(entry: dict, other: dict) -> bool:
    """Whether two entries lead between the same texts, but for case and spaces."""
    keys = ("less", "more")
    return all(folded(one_line(entry[key])) == folded(one_line(other[key])) for key in keys)


def spoken(entries: Iterable[dict]) -> list[dict]:
    """The entries that say something: those to send."""
    return [entry for entry in entries if says_something(entry)]


def new(field: Field, less: str = "", more: str = "") -> dict:
    """An entry that leads from `less` to `more`, at the field's default strength.

    Of a word of the caption alone, `more` is that word: up is more of it, down is less. Texts longer than
    the field takes are cut.
    """
    entry = {spec.key: spec.default for spec in field.fields}
    for key, text in (("less", less), ("more", more)):
        entry[key] = one_line(text)[: strings(field)[key].max_length]
    return entry


def strings(field: Field) -> dict[str, Field]:
    """The texts of an entry, by their keys: `less`, `more`, and `name` where the field has one."""
    return {spec.key: spec for spec in field.fields if spec.kind == "string"}


def strength(field: Field) -> Field:
    """How far to go, as a field of its own."""
    return next(spec for spec in field.fields if spec.key == "strength")


def rest(field: Field) -> float:
    """Where a dial changes nothing: at 0, or at its default where 0 is out of its bounds."""
    spec = strength(field)
    return 0.0 if spec.minimum <= 0.0 <= spec.maximum else spec.default


def is_full(field: Field, entries: Sequence[dict]) -> bool:
    return len(entries) >= field.max_items


def check(field: Field, entries: Any) -> list[dict]:
    """The entries, each complete. Raises `bad-request` where there are more than can be, and, with the title
    of the dial, where one is out of the field's bounds."""
    if isinstance(entries, list):
        if len(entries) > field.max_items:
            raise VelaturaError("bad-request", FULL.format(field.max_items))
        for entry in entries:
            if isinstance(entry, dict):
                _check_one(field, entry)
    return field.check(entries)


def _check_one(field: Field, entry: dict) -> None:
    try:
        replace(field, min_items=0).check([entry])
    except VelaturaError as error:
        plain = "".join(character if character.isprintable() else " " for character in title(entry))
        called = plain if len(plain) <= MAX_CALLED else plain[: MAX_CALLED - 1] + "…"
        raise VelaturaError("bad-request", f"{called}: {error.message}", detail=error.detail) from error


def add(field: Field, entries: Sequence[dict], entry: dict) -> list[dict]:
    """The entries and one more. Raises `bad-request` where there are as many as can be, or the entry is out
    of the field's bounds."""
    if is_full(field, entries):
        raise VelaturaError("bad-request", FULL.format(field.max_items))
    return [*entries, *check(replace(field, min_items=0), [entry])]


def remove(field: Field, entries: Sequence[dict], index: int) -> list[dict]:
    """The entries without that one. Raises `bad-request` where there are as few as can be, IndexError."""
    if len(entries) <= field.min_items:
        raise VelaturaError(
            "bad-request", f"{field.min_items} dials are the least; add another before you remove this one."
        )
    kept = list(entries)
    del kept[index]
    return kept


def move(entries: Sequence[dict], index: int, to: int) -> list[dict]:
    """The entries with that one at the place `to`, or at the nearest end. Raises IndexError."""
    kept = list(entries)
    entry = kept.pop(index)
    kept.insert(max(0, min(to, len(kept))), entry)
    return kept


def offered(caption: str, entries: Iterable[dict] = ()) -> list[str]:
    """The words of the caption that may become dials: each once, none that only joins others, and none that
    is a dial already."""
    there = {folded(one_line(entry.get("more", ""))) for entry in entries if not entry.get("less")}
    firsts = (word.text for word in words(caption) if word.which == 1)
    return [text for text in firsts if folded(text) not in there | _LITTLE]


def one_line(text: Any) -> str:
    """In one line, without spaces at the ends."""
    return " ".join(text.split()) if isinstance(text, str) else ""


def folded(text: str) -> str:
    """What is equal for texts that are the same but for case and for how accents were typed."""
    return normalize("NFC", normalize("NFC", text).casefold())
