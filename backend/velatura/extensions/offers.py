"""The offers of a group of entry points: those that load, and the reasons why others do not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

FAILURES = (Exception, SystemExit)
"""What another package's code may raise. A module that is a script as well may end with SystemExit."""


@dataclass(frozen=True)
class Offer(Generic[T]):
    """A loaded entry point. name: the entry point's. package: the name of its distribution."""

    name: str
    package: str
    value: T


@dataclass(frozen=True)
class Refused:
    """An offer that is left out.

    Args:
        what: the offer, in words.
        package: the name of its distribution.
        reason: without a full stop.
    """

    what: str
    package: str
    reason: str

    @property
    def sentence(self) -> str:
        """A sentence for the person."""
        return f"{self.what} of the package {self.package!r} is left out: {self.reason}."


@dataclass(frozen=True)
class Offers(Generic[T]):
    """loaded: sorted by package and name. refused: each is in the log as well."""

    loaded: list[Offer[T]]
    refused: list[Refused]


def offers(group: str, read: Callable[[EntryPoint], T], what: str) -> Offers[T]:
    """Loads all entry points of a group.

    Args:
        group: such as `velatura.methods`.
        read: loads and checks one; any error that it raises is the reason why the offer is left out.
        what: a word for one offer, such as 'method'.
    """
    result: Offers[T] = Offers([], [])
    for entry in sorted(entry_points(group=group), key=lambda entry: (_package(entry), entry.name)):
        offer = _read(entry, read, what)
        if isinstance(offer, Refused):
            result.refused.append(offer)
        else:
            result.loaded.append(offer)
    return result


def _read(entry: EntryPoint, read: Callable[[EntryPoint], T], what: str) -> Offer[T] | Refused:
    try:
        return Offer(entry.name, _package(entry), read(entry))
    except FAILURES as error:
        reason = f"{type(error).__name__}: {error}".rstrip(".: ")
        return refuse(f"The {what} {entry.name!r}", _package(entry), reason)


def refuse(what: str, package: str, reason: str) -> Refused:
    """A refused offer, which is also logged."""
    refused = Refused(what, package, reason)
    log.warning("%s", refused.sentence)
    return refused


def loaded(entry: EntryPoint, *, texts: Sequence[str] = (), functions: Sequence[str] = ()) -> Any:
    """The value of an entry point, with the attributes that a group asks for.

    Args:
        entry: to load.
        texts: names of attributes that are texts and not empty.
        functions: names of attributes that can be called.

    Raises TypeError where one is missing or of another type, and whatever the package's own code raises.
    """
    value = entry.load()
    missing = [name for name in (*texts, *functions) if not hasattr(value, name)]
    if missing:
        raise TypeError(f"it has no {' and no '.join(missing)}")
    for name in texts:
        text = getattr(value, name)
        if not isinstance(text, str) or not text.strip():
            raise TypeError(f"its {name} is no text, or an empty one")
    for name in functions:
        if not callable(getattr(value, name)):
            raise TypeError(f"its {name} is no function")
    return value


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value
