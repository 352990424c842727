"""The conditioning of a network: one value, which methods pass on unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.cache.values import storable

POOLED = "pooled"
"""The name of the one part that the mathematics knows: a vector [N, d] of the whole text, which modulates a
network's blocks. Not every family has one."""


@storable("condition")
@dataclass(frozen=True, eq=False)
class Condition:
    """The conditioning of N rows. Only a model makes one, and only its `network` reads its parts.

    Args:
        states: the text encoder's hidden states, [N, L, d] float32. The maps of words are columns over these
            L tokens, and null-text inversion fits these values.
        valid: the tokens that count, bool [N, L]; None: all.
        parts: further inputs of a family of networks, by names that their model knows, each [N, ...]: a
            pooled vector, the sizes of a picture, tokens of reference pictures, further input channels.
    """

    states: Tensor
    valid: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        """N."""
        return len(self.states)

    def expand(self, n: int) -> Condition:
        """One row as n rows, which share its memory."""
        return self.each(lambda x: x.expand(n, *[-1] * (x.ndim - 1)))

    def split(self, rows: int) -> list[Condition]:
        """Conditions of `rows` rows each; the last may have fewer."""
        states = self.states.split(rows)
        valid = [None] * len(states) if self.valid is None else self.valid.split(rows)
        parts = {name: x.split(rows) for name, x in self.parts.items()}
        return [
            Condition(states[i], valid[i], {name: xs[i] for name, xs in parts.items()})
            for i in range(len(states))
        ]

    def to(self, device: torch.device | str) -> Condition:
        """The condition on a device; tensors that are already there are shared."""
        return self.each(lambda x: x.to(device))

    def clone(self) -> Condition:
        """A copy that shares no memory."""
        return self.each(Tensor.clone)

    def with_states(self, states: Tensor) -> Condition:
        """The condition with other text states [N, L, d]; all other tensors are shared."""
        return replace(self, states=states)

    def equal(self, other: Condition) -> bool:
        """Whether both conditions have equal tensors, bit for bit."""
        if (self.valid is None) != (other.valid is None) or self.parts.keys() != other.parts.keys():
            return False
        pairs = [(self.states, other.states), *((x, other.parts[name]) for name, x in self.parts.items())]
        if self.valid is not None and other.valid is not None:
            pairs.append((self.valid, other.valid))
        return all(a.equal(b) for a, b in pairs)

    def each(self, f: Callable[[Tensor], Tensor]) -> Condition:
        """The condition with f applied to every tensor."""
        valid = None if self.valid is None else f(self.valid)
        return Condition(f(self.states), valid, {name: f(x) for name, x in self.parts.items()})


def cat(conditions: Sequence[Condition]) -> Condition:
    """The rows of several conditions of one model, one after the other.

    Shorter prompts are padded with tokens that do not count.
    Raises ValueError for conditions with different parts, which no single network accepts.
    """
    names = conditions[0].parts.keys()
    if any(c.parts.keys() != names for c in conditions):
        raise ValueError("these conditions are not of one network: they have different parts")
    parts = {name: torch.cat([c.parts[name] for c in conditions]) for name in names}
    longest = max(c.states.shape[1] for c in conditions)
    if all(c.valid is None and c.states.shape[1] == longest for c in conditions):
        return Condition(torch.cat([c.states for c in conditions]), None, parts)
    states = [F.pad(c.states, (0, 0, 0, longest - c.states.shape[1])) for c in conditions]
    valid = [F.pad(_valid(c), (0, longest - c.states.shape[1])) for c in conditions]
    return Condition(torch.cat(states), torch.cat(valid), parts)


def _valid(condition: Condition) -> Tensor:
    """Bool [N, L]: the tokens that count."""
    if condition.valid is not None:
        return condition.valid
    return torch.ones(condition.states.shape[:2], dtype=torch.bool, device=condition.states.device)
