"""The history of a document: every result that was made for it, with its recipe, as the file keeps it.

A host reads it from the document when that is opened (an annotation of a .kra, a parasite of an XCF) and
writes it back after each change. The bytes are ASCII, because GIMP's parasites are read as signed bytes: a
header, then one line for each entry, so that a damaged line costs one entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple
from unicodedata import normalize

from . import history_entries
from .errors import VelaturaError
from .history_entries import Entry, Fate, Key
from .reading import as_list, as_object

NAME = "velatura-history"  #: of the annotation and of the parasite
VERSION = 1
BUDGET = 4 * 1024**2  #: bytes of a document's history, by default
MAX_ENTRIES = 2000
MAX_READ = 64 * 1024**2  #: bytes of a history that is read
_HEADER = f"{NAME} {VERSION}"

NEWER = (
    "This picture's history was written by a newer Velatura; update Velatura to see it. It stays as it is."
)


class Usage(NamedTuple):
    """The room that a history takes.

    Args:
        size: bytes in the file.
        budget: bytes that it may take.
        entries: results in it.
        gone: results that were let go for room since it was read.
        faded: results that lost their picture for room since it was read.
    """

    size: int
    budget: int
    entries: int
    gone: int
    faded: int

    @property
    def sentence(self) -> str:
        """For the person."""
        size, budget = (f"{n / 1024**2:.1f}" for n in (self.size, self.budget))
        text = f"{self.entries} {'result' if self.entries == 1 else 'results'}, {size} of {budget} MB"
        if self.size > self.budget:
            return f"{text}: starred results alone need more; take stars away, or give the history more room."
        lost = [f"{self.gone} older ones were let go"] if self.gone else []
        lost += [f"{self.faded} lost their pictures"] if self.faded else []
        return f"{text}; for room {' and '.join(lost)}." if lost else f"{text}."


@dataclass
class _Line:
    """An entry, and its two words of the file."""

    entry: Entry
    words: tuple[str, str]

    @property
    def size(self) -> int:
        return sum(map(len, self.words)) + 2


@dataclass
class History:
    """The results of one document within a budget of bytes.

    Where the budget is exceeded, the oldest results that are neither kept nor starred are let go first, then
    the oldest kept ones (their layers have their recipes), then the pictures of the oldest starred ones. A
    starred result itself is never let go.
    """

    budget: int = BUDGET
    unread: int = 0  #: entries of the file that could not be read
    _lines: dict[Key, _Line] = field(default_factory=dict[Key, _Line])
    _gone: int = 0
    _faded: int = 0
    _size: int = len(_HEADER) + 1

    # The file

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview, budget: int = BUDGET) -> History:
        """Reads a document's history; b"" gives an empty one. Damaged entries are left out and counted.

        Raises `bad-request` for one that a newer Velatura wrote, which must not be written over, and for
        bytes that are no history.
        """
        made = cls(budget)
        if not len(data):
            return made
        head, *lines = bytes(data[:MAX_READ]).decode("ascii", "replace").split("\n")
        name, _, version = head.partition(" ")
        if name != NAME or not version.isdigit() or len(version) > 9:
            raise VelaturaError(
                "bad-request",
                "This picture's history is damaged; forget it to begin a new one.",
                detail=head[:80],
            )
        if int(version) > VERSION:
            raise VelaturaError("bad-request", NEWER, detail=version[:80])
        for line in filter(None, lines):
            entry = history_entries.read(line)
            if entry is None or len(made._lines) >= MAX_ENTRIES:
                made.unread += 1
            else:
                made._put(entry)
        made._make_room()
        return made

    def to_bytes(self) -> bytes:
        """The bytes for the document: ASCII, oldest entry first."""
        lines = (" ".join(line.words) for line in self._lines.values())
        return "".join(f"{line}\n" for line in (_HEADER, *lines)).encode("ascii")

    @property
    def usage(self) -> Usage:
        """The room that it takes."""
        return Usage(self._size, self.budget, len(self._lines), self._gone, self._faded)

    def give(self, budget: int) -> None:
        """Changes the budget."""
        self.budget = budget
        self._make_room()

    # Entries

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, key: object) -> bool:
        return key in self._lines

    def get(self, key: Key) -> Entry | None:
        """The entry of this name."""
        line = self._lines.get(key)
        return None if line is None else line.entry

    @property
    def entries(self) -> list[Entry]:
        """All entries, the newest first; variations of a run in their own order."""
        listed = [line.entry for line in self._lines.values()]
        return sorted(listed, key=lambda entry: (-entry.at, entry.job, entry.variation))

    def record(self, entries: Iterable[Entry]) -> None:
        """Adds results. A known one keeps the person's word on it, its parent and its picture if the new one
        has none."""
        for entry in entries:
            known = self.get(entry.key)
            if known is not None:
                entry = replace(
                    entry,
                    fate=known.fate if entry.fate == "candidate" else entry.fate,
                    starred=known.starred or entry.starred,
                    parent=known.parent or entry.parent,
                    relation=known.relation or entry.relation,
                    thumbnail=entry.thumbnail or known.thumbnail,
                    layer=entry.layer or known.layer,
                )
            self._put(entry)
        self._make_room()

    def star(self, key: Key, on: bool = True) -> None:
        """Stars a result, or takes its star away; no-op for an unknown one."""
        self._change(key, starred=on)

    def mark(self, key: Key, fate: Fate, layer: str = "") -> None:
        """Notes what the person has done with a result; no-op for an unknown one. layer: see `Entry`."""
        self._change(key, fate=fate, layer=layer)

    def remove(self, keys: Iterable[Key]) -> None:
        """Forgets results, starred or not."""
        for key in keys:
            self._take(key)

    def merge(self, other: History) -> None:
        """Takes over the entries of another history, as when documents are put together."""
        self.record(reversed(other.entries))

    # Finding

    def search(self, text: str = "", *, starred: bool = False, kept: bool = False) -> list[Entry]:
        """The entries that have every word of the text, the newest first.

        Args:
            text: words of the prompt, the title, the method, or texts among the settings, in any order; the
                part of a word is enough, and case does not matter. Empty: all.
            starred: only those with a star.
            kept: only those that were kept.
        """
        wanted = folded(text).split()
        return [
            entry
            for entry in self.entries
            if (entry.starred or not starred)
            and (entry.fate == "kept" or not kept)
            and (not wanted or _has(folded(" ".join(_texts(entry))), wanted))
        ]

    def lineage(self, key: Key) -> list[Entry]:
        """The results that led to this one, the first ancestor first, and itself last; [] for an unknown one.

        It begins later where an ancestor was let go.
        """
        found: dict[Key, Entry] = {}
        entry = self.get(key)
        while entry is not None and entry.key not in found:
            found[entry.key] = entry
            entry = self.get(entry.parent) if entry.parent else None
        return list(found.values())[::-1]

    def children(self, key: Key) -> list[Entry]:
        """The results that came of this one, the newest first."""
        return [entry for entry in self.entries if entry.parent == key]

    # Within

    def _change(self, key: Key, **changes: object) -> None:
        line = self._lines.get(key)
        if line is not None:
            self._put(replace(line.entry, **changes))  # pyright: ignore[reportArgumentType]  # checked by the callers

    def _put(self, entry: Entry) -> None:
        before = self._lines.get(entry.key)
        picture = (
            before.words[1]
            if before and before.entry.thumbnail == entry.thumbnail
            else history_entries.picture(entry)
        )
        line = _Line(entry, (history_entries.words(entry), picture))
        self._size += line.size - (before.size if before else 0)
        self._lines[entry.key] = line

    def _take(self, key: Key) -> None:
        line = self._lines.pop(key, None)
        self._size -= line.size if line else 0

    def _make_room(self) -> None:
        if self._size <= self.budget and len(self._lines) <= MAX_ENTRIES:
            return
        oldest = [entry for entry in self.entries[::-1] if not entry.starred]
        for entry in sorted(oldest, key=lambda entry: entry.fate == "kept"):
            if self._size <= self.budget and len(self._lines) <= MAX_ENTRIES:
                return
            self._take(entry.key)
            self._gone += 1
        for entry in self.entries[::-1]:
            if self._size <= self.budget:
                return
            if entry.thumbnail:
                self._put(replace(entry, thumbnail=b""))
                self._faded += 1


def folded(text: str) -> str:
    """The text as searches compare it."""
    return normalize("NFKC", text).casefold()


def _texts(entry: Entry) -> Iterator[str]:
    yield from (entry.prompt, entry.title, entry.method)
    yield from _strings(entry.recipe.get("parameters"))


def _strings(value: object) -> Iterator[str]:
    """Every text in a JSON value, read without recursion."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        waiting += as_list(one) or (as_object(one) or {}).values()


def _has(text: str, wanted: Sequence[str]) -> bool:
    there = text.split()
    return all(any(word in one for one in there) for word in wanted)
