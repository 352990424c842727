"""The offers of a group of entry points: those that load, and why the others do not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Offer(Generic[T]):
    """What an entry point has brought. name: the entry point's. package: its distribution's name."""

    name: str
    package: str
    value: T


@dataclass(frozen=True)
class Refused:
    """An offer that is left out. what: the offer, in words. package: whose it is. reason: why, without a full
    stop."""

    what: str
    package: str
    reason: str

    @property
    def sentence(self) -> str:
        """For the person."""
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
        read: loads one and checks it; whatever it raises is the reason that the offer is left out.
        what: a word for one of them, such as 'method'.
    """
    found: Offers[T] = Offers([], [])
    for entry in sorted(entry_points(group=group), key=lambda entry: (_package(entry), entry.name)):
        offer = _read(entry, read, what)
        if isinstance(offer, Refused):
            found.refused.append(offer)
        else:
            found.loaded.append(offer)
    return found


def _read(entry: EntryPoint, read: Callable[[EntryPoint], T], what: str) -> Offer[T] | Refused:
    try:
        return Offer(entry.name, _package(entry), read(entry))
    except Exception as error:  # another package's code may raise anything; all else goes on
        reason = f"{type(error).__name__}: {error}".rstrip(".: ")
        return refuse(f"The {what} {entry.name!r}", _package(entry), reason)


def refuse(what: str, package: str, reason: str) -> Refused:
    """Leaves an offer out, and says so in the log."""
    refused = Refused(what, package, reason)
    log.warning("%s", refused.sentence)
    return refused


def loaded(entry: EntryPoint) -> Any:
    """The value of an entry point, as it is."""
    return entry.load()


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value
