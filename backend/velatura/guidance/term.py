"""A term of guidance, and the denoiser that adds terms to classifier-free guidance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.places import Attend, Place
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.denoiser import Denoiser, StepIndex, denoise, guide
from velatura.diffusion.network import Network


@dataclass(frozen=True)
class Look:
    """The predictions of one step, as a term sees them. All are expected clean latents, [N, C, h, w].

    Args:
        x: the latents at the noise level sigma, [N, C, h, w].
        sigma: the noise level.
        at: the sampler's step; None outside of a run.
        D: the prediction after classifier-free guidance.
        D_u: the unconditional prediction; None if no term asked for it and the scale of guidance is 1.
        rows: the predictions for the term's own conditions, in their order.
    """

    x: Tensor
    sigma: float
    at: StepIndex | None
    D: Tensor
    D_u: Tensor | None
    rows: Sequence[Tensor]


class Term(Protocol):
    """A term of guidance. It may hold state from step to step, so each run makes its own.

    Attributes:
        conditions: those of which it needs a prediction in every step, each of one row.
        needs_unconditional: whether it compares with the unconditional prediction, also at scale 1.
        through_network: whether it takes a gradient through the network: then `Look.x` requires gradients,
            and `Look.D`, `Look.D_u` and `Look.rows` are functions of it.
    """

    conditions: Sequence[Condition]
    needs_unconditional: bool
    through_network: bool

    def __call__(self, look: Look) -> Tensor:
        """The change of the guided prediction, [N, C, h, w], which is added to `Look.D`. In terms of the
        predicted noise, a change of it by e is a change of D by -sigma e."""
        ...


@runtime_checkable
class AttentiveTerm(Term, Protocol):
    """A term that reads the attention of its own rows. It cannot change it."""

    def see(self, place: Place, q: Tensor, k: Tensor) -> None:
        """Called at every attention of a step, before the term itself is called.

        Args:
            place: of the attention.
            q: the queries of the term's rows, [rows, heads, L_q, d]: all N of its first condition, then those
                of the next.
            k: the keys, [rows, heads, L_k, d].
        """
        ...


def guided(
    model: Network, cond: Condition, uncond: Condition, scale: float, terms: Sequence[Term]
) -> Denoiser:
    """D with classifier-free guidance and the sum of the terms. All rows of a step share one pass.

    Terms see the prediction after classifier-free guidance alone, so their order does not matter.

    Args:
        model: denoises.
        cond, uncond: the conditions of classifier-free guidance, one row each.
        scale: of classifier-free guidance; at 1 the unconditional row runs only if a term needs it.
        terms: of this run.
    """
    with_uncond = scale != 1.0 or any(term.needs_unconditional for term in terms)
    conditions = [cond, *([uncond] if with_uncond else []), *(c for term in terms for c in term.conditions)]
    through_network = any(term.through_network for term in terms)
    attend = _seen_by(terms, 2 if with_uncond else 1, len(conditions))

    def predict(x: Tensor, sigma: float, at: StepIndex | None) -> Tensor:
        c = cat([condition.expand(len(x)) for condition in conditions])
        predicted = denoise(model, x.repeat(len(conditions), 1, 1, 1), sigma, c, attend)
        D_c, *others = predicted.chunk(len(conditions))
        D_u = others.pop(0) if with_uncond else None
        D = D_c if D_u is None or scale == 1.0 else guide(model, x, sigma, D_c, D_u, scale)
        changes: list[Tensor] = []
        for term in terms:
            rows = [others.pop(0) for _ in term.conditions]
            changes.append(term(Look(x, sigma, at, D, D_u, rows)))
        return D + sum(changes, torch.zeros_like(D))

    def D(x: Tensor, sigma: float, at: StepIndex | None = None) -> Tensor:
        if not through_network:
            return predict(x, sigma, at)
        # a tensor made in inference mode cannot take part in a gradient; a copy made outside of it can
        with torch.inference_mode(False), torch.enable_grad():
            return predict(x.clone().requires_grad_(), sigma, at).detach()

    return D


def _seen_by(terms: Sequence[Term], before: int, groups: int) -> Attend | None:
    """Plain attention that shows the terms their rows; None if no term reads them.

    Args:
        terms: of the run.
        before: the conditions whose rows are before those of the terms.
        groups: all conditions of a pass.
    """
    seers: list[tuple[AttentiveTerm, int, int]] = []
    for term in terms:
        if isinstance(term, AttentiveTerm):
            seers.append((term, before, before + len(term.conditions)))
        before += len(term.conditions)
    if not seers:
        return None

    def attend(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        each = len(q) // groups
        for term, first, last in seers:
            rows = slice(first * each, last * each)
            term.see(place, q[rows], k[rows])
        return F.scaled_dot_product_attention(q, k, v)

    return attend
