"""Prompt-to-Prompt's edits of attention, on Q, K and V alone (Hertz et al. 2022, section 3, algorithm 1).

With softmax maps M_s of the source's branch and M_t of the target's, [B, heads, L_q, T], the edited map is,
for token j of the target's prompt at step i,

    M*_j = alpha_ij (M_s A)_j + (1 - alpha_ij) M_t,j            (word swap, refinement, section 3.2)

and the output is sum_j c_j M*_j V_t,j with the words' weights c (attention re-weighting). A [T_s, T_t] maps
the source's tokens to the target's. All of this is linear in V, so no map is built:

    out = SDPA(Q_s, K_s, A (alpha c V_t)) + SDPA(Q_t, K_t, ((1 - alpha) c) V_t)

Injected self-attention is SDPA(Q_s, K_s, V*), with V* = (1 - lambda) V_t + lambda V_s where values are
injected too (the "V value injection" that Bieske's "CL P2P" draws in a figure and leaves undefined).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.columns import Lookup

LIMIT = 10.0
"""The largest factor of renormalisation. Where words with weight 0 had almost the whole probability, the
small rest is not scaled up to the whole."""

T = TypeVar("T")


def needed(value: T | None) -> T:
    """The value. Raises ValueError for a missing one: a step that takes the source's maps was run without the
    source's branch, or a branch without its values."""
    if value is None:
        raise ValueError("this step needs a part of the source's or the target's branch that is missing")
    return value


def steps_within(until: float, n: int) -> int:
    """How many of n steps are in a window from the first step to the fraction `until` of the run."""
    return math.floor(until * n + 0.5)


@dataclass(frozen=True)
class Control:
    """The changes to attention in each of N steps. It has no state of a run, so runs can share it.

    Args:
        A: [T_s, T_t] float32 on the CPU, the token mapper.
        alpha: alpha_ij, [N, T_t] float32 in [0, 1] on the CPU.
        weights: c, [T_t] float32 on the CPU.
        renormalise: whether weights leave a query's total probability unchanged. If not, as published, they
            also change how much the prompt counts against the picture.
        self_steps: how many steps, from the first, inject self-attention.
        self_share: where they do: at attentions with at most this share of the latent's places.
        value_steps: how many steps, from the first, mix V_s into V_t there.
        value_share: lambda, the share of V_s.
    """

    A: Tensor
    alpha: Tensor
    weights: Tensor
    renormalise: bool = True
    self_steps: int = 0
    self_share: float = 0.25
    value_steps: int = 0
    value_share: float = 0.0
    phases: tuple[int, ...] = field(init=False)
    """For each step, the first of the consecutive steps with the same alpha."""

    def __post_init__(self) -> None:
        phases = [0]
        for i in range(1, len(self.alpha)):
            phases.append(phases[-1] if torch.equal(self.alpha[i - 1], self.alpha[i]) else i)
        object.__setattr__(self, "phases", tuple(phases))

    @property
    def weighs(self) -> bool:
        """Whether any word has a weight other than 1."""
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

    def mix(self, i: int, wanted: Words | None, like: Tensor, *, takes: bool = True) -> Mix:
        """Attention of step i to the prompt as matrices, on the device and in the dtype of `like`.

        takes: whether the place takes the source's maps at all.
        """
        alpha, c = self.alpha[i] if takes else torch.zeros_like(self.alpha[i]), self.weights
        renormalises = self.weighs and self.renormalise
        # Sums over columns of M*: for renormalising, with the weights 1 and |c|, since a negative weight
        # subtracts a word's values and must not increase the rest; then the target's words, unweighted.
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
            uses_source=wanted is not None or bool((alpha > 0.0).any()),
            uses_target=bool((rest > 0.0).any()),
            renormalises=renormalises,
            takes_source=bool((alpha > 0.0).any()),
        )


class Words(NamedTuple):
    """Groups of tokens whose maps are gathered: [T, n] of 0 and 1, one column a group."""

    source: Tensor
    target: Tensor


class Mix(NamedTuple):
    """The edited values are M_s (S V_t) + M_t (t V_t); the sums over the maps are M_s w_s + M_t w_t.

    Args:
        S: [T_s, T_t].
        w_s: [T_s, n].
        t: [T_t, 1].
        w_t: [T_t, n].
        uses_source: whether the first terms count.
        uses_target: whether the second terms count. At least one of the two does.
        renormalises: whether the first two of the n sums are for renormalisation.
        takes_source: whether any token takes the source's map.
    """

    S: Tensor
    w_s: Tensor
    t: Tensor
    w_t: Tensor
    uses_source: bool
    uses_target: bool
    renormalises: bool
    takes_source: bool


class Branch(NamedTuple):
    """Queries, keys and values of one branch at one place, each [B, heads, L, d]; v: None where it is not
    used."""

    q: Tensor
    k: Tensor
    v: Tensor | None


class Cross:
    """Cross-attention of the target's conditional rows at one place, in steps that share a `Mix`.

    Keys and values of prompts are the same in every step, so the lookups are prepared once.

    Args:
        mix: the matrices of these steps.
        k_s: the source's keys [B, heads, T_s, d]; None is allowed if the mix does not use the source.
        k_t, v_t: the target's keys and values [B, heads, T_t, d].
    """

    def __init__(self, mix: Mix, k_s: Tensor | None, k_t: Tensor, v_t: Tensor) -> None:
        self.mix = mix
        self.source = Lookup(needed(k_s), mix.S @ v_t, mix.w_s) if mix.uses_source else None
        self.target = Lookup(k_t, mix.t * v_t, mix.w_t) if mix.uses_target else None

    def __call__(self, q_s: Tensor | None, q_t: Tensor) -> tuple[Tensor, Tensor]:
        """The output [B, heads, L_q, d], and the gathered maps, summed over each group's tokens, [B, heads,
        L_q, n]: the edited maps of the target, unweighted (they say where a word is, not how strong), then
        the source's."""
        if self.source is None:
            lookup = needed(self.target)
            both = lookup(q_t)
        else:
            lookup = self.source
            both = lookup(needed(q_s))
            if self.target is not None:
                both += self.target(q_t)
        return renormalised(self.mix, *lookup.parts(both))


def renormalised(mix: Mix, out: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    """The output M* V and the sums over M*; two of them, if the mix has them, renormalise the output in place
    and are left out."""
    if mix.renormalises:
        whole, weighed = sums[..., :2].float().split(1, -1)
        # in half precision both can be 0; an in-place product with float32 is rounded only once
        out *= (whole / weighed).nan_to_num(nan=0.0).clamp(max=LIMIT)
        sums = sums[..., 2:]
    return out, sums


def self_(control: Control, i: int, source: Branch, target: Branch) -> Tensor:
    """Self-attention of the target's conditional rows at step i, [B, heads, L, d]."""
    v = needed(target.v)
    if control.takes_values(i):
        v = torch.lerp(v, needed(source.v), control.value_share)
    q, k = (source.q, source.k) if control.takes_self(i) else (target.q, target.k)
    return F.scaled_dot_product_attention(q, k, v)
