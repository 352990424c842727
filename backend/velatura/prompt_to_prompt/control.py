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
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.columns import Lookup

LIMIT = 10.0
"""Renormalising multiplies by at most this: where words that are turned off said almost everything, the
little that is left is not blown up to the whole."""


def steps_within(until: float, n: int) -> int:
    """How many of n steps, counted from the first, a window holds that ends at the fraction `until`."""
    return math.floor(until * n + 0.5)


@dataclass(frozen=True)
class Control:
    """What is done to attention in each of N steps. Holds nothing of a run, and serves any number of them.

    A: [T_s, T_t]. alpha: [N, T_t] in 0..1, `alpha_ij`. weights: c, [T_t]. All float32 on the CPU.
    renormalise: whether a query's whole probability stays what it was without weights; else, as published,
    weights also change how much the prompt weighs against the picture. self_steps: how many steps inject
    self-attention, at places that have at most `self_share` of the latent's places. value_steps, value_share:
    in how many steps V_s is mixed in, and how much of it (lambda), at the same places."""

    A: Tensor
    alpha: Tensor
    weights: Tensor
    renormalise: bool = True
    self_steps: int = 0
    self_share: float = 0.25
    value_steps: int = 0
    value_share: float = 0.0
    phases: tuple[int, ...] = field(init=False)
    """The first of the steps in a row that share their alpha, for each step."""

    def __post_init__(self) -> None:
        phases = [0]
        for i in range(1, len(self.alpha)):
            phases.append(phases[-1] if torch.equal(self.alpha[i - 1], self.alpha[i]) else i)
        object.__setattr__(self, "phases", tuple(phases))

    @property
    def weighs(self) -> bool:
        """Whether any word is turned up or down."""
        return bool((self.weights != 1.0).any())

    def takes_cross(self, i: int) -> bool:
        """Whether step i needs the source's queries and keys of cross-attention."""
        return bool((self.alpha[i] > 0.0).any())

    def takes_self(self, i: int) -> bool:
        """Whether step i needs the source's queries and keys of self-attention."""
        return i < self.self_steps

    def takes_values(self, i: int) -> bool:
        """Whether step i needs the source's values of self-attention."""
        return i < self.value_steps and self.value_share > 0.0

    def mix(self, i: int, wanted: Words | None, like: Tensor) -> Mix:
        """Cross-attention of step i as matrices, on the device and in the dtype of `like`."""
        alpha, c = self.alpha[i], self.weights
        renormalises = self.weighs and self.renormalise
        # of M* are wanted: for renormalising 1 and |c|, since a negative weight takes a word's values away
        # from the rest and does not make the rest weigh more; then the target's words, without their weights
        w = torch.stack([torch.ones_like(c), c.abs()], -1)[:, : 2 if renormalises else 0]
        of_source = c.new_zeros(len(self.A), 0)
        if wanted is not None:
            w, of_source = torch.cat([w, wanted.target], -1), wanted.source
        rest = 1.0 - alpha
        matrices = (
            self.A * (alpha * c),
            torch.cat([self.A @ (alpha.unsqueeze(-1) * w), of_source], -1),
            (rest * c).unsqueeze(-1),
            F.pad(rest.unsqueeze(-1) * w, (0, of_source.shape[-1])),
        )
        return Mix(
            *(matrix.to(like) for matrix in matrices),
            uses_source=wanted is not None or self.takes_cross(i),
            uses_target=bool((rest > 0.0).any()),
            renormalises=renormalises,
        )


class Words(NamedTuple):
    """Groups of tokens whose maps are wanted: [T, n] of 0 and 1, a column a group."""

    source: Tensor
    target: Tensor


class Mix(NamedTuple):
    """Edited values are M_s (S V_t) + M_t (t V_t), and what is wanted of the maps M_s w_s + M_t w_t. S:
    [T_s, T_t]. t: [T_t, 1]. w_s: [T_s, n]. w_t: [T_t, n]. renormalises: the first two of n are for that."""

    S: Tensor
    w_s: Tensor
    t: Tensor
    w_t: Tensor
    uses_source: bool
    uses_target: bool
    renormalises: bool


class Branch(NamedTuple):
    """Queries, keys and values of one branch at one place, each [B, heads, L, d]; v where it is needed."""

    q: Tensor
    k: Tensor
    v: Tensor | None


class Cross:
    """Cross-attention of the target's conditional rows at one place, in steps that share a `Mix`.

    Keys and values of prompts are the same in every step, so what is looked up is made ready once. k_s: the
    source's keys, may be None where the mix does not use them. k_t, v_t: the target's.
    """

    def __init__(self, mix: Mix, k_s: Tensor | None, k_t: Tensor, v_t: Tensor) -> None:
        self.renormalises = mix.renormalises
        self.source = Lookup(k_s, mix.S @ v_t, mix.w_s) if mix.uses_source else None
        self.target = Lookup(k_t, mix.t * v_t, mix.w_t) if mix.uses_target else None

    def __call__(self, q_s: Tensor | None, q_t: Tensor) -> tuple[Tensor, Tensor]:
        """What is attended to, [B, heads, L_q, d], and the maps of the words asked for, summed over a group's
        tokens, [B, heads, L_q, n]: the target's, edited, without weights (where a word is, not how strong),
        then the source's."""
        if self.source is None:
            both = self.target(q_t)
        else:
            both = self.source(q_s)
            if self.target is not None:
                both += self.target(q_t)
        out, sums = (self.source or self.target).parts(both)
        if self.renormalises:
            whole, weighed = sums[..., :2].float().split(1, -1)
            # in half precision both can be 0; in place, a product with float32 is rounded once
            out *= (whole / weighed).nan_to_num(nan=0.0).clamp(max=LIMIT)
            sums = sums[..., 2:]
        return out, sums


def self_(control: Control, i: int, source: Branch, target: Branch) -> Tensor:
    """Self-attention of the target's conditional rows at step i, [B, heads, L, d]."""
    v = target.v
    if control.takes_values(i):
        v = torch.lerp(v, source.v, control.value_share)
    q, k = (source.q, source.k) if control.takes_self(i) else (target.q, target.k)
    return F.scaled_dot_product_attention(q, k, v)
