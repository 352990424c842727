"""What an edit needs of the source's branch, kept from one edit of a picture to the next."""

from __future__ import annotations

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


@dataclass
class Features:
    """The source's Q, K and V along one trajectory: by step and place's name. `had`: what each step holds.
    limit: bytes after which nothing more is kept; the source's branch then runs again in the later steps."""

    limit: int
    branches: dict[tuple[int, str], Branch] = field(default_factory=dict)
    had: dict[int, Need] = field(default_factory=dict)
    nbytes: int = 0

    def missing(self, i: int, need: Need) -> bool:
        """Whether the source's branch has to run in step i."""
        return not need.met_by(self.had.get(i, Need()))

    def record(self, i: int, name: str, branch: Branch) -> None:
        """Keep a place's features of step i, in memory of their own: a view would hold the whole batch."""
        if self.nbytes >= self.limit:
            return
        old = self.branches.get((i, name))
        self.nbytes -= 0 if old is None else _nbytes(old)
        kept = Branch(
            *(None if x is None else x.clone(memory_format=torch.contiguous_format) for x in branch)
        )
        if kept.v is None and old is not None:
            kept = kept._replace(v=old.v)
        self.branches[i, name] = kept
        self.nbytes += _nbytes(kept)

    def settle(self, i: int, need: Need) -> None:
        """Step i is over; what was recorded in it serves `need`, unless it was too much to keep."""
        if self.nbytes >= self.limit:
            for key in [key for key in self.branches if key[0] == i]:
                self.nbytes -= _nbytes(self.branches.pop(key))
            self.had.pop(i, None)
        else:
            self.had[i] = self.had.get(i, Need()).joined(need)


def _nbytes(branch: Branch) -> int:
    return sum(x.nbytes for x in branch if x is not None)
