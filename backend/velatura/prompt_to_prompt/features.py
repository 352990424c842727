"""The features of the source's branch, kept from one edit of a picture to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from .control import Branch


class Need(NamedTuple):
    """The features of the source's branch that a step needs.

    Args:
        cross: queries and keys of every cross-attention.
        maps: those of the cross-attentions where word maps are gathered.
        self_: queries and keys of the self-attentions with at most this share of the latent's places; 0:
        none.
        values: likewise, their values.
    """

    cross: bool = False
    maps: bool = False
    self_: float = 0.0
    values: float = 0.0

    def met_by(self, had: Need) -> bool:
        """Whether features recorded for `had` are enough."""
        maps = not self.maps or had.maps or had.cross
        return maps and self.cross <= had.cross and self.self_ <= had.self_ and self.values <= had.values

    def joined(self, other: Need) -> Need:
        """The need that covers both."""
        return Need(
            self.cross or other.cross,
            self.maps or other.maps,
            max(self.self_, other.self_),
            max(self.values, other.values),
        )


def _no_others(nbytes: int) -> None:
    """A `make_room` that evicts nothing."""


@dataclass
class Features:
    """The source's Q, K and V along one trajectory.

    Args:
        limit: the budget in bytes, never exceeded. A step that does not fit is dropped, and the source's
            branch runs again in it.
        make_room: called before more is kept, with the total bytes that are then needed.
        branches: by step and the place's name.
        had: the need that each step's features cover.
        nbytes: of all branches.
    """

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
        """Keeps a copy of a place's features in step i; a view would hold the memory of the whole batch."""
        if i in self.full:
            return
        old = self._forget(i, name)
        if branch.v is None and old is not None:
            branch = branch._replace(v=old.v)
        del old  # frees its memory before the copy is made
        needed = self.nbytes + _nbytes(branch)
        if needed > self.limit:
            self.full.add(i)
            self.had.pop(i, None)
            for _, other in [key for key in self.branches if key[0] == i]:
                self._forget(i, other)
            return
        self.make_room(needed)
        self.branches[i, name] = Branch(
            _copy(branch.q), _copy(branch.k), None if branch.v is None else _copy(branch.v)
        )
        self.nbytes = needed

    def finish(self, i: int, need: Need) -> None:
        """Ends step i: its recorded features cover `need`, unless they did not fit."""
        if i in self.full:
            self.full.remove(i)
        else:
            self.had[i] = self.had.get(i, Need()).joined(need)

    def _forget(self, i: int, name: str) -> Branch | None:
        branch = self.branches.pop((i, name), None)
        self.nbytes -= 0 if branch is None else _nbytes(branch)
        return branch


def _copy(x: Tensor) -> Tensor:
    return x.clone(memory_format=torch.contiguous_format)


def _nbytes(branch: Branch) -> int:
    return sum(x.nbytes for x in branch if x is not None)
