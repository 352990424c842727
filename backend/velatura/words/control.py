"""Prompt-to-Prompt's edits of attention, on Q, K and V alone (Hertz et al. 2022, section 3, algorithm 1).

With softmax maps M_s of the source's branch and M_t of the target's, [B, heads, L_q, T], the edited map is,
for token j of the target's prompt at step i,

    M*_j = alpha_ij (M_s A)_j + (1 - alpha_ij) M_t,j            (word swap, refinement, section 3.2)

and what is attended to is sum_j c_j M*_j V_t,j with the words' weights c (attention re-weighting). A [T_s,
T_t] says which of the source's tokens stand for which of the target's. All of this is linear in V, so no map
is built:

    out = SDPA(Q_s, K_s, A (alpha c V_t)) + SDPA(Q_t, K_t, ((1 - alpha) c) V_t)

Self-attention is injected whole, SDPA(Q_s, K_s, V*), with V* = (1 - lambda) V_t + lambda V_s where values are
injected too (the "V value injection" that Bieske's "CL P2P" draws in a figure and leaves undefined).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from velatura.attention.columns import attend

FLOOR = 0.1
"""Renormalising multiplies by at most 1 / FLOOR: where words that are turned off said almost everything, the
little that is left is not blown up to the whole."""


def steps_within(until: float, n: int) -> int:
    """How many of n steps, counted from the first, a window holds that ends at the fraction `until`."""
    return math.floor(until * n + 0.5)


@dataclass(frozen=True)
class Control:
    """What is done to attention in each of N steps. Holds nothing of a run, and serves any number of them.

    A: [T_s, T_t]. alpha: [N, T_t] in 0..1, `alpha_ij`. weights: c, [T_t]. renormalise: whether a query's
    whole probability stays what it was without weights; else, as published, weights also change how much the
    prompt weighs against the picture. self_steps: how many steps inject self-attention, at places that have
    at most `self_share` of the latent's places. value_steps, value_share: in how many steps V_s is mixed in,
    and how much of it (lambda), at the same places."""

    A: Tensor
    alpha: Tensor
    weights: Tensor
    renormalise: bool = True
    self_steps: int = 0
    self_share: float = 0.25
    value_steps: int = 0
    value_share: float = 0.0
    # what the tensors say, as plain numbers: a step must not wait for the device to learn it
    takes_cross: tuple[bool, ...] = field(init=False)
    takes_target: tuple[bool, ...] = field(init=False)
    weighs: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "takes_cross", tuple((self.alpha > 0.0).any(1).tolist()))
        object.__setattr__(self, "takes_target", tuple((self.alpha < 1.0).any(1).tolist()))
        object.__setattr__(self, "weighs", bool((self.weights != 1.0).any()))

    def to(self, device: torch.device) -> Control:
        """The same on a device, once for a run rather than at every step."""
        moved = {name: getattr(self, name).to(device) for name in ("A", "alpha", "weights")}
        return replace(self, **moved)

    def takes_self(self, i: int) -> bool:
        """Whether step i needs the source's queries and keys of self-attention."""
        return i < self.self_steps

    def takes_values(self, i: int) -> bool:
        """Whether step i needs the source's values of self-attention."""
        return i < self.value_steps and self.value_share > 0.0


class Branch(NamedTuple):
    """Queries, keys and values of one branch at one place, each [B, heads, L, d]; v where it is needed."""

    q: Tensor
    k: Tensor
    v: Tensor | None


class Words(NamedTuple):
    """Groups of tokens whose maps are wanted: [T, n] of 0 and 1, a column a group."""

    source: Tensor
    target: Tensor


class Attended(NamedTuple):
    """out: [B, heads, L_q, d]. source, target: the maps of the words asked for, summed over a group's tokens,
    [B, heads, L_q, n]; the target's are edited ones, M*, without their weights: where a word is, not how
    strong."""

    out: Tensor
    source: Tensor | None
    target: Tensor | None


def cross(
    control: Control, i: int, source: Branch | None, target: Branch, wanted: Words | None = None
) -> Attended:
    """Cross-attention of the target's conditional rows at step i.

    source: may be None where no maps are wanted and step i does not take the source's.
    """
    c, alpha = control.weights, control.alpha[i]
    w = _columns(control, wanted)
    out: Tensor | None = None
    sums: Tensor | float = 0.0
    of_source = None
    if control.takes_cross[i]:
        v = control.A.to(target.v) @ _rows(alpha * c, target.v)
        own = control.A @ (alpha.unsqueeze(-1) * w)
        if wanted is not None:
            own = torch.cat([own, wanted.source], -1)
        out, sums = attend(source.q, source.k, v, own)
        sums, of_source = sums[..., : w.shape[-1]], sums[..., w.shape[-1] :]
    elif wanted is not None:
        of_source = attend(source.q, source.k, None, wanted.source)[1]
    if control.takes_target[i]:
        rest = 1.0 - alpha
        v = _rows(rest * c, target.v)
        out_t, sums_t = attend(target.q, target.k, v, rest.unsqueeze(-1) * w)
        out, sums = out_t if out is None else out + out_t, sums + sums_t
    if control.weighs and control.renormalise:
        whole, weighed = sums[..., -2:].float().unbind(-1)
        out = out * (whole / torch.maximum(weighed, FLOOR * whole)).unsqueeze(-1).to(out)
    if wanted is None:
        return Attended(out, None, None)
    return Attended(out, of_source, sums[..., : wanted.target.shape[-1]])


def _columns(control: Control, wanted: Words | None) -> Tensor:
    """The columns [T_t, n] whose sums over M* are needed: the words', then for renormalising 1 and |c|.

    Absolute values, since a negative weight takes a word's values away from the rest and does not make the
    rest weigh more; positive weights give the usual quotient."""
    c = control.weights
    columns = [c.new_zeros(len(c), 0)] if wanted is None else [wanted.target]
    if control.weighs and control.renormalise:
        columns.append(torch.stack([torch.ones_like(c), c.abs()], -1))
    return torch.cat(columns, -1)


def _rows(factors: Tensor, v: Tensor) -> Tensor:
    """v [B, heads, T, d] with each token's row multiplied by its factor [T]."""
    return factors.to(v).unsqueeze(-1) * v


def self_(control: Control, i: int, source: Branch, target: Branch) -> Tensor:
    """Self-attention of the target's conditional rows at step i, [B, heads, L, d]."""
    v = target.v
    if control.takes_values(i):
        v = torch.lerp(v, source.v, control.value_share)
    q, k = (source.q, source.k) if control.takes_self(i) else (target.q, target.k)
    return attend(q, k, v)[0]
