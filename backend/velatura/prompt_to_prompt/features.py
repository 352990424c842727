"""What an edit needs of the source's branch, kept from one edit of a picture to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from .control import Branch


class Need(NamedTuple):
    """What a step needs of the source's branch: the maps of words everywhere (`cross`) or only where word
    maps are gathered (`maps`); queries and keys of self-attention, and its values, at places that have at
    most this share of the latent's places (0: none)."""

    cross: bool = False
    maps: bool = False
    self_: float = 0.0
    values: float = 0.0

    def met_by(self, had: Need) -> bool:
        """Whether what was recorded for `had` serves."""
        maps = not self.maps or had.maps or had.cross
        return maps and self.cross <= had.cross and self.self_ <= had.self_ and self.values <= had.values

    def joined(self, other: Need) -> Need:
        """What serves both."""
        return Need(*map(max, self, other))


def _no_others(nbytes: int) -> None:
    """Room is made where there is nothing else to let go."""


@dataclass
class Features:
    """The source's Q, K and V along one trajectory: by step and place's name. `had`: what each step holds.
    limit: bytes, never exceeded; of a step that does not fit nothing is kept, and the source's branch runs
    again in it. make_room: told before more is kept how many bytes that will be together."""

    limit: int
    make_room: Callable[[int], None] = _no_others
    branches: dict[tuple[int, str], Branch] = field(default_factory=dict)
    had: dict[int, Need] = field(default_factory=dict)
    nbytes: int = 0
    full: set[int] = field(default_factory=set)
    """Steps that did not fit when they last ran."""

    def missing(self, i: int, need: Need) -> bool:
        """Whether the source's branch has to run in step i."""
        return not need.met_by(self.had.get(i, Need()))

    def record(self, i: int, name: str, branch: Branch) -> None:
        """Keep a place's features of step i, in memory of their own: a view would hold the whole batch."""
        if i in self.full:
            return
        old = self._forget(i, name)
        if branch.v is None and old is not None:
            branch = branch._replace(v=old.v)
        del old  # it makes room
        needed = self.nbytes + _nbytes(branch)
        if needed > self.limit:
            self.full.add(i)
            self.had.pop(i, None)
            for _, other in [key for key in self.branches if key[0] == i]:
                self._forget(i, other)
            return
        self.make_room(needed)
        self.branches[i, name] = Branch(
            *(None if x is None else x.clone(memory_format=torch.contiguous_format) for x in branch)
        )
        self.nbytes = needed

    def settle(self, i: int, need: Need) -> None:
        """Step i is over; what was recorded in it serves `need`, unless it was too much to keep."""
        if i in self.full:
            self.full.remove(i)
        else:
            self.had[i] = self.had.get(i, Need()).joined(need)

    def _forget(self, i: int, name: str) -> Branch | None:
        branch = self.branches.pop((i, name), None)
        self.nbytes -= 0 if branch is None else _nbytes(branch)
        return branch


def _nbytes(branch: Branch) -> int:
    return sum(x.nbytes for x in branch if x is not None)
